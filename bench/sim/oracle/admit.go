package oracle

// start judges one admission: every gate must be open, and then all is taken at once (S-A1, S-A2).
func (j *Judge) start(i int) {
	b := &j.jobs[i]
	l := j.lanes[b.Key]
	j.starts++ // an attempt that never ran and the one that takes its number are two
	who := j.cfg.Number<<48 | j.starts
	switch {
	case j.fault != nil:
		return
	case b.explained || b.reason != 0:
		j.fail("S-F1", "job %d starts, and is over", i)
	case b.state == Running:
		j.fail("S-C1", "job %d starts, and its attempt %d still runs", i, b.runs)
	case b.state != Queued:
		j.fail("S-A3", "job %d starts, and is %v until %v", i, b.state, b.until)
	case j.paused || j.stopping:
		j.fail("S-F6", "job %d starts in spite of a pause or stop", i)
	case j.now < b.NotBefore:
		j.fail("S-A3", "job %d starts at %v, and not before %v was asked for", i, j.now, b.NotBefore)
	case b.Deadline > 0 && !b.Announced && j.now >= b.Deadline:
		j.fail("S-A7", "job %d starts after its deadline", i)
	case j.inFlight >= j.cfg.Workers:
		j.fail("S-C1", "job %d starts when %d of %d workers are busy", i, j.inFlight, j.cfg.Workers)
	case j.keyWorkers(l) > 0 && l.inFlight >= j.keyWorkers(l):
		j.fail("S-C1", "job %d starts when %d of %d workers of its key are busy", i, l.inFlight, j.keyWorkers(l))
	}
	for g := range j.groups {
		if b.Groups&(1<<g) == 0 {
			continue
		}
		if j.groups[g]++; j.groups[g] > j.cfg.Groups[g] {
			j.fail("S-C1", "job %d starts as number %d of group %d, which has %d", i, j.groups[g], g, j.cfg.Groups[g])
		}
	}
	if broken := l.cool.start(j.now, who); broken != "" {
		j.fail("S-L10", "job %d starts at %v, and %s", i, j.now, broken)
	}
	j.inOrder(i)
	j.lease(i, l, who)
	j.charge(i, who)
	b.runs++
	b.who, b.started, b.state, b.episode = who, j.now, Running, l.cool.episode
	j.inFlight++
	l.inFlight++
	l.waiting--
	j.try(l)
}

// inOrder looks whether nobody of the same key, who needs the same and asks for the same priority, has come before (S-A5, S-A6).
func (j *Judge) inOrder(i int) {
	b := &j.jobs[i]
	for _, k := range j.live {
		o := &j.jobs[k]
		if k != i && o.Key == b.Key && o.state == Queued && o.reason == 0 && o.arrival < b.arrival && o.Priority == b.Priority && o.Groups == b.Groups && j.costAlike(o, b) {
			j.fail("S-A6", "job %d starts before job %d, which came before it and needs the same", i, k)
		}
	}
}

func (j *Judge) costAlike(o, b *job) bool {
	for k := range j.cfg.Limits {
		if j.costs(o, k) != j.costs(b, k) {
			return false
		}
	}
	return true
}

// lease looks at the circuit.
func (j *Judge) lease(i int, l *lane, who int) {
	b := &j.jobs[i]
	if !l.circuit.admits() {
		rule := "S-B5"
		if l.circuit.state == open {
			rule = "S-B1"
		}
		j.fail(rule, "job %d starts when the circuit of key %d (state %d) lets nobody pass: %d probes of %d, ramp %d, %d in flight",
			i, b.Key, l.circuit.state, len(l.circuit.leases), l.circuit.rule.Probes, l.circuit.ramp, l.circuit.flying)
	}
	b.generation = l.circuit.generation
	b.probe = l.circuit.start(j.now, who)
	l.rejected = l.rejected || l.circuit.rejects()
}

// charge looks at every limit, and takes from all.
func (j *Judge) charge(i, who int) {
	b := &j.jobs[i]
	if b.epochs == nil {
		b.epochs = make([]int, len(j.cfg.Limits))
	}
	for k := range j.cfg.Limits {
		bucket, now := j.bucket(b.Key, k)
		cost := j.costs(b, k)
		if !bucket.has(now, cost) {
			j.fail("S-L3", "job %d starts at %v at a cost of %v when limit %d holds %v of %v (and %v of %v in its window)",
				i, j.now, cost, k, bucket.level.level.floor(), bucket.level.burst, bucket.charged(), bucket.most)
		}
		if j.rule(b.Key, k).forbids(cost) {
			j.fail("S-L4", "job %d starts at a cost of %v, which limit %d never allows", i, cost, k)
		}
		b.epochs[k] = bucket.epoch
		if bucket.take(now, who, cost) {
			b.charged |= 1 << k
		}
	}
}

// deadlock judges what an attempt is told that waits for a job in vain (S-F8).
func (j *Judge) deadlock(i int) {
	kept := j.awaits[:0]
	for _, p := range j.awaits {
		if p.by != i {
			kept = append(kept, p)
		}
	}
	if len(kept) == len(j.awaits) {
		j.fail("S-F8", "job %d is told that it waits in vain, and waits for nothing", i)
	}
	j.awaits = kept
}

// close judges how things stand after the turn.
func (j *Judge) close() {
	v := &j.turn.View
	for i := range j.turn.Effects {
		switch e := &j.turn.Effects[i]; e.Kind {
		case Settle:
			if !j.jobs[e.Job].explained {
				j.explain(e.Job)
			}
		case Signal:
			b := &j.jobs[e.Job]
			if b.state != Detached && b.state != Settled {
				j.fail("S-F1", "job %d is signalled, and goes on", e.Job)
			}
		case Parked:
			j.jobs[e.Job].parked = 0
		default:
		}
	}
	j.noteFresh()
	for k, l := range j.lanes {
		switch {
		case len(l.told) > 0:
			j.fail("S-B4", "the circuit of key %d is %v, and nothing makes it so", k, l.told[0].Kind)
		case len(l.cooled) > 0:
			j.fail("S-L10", "key %d is in cooldown until %v, and nothing makes it so", k, l.cooled[0])
		case l.forgotten > 0 && !l.wasFresh:
			j.fail("S-A9", "key %d is forgotten, and has something to remember", k)
		}
		l.exists = l.balance > 0
		if l.balance < 0 || l.balance > 1 {
			j.fail("S-A9", "key %d is made or forgotten once too often", k)
		}
	}
	for _, i := range j.live {
		b := &j.jobs[i]
		b.doomed = false
		if seen := v.State(i); seen != b.state {
			j.fail("S-F1", "job %d is %v, and should be %v", i, seen, b.state)
		}
		if b.Deadline > 0 && !b.Announced && b.Deadline <= j.now && !b.explained {
			j.fail("S-F1", "job %d is still there at %v, after its deadline %v", i, j.now, b.Deadline)
		}
		if b.FailFast && b.state == Queued && j.lanes[b.Key].circuit.rejects() {
			j.fail("S-B7", "job %d waits for a circuit, and was not to", i)
		}
		if (b.state == Queued || b.state == Waiting) && b.Deadline > j.now && b.Deadline <= max(j.lanes[b.Key].cool.until, b.until) {
			j.fail("S-A8", "job %d waits, and what it waits for ends after its deadline %v", i, b.Deadline)
		}
		if b.state == Queued && j.impossible(b) {
			j.fail("S-L4", "job %d waits, and its cost is above what a limit ever allows", i)
		}
	}
	if v.InFlight != j.inFlight {
		j.fail("S-C1", "%d attempts are in flight, and the scheduler says %d", j.inFlight, v.InFlight)
	}
	if v.Unsettled != j.unsettled {
		j.fail("S-F1", "%d jobs are unsettled, and the scheduler says %d", j.unsettled, v.Unsettled)
	}
	j.look(v.Levels)
	for _, k := range v.Keys {
		if c := &j.lanes[k.Key].circuit; k.State != uint8(c.state) || k.Mode != c.mode {
			j.fail("S-B11", "the circuit of key %d is seen in state %d, mode %d, and should be in %d, %d", k.Key, k.State, k.Mode, c.state, c.mode)
		}
	}
	j.sweep()
	j.goesOn(v.NextWake)
}

// explain judges the end of a job for a reason that may come up at any time of a turn.
func (j *Judge) explain(i int) {
	b := &j.jobs[i]
	l := j.lanes[b.Key]
	ok := b.state == Queued || b.state == Waiting
	switch b.reason {
	case CircuitOpen:
		ok = ok && b.FailFast && l.rejected
	case DeadlinePassed:
		ok = ok && b.Deadline > 0 && max(j.now, l.cool.until, b.until, b.NotBefore, b.parked) >= b.Deadline
	case CostTooHigh:
		ok = ok && (b.doomed || j.impossible(b))
	default:
		ok = false
	}
	if !ok {
		j.fail("S-F1", "job %d, %v, is over for reason %d, and nothing makes it so", i, b.state, b.reason)
	}
	j.settle(i, b.reason)
}

// look compares the levels of buckets.
func (j *Judge) look(levels []Level) {
	for _, seen := range levels {
		b := j.limits[seen.Limit]
		if seen.Key >= 0 {
			b = j.lanes[seen.Key].own[seen.Limit]
		}
		if !b.see(j.now, seen.Micro) {
			j.fail("S-L8", "limit %d (key %d) holds %v, and should hold %v (exactly: %t, sliding %t with %v of %v left)",
				seen.Limit, seen.Key, seen.Micro, b.level.level.floor(), b.exact(), b.sliding, b.most-b.charged(), b.most)
		}
	}
}
