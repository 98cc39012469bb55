package oracle

import "slices"

// noteFresh notes of keys that the scheduler says it has forgotten whether they could be, at some moment of the turn (S-A9).
func (j *Judge) noteFresh() {
	for _, l := range j.lanes {
		if l.forgotten > 0 && !l.wasFresh {
			l.wasFresh = j.fresh(l)
		}
	}
}

// fresh reports whether a lane cannot be told from a new one.
func (j *Judge) fresh(l *lane) bool {
	waiting := l.waiting
	for _, i := range j.live {
		if b := &j.jobs[i]; waiting > 0 && j.lanes[b.Key] == l && (b.state == Queued || b.state == Waiting) && b.reason != 0 && !b.explained {
			waiting-- // the scheduler has ended it, which is still to be judged
		}
	}
	if l.inFlight > 0 || waiting > 0 || !l.circuit.fresh(j.now) || !l.cool.fresh(j.now) {
		return false
	}
	if len(l.tries) > 0 && j.now.Sub(slices.Max(l.tries)) < j.cfg.Budget {
		return false
	}
	for _, b := range l.own {
		if b != nil && !b.full(j.now) {
			return false
		}
	}
	return true
}

// try notes that the budget counts one more attempt or retry.
func (j *Judge) try(l *lane) {
	if j.cfg.Budget > 0 {
		l.tries = append(slices.DeleteFunc(l.tries, func(t Time) bool { return j.now.Sub(t) >= j.cfg.Budget }), j.now)
	}
}

// make makes a lane that the scheduler has nothing of.
func (j *Judge) make(l *lane, rules *KeyRules) {
	if l.exists && !l.wasFresh && !j.fresh(l) {
		j.fail("S-A9", "a key is new again that had something to remember")
	}
	for _, i := range j.live {
		if b := &j.jobs[i]; l.exists && j.lanes[b.Key] == l && (b.state == Queued || b.state == Waiting) && b.reason != 0 && !b.explained {
			j.explain(i)
		}
	}
	l.balance++
	breaker := j.cfg.Breaker
	if rules != nil && rules.Breaker != nil {
		breaker = *rules.Breaker
	}
	fresh := lane{
		exists: true, rules: rules, circuit: circuit{rule: breaker, workers: j.cfg.Workers, leases: l.circuit.leases[:0], outcomes: l.circuit.outcomes[:0]},
		told: l.told, cooled: l.cooled, rejected: l.rejected, forgotten: l.forgotten, balance: l.balance, wasFresh: l.wasFresh, own: l.own[:0],
	}
	for i, model := range j.models {
		var own *bucket
		if rule, special := rules.limit(i); special {
			own = newBucket(&rule)
		} else if model != nil {
			copied := *model
			copied.record, copied.charges = nil, nil
			own = &copied
		}
		fresh.own = append(fresh.own, own)
	}
	*l = fresh
}

func (r *KeyRules) limit(i int) (Limit, bool) {
	if r == nil {
		return Limit{}, false
	}
	l, ok := r.Limits[i]
	return l, ok
}
