package oracle

import (
	"math"
	"time"
)

// follow judges what became of a job whose attempt has ended (S-R1 to S-R12).
func (j *Judge) follow(ev *Event, b *job, out Outcome) {
	r, l := j.retryOf(b), j.lanes[b.Key]
	b.state = Unknown // neither waiting nor running: what follows says it
	if out.Verdict == Success {
		j.settle(ev.Job, Succeeded)
		return
	}
	if !out.Retry || r.MaxAttempts == 0 {
		j.settle(ev.Job, Failed)
		return
	}
	spared := out.Throttled || b.probe && !b.FailFast && out.Verdict == Failure // S-R12, S-B7
	if out.Throttled {
		b.rows++
	} else if b.rows = 0; !spared {
		b.counted++
	} else {
		b.arrival = j.arrivals // a failed probe goes behind those that wait (S-A6)
		j.arrivals++
	}
	if !out.Throttled && r.MaxAttempts > 0 && b.counted >= r.MaxAttempts {
		j.settle(ev.Job, AttemptsUsedUp)
		return
	}
	if out.Hinted && r.MaxHint > 0 && out.Hint > r.MaxHint {
		j.settle(ev.Job, HintTooLong)
		return
	}
	if ev.After == Settled || b.parked == 0 {
		j.settle(ev.Job, j.objections(b, r, out, spared)...)
		return
	}
	j.wait(ev.Job, r, out)
	b.state, b.until = Waiting, b.parked
	l.waiting++
	if !spared {
		j.try(l)
	}
}

// objections returns what may speak against another attempt.
func (j *Judge) objections(b *job, r *Retry, out Outcome, spared bool) (reasons []Reason) {
	if j.stopping {
		return []Reason{NotStarted}
	}
	if r.MaxElapsed > 0 {
		reasons = append(reasons, ElapsedUsedUp)
	}
	if b.Deadline > 0 {
		reasons = append(reasons, DeadlinePassed)
	}
	if b.FailFast && j.lanes[b.Key].circuit.rejects() {
		reasons = append(reasons, CircuitOpen)
	}
	if out.Throttled {
		reasons = append(reasons, ThrottledOut)
	}
	if j.cfg.Budget > 0 && !spared {
		reasons = append(reasons, BudgetUsedUp)
	}
	return reasons
}

// wait judges how long a job waits for its next attempt.
func (j *Judge) wait(i int, r *Retry, out Outcome) {
	b := &j.jobs[i]
	wait := b.parked.Sub(j.now)
	backoff := time.Duration(math.Min(float64(r.Delay)*math.Pow(r.Backoff, float64(max(b.counted, 1)-1)), float64(r.MaxDelay)))
	if out.Throttled {
		backoff = time.Duration(math.Min(float64(r.Delay)*math.Pow(r.Backoff, float64(b.rows-1)), float64(r.MaxDelay)))
	}
	least, most := backoff, backoff
	if r.Jitter {
		least = 0
	}
	if out.Throttled {
		least, most = max(least, leastCooldown), max(most, leastCooldown)
	}
	if out.Hinted {
		least, most = max(least, out.Hint), max(most, out.Hint+out.Hint/10)
	}
	switch {
	case j.stopping:
		j.fail("S-F6", "job %d waits for another attempt after a stop", i)
	case wait < least || wait > most:
		j.fail("S-R2", "job %d waits %v after failure %d, hint %v, and should wait %v to %v", i, wait, b.counted, out.Hint, least, most)
	case r.MaxElapsed > 0 && max(b.parked, j.lanes[b.Key].cool.until).Sub(b.submitted) >= r.MaxElapsed:
		j.fail("S-R7", "job %d waits until %v, and has only %v since %v", i, b.parked, r.MaxElapsed, b.submitted)
	case b.FailFast && j.lanes[b.Key].circuit.rejects() && j.lanes[b.Key].circuit.due() > b.parked:
		j.fail("S-B7", "job %d waits until %v, and its circuit is tested at %v only", i, b.parked, j.lanes[b.Key].circuit.due())
	case b.Deadline > 0 && b.parked >= b.Deadline:
		j.fail("S-A8", "job %d waits until %v, beyond its deadline %v", i, b.parked, b.Deadline)
	}
}
