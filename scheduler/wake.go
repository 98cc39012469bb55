package scheduler

import "github.com/toller-go/toller/policy"

// touch looks at a lane's gates again in the next admission, because something that may open one has happened.
func (c *Core) touch(l *lane) {
	if l.claim.entry != nil {
		l.claim = claim{}
	}
	for _, s := range l.ready.seats {
		if s.len > 0 {
			s.gate = policy.Never
			c.place(s)
		}
	}
	c.schedule(l)
}

// review is touch, unless there is no more reason to keep the lane.
func (c *Core) review(l *lane) {
	if !c.retire(l) {
		c.touch(l)
	}
}

// leave takes l out of the rings until the instant at, or until it is touched.
func (c *Core) leave(l *lane, at policy.Time) {
	for _, s := range l.ready.seats {
		c.unplace(s)
		s.gate = at
	}
	c.schedule(l)
}

// schedule moves the lane's wake-up to the earliest instant at which something changes by itself.
func (c *Core) schedule(l *lane) {
	if l.retired {
		return
	}
	at := l.circuit.NextWake()
	for _, s := range l.ready.seats {
		if s.len > 0 && s.ring == nil {
			at = min(at, s.gate)
		}
	}
	if l.ready.len > 0 {
		at = min(at, c.risesAt(l))
	}
	if l.deserted() {
		at = min(at, l.freshAt(c.now))
	}
	if l.wakePos >= 0 {
		if policy.Time(c.wakes.nodes[l.wakePos].key) == at {
			return
		}
		c.wakes.remove(l.wakePos)
	}
	if at != policy.Never {
		c.wakes.push(int64(at), l.number, l)
	}
}

// wake does what is due in l.
func (c *Core) wake(l *lane) {
	c.wakes.remove(l.wakePos)
	if l.circuit.Advance(c.now) {
		c.transition(l, nil)
	}
	c.review(l)
}
