package scheduler

// Most of the time nothing stands in anybody's way: one key has jobs, or one has at the moment, its circuit is closed, it is not
// in a cooldown, and what its jobs need is there. Then who is next is plain, and what is looked at for each job in admitOnce needs
// to be looked at once. This is worth a third of the core's time for such a job (BenchmarkCore).

// admitPlain admits jobs as admitOnce would, from the front of the only seat that stands anywhere, as long as nothing but workers
// and limits that keys share has to be looked at for each. It leaves the others to admitOnce.
func (c *Core) admitPlain() {
	if c.paused || c.inFlight >= c.workers || len(c.pools) > 0 {
		return
	}
	s := c.onlySeat()
	if s == nil || !c.isPlain(s) {
		return
	}
	q, l := s.queues[0], s.lane
	for e := q.fresh.first; e != nil && c.inFlight < c.workers && c.enough(e); e = q.fresh.first {
		c.begin(l)
		if !e.paid && l.deficit < int64(e.size) {
			l.served = false // its turn has ended, and the next is its own again
			continue
		}
		c.pay(e)
		c.start(l, e)
		if next := q.fresh.first; next != nil && l.deficit < int64(next.size) {
			l.served = false
		}
	}
	if s.len == 0 {
		c.unplace(s)
	}
	c.schedule(l)
}

// onlySeat returns the seat that stands in a ring, if there is but one, and it is its lane's only one.
func (c *Core) onlySeat() *seat {
	if c.occupied == 0 || c.occupied&(c.occupied-1) != 0 {
		return nil
	}
	s := c.front(gates{})
	if s == nil || c.standing[s.class] != 1 || len(s.lane.ready.seats) != 1 {
		return nil
	}
	return s
}

// isPlain reports whether none of the gates that are the lane's own can close while its jobs are admitted, and all of s are fresh
// and of one priority.
func (c *Core) isPlain(s *seat) bool {
	l := s.lane
	return len(s.queues) == 1 && s.queues[0].returned.len() == 0 && s.needs.groups == 0 && c.isOpen(l) &&
		c.classOf(s.queues[0].fresh.first)-MinPriority == s.class && c.classOf(s.queues[0].fresh.last)-MinPriority == s.class
}

// isOpen reports whether none of the gates that are l's own is closed, or can be while jobs are admitted.
func (c *Core) isOpen(l *lane) bool {
	return len(l.own) == 0 && c.workersOf(l) == 0 && l.cool.Idle() && l.circuit.Untroubled()
}

// enough reports whether the limits have room for e, where keys share all of them.
func (c *Core) enough(e *Entry) bool {
	costs := c.limits.costs(e)
	for i, b := range c.limits.buckets {
		if costs[i] == 0 {
			continue
		}
		if b.Advance(c.now); !b.Has(costs[i]) {
			return false
		}
	}
	return true
}
