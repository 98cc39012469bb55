package oracle

// What must not be left undone: nobody sleeps who could go on.

// goesOn judges the one wake-up (S-L9).
func (j *Judge) goesOn(wake Time) {
	if wake <= j.now {
		j.fail("S-L9", "the next wake-up is at %v, and now is %v: the owner would spin", wake, j.now)
	}
	queued := 0
	only := -1
	for _, i := range j.live {
		switch b := &j.jobs[i]; {
		case b.state == Queued:
			queued++
			only = i
		case b.state == Waiting && wake > b.until:
			j.fail("S-L9", "job %d may go on at %v, and the next wake-up is at %v", i, b.until, wake)
		}
		if b := &j.jobs[i]; b.Deadline > 0 && !b.Announced && !b.explained && wake > b.Deadline {
			j.fail("S-L9", "job %d has a deadline at %v, and the next wake-up is at %v", i, b.Deadline, wake)
		}
	}
	for k, l := range j.lanes {
		if at := l.circuit.due(); l.exists && wake > at && (l.circuit.state != shut || l.waiting > 0) {
			j.fail("S-B10", "the circuit of key %d changes at %v, and the next wake-up is at %v", k, at, wake)
		}
	}
	if j.fault != nil || queued == 0 || j.paused {
		return
	}
	if queued == 1 {
		j.alone(only, wake)
	} else if len(j.cfg.Limits) == 0 && len(j.cfg.Groups) == 0 {
		for _, i := range j.live {
			if j.jobs[i].state == Queued {
				j.alone(i, wake)
			}
		}
	}
	if wake == Never && j.inFlight == 0 {
		j.asleep()
	}
}

// alone judges a job with which nobody competes: it starts when its gates are open, or somebody wakes when they will be (S-T2).
func (j *Judge) alone(i int, wake Time) {
	b := &j.jobs[i]
	l := j.lanes[b.Key]
	busy := j.inFlight >= j.cfg.Workers || j.keyWorkers(l) > 0 && l.inFlight >= j.keyWorkers(l)
	for g := range j.groups {
		busy = busy || b.Groups&(1<<g) != 0 && j.groups[g] >= j.cfg.Groups[g]
	}
	if busy || !l.circuit.admits() {
		return // an end looks again
	}
	ready := j.now
	for k := range j.cfg.Limits {
		bucket, now := j.bucket(b.Key, k)
		cost := j.costs(b, k)
		if cost == 0 || bucket.level.rate.Kind == Unlimited {
			continue
		}
		if !bucket.exact() || len(j.cfg.Pools) > 0 {
			return // it may hold less
		}
		bucket.advance(now)
		ready = max(ready, bucket.readyAt(cost))
	}
	switch {
	case !l.cool.quiet(j.now):
		// Chance has drawn when those go on that waited for a cooldown; but somebody wakes for it.
		if end := l.cool.until.Add(l.cool.wide).Add(grace); ready <= j.now && wake > max(end, j.now.Add(grace+l.cool.wide)) {
			j.fail("S-L9", "job %d waits for a cooldown that ended at %v, and the next wake-up is at %v", i, l.cool.until, wake)
		}
	case ready <= j.now:
		j.fail("S-T2", "job %d could start, nothing holds it back, and it did not", i)
	case wake > ready:
		j.fail("S-L9", "job %d could start at %v, and the next wake-up is at %v", i, ready, wake)
	}
}

// asleep judges whether those who wait for ever wait for somebody's word (S-T2: unsettled work implies that something runs or a
// wake-up is set).
func (j *Judge) asleep() {
	for k := range j.cfg.Limits {
		for key := range j.lanes {
			if j.rule(key, k).Rate.Kind == Blocked || k >= len(j.cfg.Limits)-len(j.cfg.Pools) {
				return // who waits for that holds the line for others, or other cores do
			}
		}
	}
	for _, i := range j.live {
		b := &j.jobs[i]
		if l := j.lanes[b.Key]; b.state == Queued && (l.circuit.state != open || l.circuit.until != Never) {
			j.fail("S-T2", "job %d waits, nothing runs, and no wake-up is set", i)
		}
	}
}
