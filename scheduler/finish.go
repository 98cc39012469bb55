package scheduler

import (
	"time"

	"github.com/toller-go/toller/policy"
)

// done takes the end of an attempt: circuit and cooldown learn from it once, and then it is decided what becomes of the
// job.
func (c *Core) done(e *Entry, out policy.Outcome) {
	l, detached := e.lane(), e.state == Detached
	c.land(l, e)
	if detached {
		out.Verdict = policy.VerdictNeutral // we stopped asking: it says nothing about the backend (S-B2)
	}
	out.Hint = e.rule(c).Heed(out.Hint)
	if out.Unbilled {
		c.refund(e)
	}
	ending := policy.Ending{Verdict: out.Verdict, Took: c.now.Sub(e.started), Hint: out.Hint}
	if l.circuit.End(c.now, e.pass, ending) {
		c.transition(l, e)
	}
	if out.Throttled {
		c.throttle(l, e, out)
	} else {
		l.cool.End(c.now, e.visit, out.Verdict == policy.VerdictSuccess)
	}
	var reason Reason
	if detached {
		e.state = Settled
	} else if reason = c.decide(e, out); reason.ownEnd() && l.circuit.EndJob(c.now, e.pass, ending) {
		c.transition(l, e)
	}
	if detached || reason != 0 {
		c.forget(e)
	}
	c.review(l)
}

// unstarted takes back an attempt that never ran its function, and with it all that was taken for it (S-L1).
func (c *Core) unstarted(e *Entry) {
	l := e.lane()
	c.land(l, e)
	c.limits.giveBack(e)
	l.circuit.Return(e.pass)
	l.spending.Return(c.now, e.started)
	l.cool.End(c.now, e.visit, false)
	e.runs--
	switch {
	case e.state == Detached:
		e.state = Settled
		c.forget(e)
	case c.stopping:
		c.settle(e, NotStarted)
		c.forget(e)
	default:
		c.enqueue(e, false)
	}
	c.review(l)
}

// throttle cools the lane down, and ends the jobs of it for which that is too long (S-L10, S-A8).
func (c *Core) throttle(l *lane, e *Entry, out policy.Outcome) {
	before := l.cool.Until()
	l.cool.Throttle(c.now, e.visit, out.Hint, out.Hinted)
	until := l.cool.Until()
	if until == before {
		return
	}
	c.emit(Effect{Kind: Cooling, Entry: e, Key: l.key, Until: until})
	var late []*Entry
	c.deadline.below(int64(until.Add(1)), func(other *Entry) {
		if other.lane() == l && (other.state == Queued || other.state == Waiting) {
			late = append(late, other)
		}
	})
	for _, other := range late {
		c.drop(other, DeadlinePassed)
	}
}

// decide settles a job whose attempt has ended, or parks it until the next one. Everything that could speak against a
// next attempt is asked now, before the wait and not after it (S-R6). It returns the reason, zero when the job goes on.
func (c *Core) decide(e *Entry, out policy.Outcome) Reason {
	if out.Verdict == policy.VerdictSuccess && !out.Retry {
		c.settle(e, Succeeded)
		return Succeeded
	}
	wait, reason := c.nextWait(e, out)
	if reason == 0 {
		reason = c.objection(e, out, c.now.Add(wait))
	}
	if reason == 0 && !out.Throttled && !c.probed(e, out) && !e.lane().spending.Retry(c.now) {
		reason = BudgetUsedUp // asked last: what is granted is charged (S-R6, S-R11)
	}
	if reason != 0 {
		c.settle(e, reason)
		return reason
	}
	c.park(e, c.now.Add(wait))
	return 0
}

// nextWait returns how long e waits for its next attempt, or the reason why there is none.
func (c *Core) nextWait(e *Entry, out policy.Outcome) (time.Duration, Reason) {
	r := e.rule(c)
	if !out.Retry || r.Off() {
		return 0, Failed
	}
	var wait time.Duration
	var spread float64
	c.remember(e)
	if out.Throttled {
		// Throttles don't use up attempts (S-R12). The lane spreads those that waited, so the job itself need not.
		e.throttles++
		wait = r.ThrottleWait(e.throttles, e.prevWait, c.random.unit())
	} else {
		e.throttles = 0
		if c.probed(e, out) {
			// The failed probe of a waiting job uses none either (S-B7). But it goes behind those that wait by now: as
			// the oldest it would be the next probe again, and one bad job could keep its key closed to all (S-A6).
			e.arrival = c.arrivals
			c.arrivals++
		} else {
			e.failures++
		}
		if r.MaxAttempts > 0 && e.failures >= r.MaxAttempts {
			return 0, AttemptsUsedUp
		}
		wait = r.Wait(e.failures, e.prevWait, c.random.unit())
		spread = c.random.unit()
	}
	e.prevWait = wait
	if out.Hinted {
		hinted, ok := r.WithHint(wait, out.Hint, spread)
		if !ok || !out.Throttled && c.now.Add(hinted) == policy.Never {
			return 0, HintTooLong // whatever the rule allows: nothing would wake it
		}
		wait = hinted
	}
	return wait, 0
}

// probed reports whether what has ended is the failed probe of a waiting job, which uses up nothing (S-B7).
func (c *Core) probed(e *Entry, out policy.Outcome) bool {
	return e.pass.Probe() && !e.FailFast && out.Verdict == policy.VerdictFailure
}

// objection returns what speaks against a next attempt of e at the instant at, or zero.
func (c *Core) objection(e *Entry, out policy.Outcome, at policy.Time) Reason {
	r, l := e.rule(c), e.lane()
	floor := max(at, l.cool.Until())
	switch {
	case c.stopping:
		return NotStarted
	case r.MaxElapsed > 0 && floor.Sub(e.submitted) >= r.MaxElapsed:
		return ElapsedUsedUp
	case e.tooLate(floor):
		return DeadlinePassed
	case e.FailFast && l.circuit.Rejects() && l.circuit.RetryAt(c.now) > at:
		return CircuitOpen
	}
	if out.Throttled {
		if floor == policy.Never {
			return ThrottledOut
		}
		own := max(0, at.Sub(max(c.now, l.cool.Until()))) // beyond the lane's cooldown
		if l.cool.Spent(floor)-e.coolBase+e.throttled+own > r.ThrottleBudget() {
			return ThrottledOut
		}
		e.throttled += own
	}
	return 0
}
