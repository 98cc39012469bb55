package oracle

import (
	"slices"
)

// event applies what went in.
func (j *Judge) event(ev *Event) {
	switch ev.Kind {
	case Tick:
	case Revise: // of a pool, whose change was told
		j.failImpossible()
	case Submit:
		j.submit(ev)
	case Done:
		if j.flies(ev) {
			j.done(ev)
		}
	case Unstarted:
		if j.flies(ev) {
			j.unstarted(ev)
		}
	case Cancel:
		j.drop(ev.Job, Canceled)
	case Pause:
		j.paused = true
	case Resume:
		j.paused = false
	case Stop, Abort:
		j.stop(ev.Kind == Abort)
	case Override:
		l := j.laneOf(ev)
		l.circuit.override(ev.Mode, func(t told) { j.transition(ev.Key, t) })
		l.rejected = l.rejected || l.circuit.rejects()
	case Correct:
		if j.flies(ev) {
			j.correct(ev.Job, ev.Limit, ev.Amount)
		}
	case SetRate, SetBurst, Observe:
		j.Doom()
		j.adjust(ev)
		j.failImpossible()
		j.Doom()
	case SetWorkers:
		j.cfg.Workers = ev.Workers
		for _, l := range j.lanes {
			if l.circuit.workers = ev.Workers; l.circuit.ramp > 0 {
				l.circuit.recover()
			}
		}
	case SetKeyWorkers:
		j.cfg.KeyWorkers = ev.Workers
	case SetGroup:
		j.cfg.Groups[ev.Group] = ev.Workers
	case Await:
		if b := &j.jobs[ev.By]; (b.state == Running || b.state == Detached) && ev.Attempt == b.runs {
			j.awaits = append(j.awaits, pair{ev.By, ev.Attempt, ev.Job})
		}
	case Unawait:
		if i := slices.Index(j.awaits, pair{ev.By, ev.Attempt, ev.Job}); i >= 0 {
			j.awaits = slices.Delete(j.awaits, i, i+1)
		}
	}
}

// Doom notes which jobs cost more than the limits ever allow as they are. It is to be called before a pool changes, too: the
// scheduler is told of that later.
func (j *Judge) Doom() {
	for _, i := range j.live {
		b := &j.jobs[i]
		b.doomed = b.doomed || j.impossible(b)
	}
}

// failImpossible looks whether jobs that wait and that a change has made impossible fail with it (S-L4). One that came back when it
// was impossible already may fail when its wait is over.
func (j *Judge) failImpossible() {
	for _, i := range j.live {
		b := &j.jobs[i]
		if (b.state == Queued || b.state == Waiting) && b.reason == 0 && !b.doomed && j.impossible(b) {
			j.fail("S-L4", "job %d waits, %v, and a limit never allows its cost any more", i, b.state)
		}
	}
}

// flies reports whether the attempt that the event is about is in flight; the end of any other changes nothing (S-F1, S-T3).
func (j *Judge) flies(ev *Event) bool {
	b := &j.jobs[ev.Job]
	return (b.state == Running || b.state == Detached) && ev.Attempt == b.runs
}

func (j *Judge) laneOf(ev *Event) *lane {
	l := j.lanes[ev.Key]
	if ev.New || !l.exists {
		j.make(l, ev.Rules)
	}
	return l
}

func (j *Judge) submit(ev *Event) {
	b := &j.jobs[ev.Job]
	l := j.laneOf(ev)
	l.waiting++
	j.unsettled++
	j.live = append(j.live, ev.Job)
	b.state, b.submitted, b.arrival = Queued, j.now, j.arrivals
	j.arrivals++
	if b.NotBefore > j.now {
		b.state, b.until = Waiting, b.NotBefore
		if b.parked != 0 && b.parked != b.NotBefore {
			j.fail("S-A3", "job %d is parked until %v, and may start at %v", ev.Job, b.parked, b.NotBefore)
		}
	}
}

// drop ends a job that may stand anywhere. One that the scheduler has ended before for a reason that is still to be judged is let be.
func (j *Judge) drop(i int, reason Reason) {
	b := &j.jobs[i]
	if b.state == Unknown || b.explained || b.reason != 0 && b.reason != reason {
		return
	}
	j.settle(i, reason)
}

func (j *Judge) stop(all bool) {
	j.stopping, j.paused = true, false
	reason := NotStarted
	if all {
		reason = Aborted
	}
	for _, i := range j.live {
		if b := &j.jobs[i]; all || b.state == Queued || b.state == Waiting {
			j.drop(i, reason)
		}
	}
}

// land takes an attempt out of the air.
func (j *Judge) land(i int) *lane {
	b := &j.jobs[i]
	l := j.lanes[b.Key]
	j.inFlight--
	l.inFlight--
	for g := range j.groups {
		if b.Groups&(1<<g) != 0 {
			j.groups[g]--
		}
	}
	j.awaits = slices.DeleteFunc(j.awaits, func(p pair) bool { return p.by == i })
	return l
}

// pay ends what an attempt in flight has to do with the limits: it keeps what it was charged.
func (j *Judge) pay(b *job) {
	for i := range j.cfg.Limits {
		if b.charged&(1<<i) != 0 {
			bucket, _ := j.bucket(b.Key, i)
			bucket.land()
		}
	}
	b.charged, b.corrected = 0, 0
}

func (j *Judge) done(ev *Event) {
	b := &j.jobs[ev.Job]
	l := j.land(ev.Job)
	out, detached := ev.Outcome, b.state == Detached
	if detached {
		out.Verdict = Neutral // S-B2
	}
	if out.Unbilled {
		for i := range j.cfg.Limits {
			j.correct(ev.Job, i, 0)
		}
	}
	j.pay(b)
	tell := func(t told) { j.transition(b.Key, t) }
	e := ending{out.Verdict, j.now.Sub(b.started), out.Hint}
	l.circuit.end(j.now, b.generation, b.who, e, l.opened(ev.Job), tell)
	l.rejected = l.rejected || l.circuit.rejects()
	if out.Throttled {
		if l.cool.throttle(j.now, b.episode, out.Hint, out.Hinted) {
			j.cooled(b.Key, l)
		}
	} else {
		l.cool.end(j.now, b.episode, b.who, out.Verdict == Success)
	}
	if detached {
		b.state = Settled
		return
	}
	j.follow(ev, b, out)
	if b.state == Settled && ownEnd(b.reason) {
		l.circuit.endJob(j.now, b.generation, b.probe, e, l.opened(ev.Job), tell)
		l.rejected = l.rejected || l.circuit.rejects()
	}
}

// ownEnd reports whether a job ended by itself, which says something about the backend (S-B9).
func ownEnd(r Reason) bool {
	switch r {
	case Succeeded, Failed, AttemptsUsedUp, ElapsedUsedUp, BudgetUsedUp, HintTooLong, DeadlinePassed:
		return true
	default:
		return false
	}
}

func (j *Judge) cooled(key int, l *lane) {
	if len(l.cooled) == 0 || l.cooled[0] != l.cool.until {
		j.fail("S-L10", "key %d should be in cooldown until %v; the scheduler says %v", key, l.cool.until, l.cooled)
		return
	}
	l.cooled = l.cooled[1:]
}

func (j *Judge) unstarted(ev *Event) {
	b := &j.jobs[ev.Job]
	l := j.land(ev.Job)
	for i := range j.cfg.Limits {
		if b.charged&(1<<i) == 0 {
			continue
		}
		bucket, now := j.bucket(b.Key, i)
		if bucket.epoch == b.epochs[i] {
			bucket.giveBack(now, b.who)
		}
		bucket.land()
	}
	b.charged, b.corrected = 0, 0
	l.circuit.giveBack(b.generation, b.who)
	l.cool.end(j.now, b.episode, b.who, false)
	if i := slices.Index(l.tries, b.started); i >= 0 {
		l.tries = slices.Delete(l.tries, i, i+1) // it was none (S-L1)
	}
	b.runs--
	switch {
	case b.state == Detached:
		b.state = Settled
	case j.stopping:
		b.state = Unknown
		j.settle(ev.Job, NotStarted)
	default:
		b.state = Queued
		l.waiting++
	}
}

// correct replaces what an attempt was charged by what it costs, once (S-L5).
func (j *Judge) correct(i, limit int, actual Micro) {
	b := &j.jobs[i]
	bit := uint64(1) << limit
	if !j.cfg.Limits[limit].Settled || b.corrected&bit != 0 {
		return
	}
	b.corrected |= bit
	bucket, now := j.bucket(b.Key, limit)
	cost := j.costs(b, limit)
	bucket.advance(now)
	if b.startedAt(j, limit) <= bucket.opened { // the scheduler can't tell whether it was charged, and may correct it
		bucket.inexact = true
		bucket.changed = max(bucket.changed, bucket.level.at)
	}
	if bucket.level.rate.Kind == Unlimited || bucket.epoch != b.epochs[limit] {
		return
	}
	if b.charged&bit == 0 && bucket.sliding && b.startedAt(j, limit) > bucket.gone { // it cost nothing until now
		bucket.charges = append(bucket.charges, charge{b.startedAt(j, limit), b.who, 0})
		slices.SortStableFunc(bucket.charges, func(a, b charge) int { return int(a.at - b.at) })
		bucket.expire(now)
	}
	bucket.settle(now, b.startedAt(j, limit), b.who, actual-cost)
}

// startedAt is when the attempt was admitted, by the clock of a limit.
func (b *job) startedAt(j *Judge, limit int) Time {
	if limit >= len(j.cfg.Limits)-len(j.cfg.Pools) {
		return b.started.Add(j.cfg.Ahead)
	}
	return b.started
}

func (j *Judge) adjust(ev *Event) {
	each := func(do func(*bucket)) {
		if b := j.limits[ev.Limit]; b != nil {
			do(b)
			return
		}
		do(j.models[ev.Limit])
		for _, l := range j.lanes {
			if _, special := l.rules.limit(ev.Limit); l.exists && !special {
				do(l.own[ev.Limit])
			}
		}
	}
	switch ev.Kind {
	case SetRate:
		j.cfg.Limits[ev.Limit].Rate = ev.Rate
		each(func(b *bucket) { b.setRate(j.now, ev.Rate) })
	case SetBurst:
		j.cfg.Limits[ev.Limit].Burst = ev.Amount
		each(func(b *bucket) { b.setBurst(j.now, ev.Amount) })
	default: // Observe: of one bucket
		if b := j.limits[ev.Limit]; b != nil {
			b.observe(j.now, ev.Amount)
			return
		}
		j.laneOf(ev).own[ev.Limit].observe(j.now, ev.Amount)
	}
}
