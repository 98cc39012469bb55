package scheduler

import "github.com/toller-go/toller/policy"

// submit takes in a new job.
func (c *Core) submit(e *Entry) {
	c.giveTerms(e)
	c.enlist(c.laneOf(e.Key, e.Rules), e)
	c.raise(int(e.Priority))
	if e.Deadline > 0 {
		c.deadline.push(int64(e.Deadline), e.arrival, e)
	}
	if e.NotBefore > c.now {
		c.park(e, e.NotBefore)
	} else {
		c.enqueue(e, true)
	}
}

// giveTerms gives a job terms that ask for nothing, if it has none.
func (c *Core) giveTerms(e *Entry) {
	if e.Terms == nil {
		e.Terms = &c.plain
	}
}

// enlist makes a new job one of a lane's.
func (c *Core) enlist(l *lane, e *Entry) {
	e.seat = l.seatFor(c.limits.needs(e))
	e.seat.jobs++
	e.arrival, e.submitted, e.deadlinePos = c.arrivals, c.now, -1
	if spent := l.cool.Spent(c.now); spent > 0 {
		c.remember(e).coolBase = spent
	}
	c.arrivals++
	c.unsettled++
	e.size = c.limits.sizeOf(e)
	c.quantum = max(c.quantum, int64(e.size))
}

// expire ends a job whose deadline has come, unless its owner is about to cancel it and can say more.
func (c *Core) expire(e *Entry) {
	if e.Announced {
		c.deadline.remove(e.deadlinePos)
		return
	}
	c.drop(e, DeadlinePassed)
}

// enqueue puts a job among those that could start now, unless it is already plain that it can't.
func (c *Core) enqueue(e *Entry, fresh bool) {
	l := e.lane()
	e.state = Queued
	l.ready.push(e, fresh)
	switch {
	case e.FailFast && l.circuit.Rejects():
		c.drop(e, CircuitOpen)
	case e.tooLate(max(c.now, l.cool.Until())):
		c.drop(e, DeadlinePassed)
	case !c.limits.admits(e):
		c.drop(e, CostTooHigh) // its owner has asked before, but a burst may have been lowered since
	case fresh && e.seat.ring != nil && e.prev != nil:
		// It stands behind another of its like, and nothing has changed for that one.
	default:
		c.touch(l)
	}
}

// tooLate reports whether a wait until at, which nothing can shorten, ends at or after e's deadline (S-A8).
func (e *Entry) tooLate(at policy.Time) bool { return e.Deadline > 0 && at >= e.Deadline }

// park puts a job aside until the instant at, unless that is too late for it.
func (c *Core) park(e *Entry, at policy.Time) {
	e.state = Waiting
	e.lane().parked++
	c.parked.push(int64(at), e.arrival, e)
	if e.tooLate(max(at, e.lane().cool.Until())) {
		c.drop(e, DeadlinePassed)
		return
	}
	c.emit(Effect{Kind: Parked, Entry: e, Until: at})
}

// unpark makes a job ready whose wait is over.
func (c *Core) unpark(e *Entry) {
	c.parked.remove(e.pos)
	e.lane().parked--
	c.enqueue(e, false)
}

// drop settles a job, wherever it stands. One that is running is told, and stays in flight until it ends.
func (c *Core) drop(e *Entry, reason Reason) {
	if e.state == Unknown {
		return
	}
	switch l := e.lane(); e.state {
	case Queued:
		l.ready.remove(e)
		if e.paid {
			e.paid, l.deficit = false, l.deficit+int64(e.size)
		}
		c.letGo = c.letGo || e.seat.heldOn == c.turn
		if e.seat.len == 0 {
			c.unplace(e.seat)
		}
		c.settle(e, reason)
		c.forget(e)
		c.review(l) // a job behind it may pass where this one could not
	case Waiting:
		c.parked.remove(e.pos)
		l.parked--
		c.settle(e, reason)
		c.forget(e)
		c.review(l)
	case Running:
		c.emit(Effect{Kind: Signal, Entry: e, Reason: reason, Attempt: e.Runs()}) // first: nothing may begin for a job that is settled
		c.settle(e, reason)
		e.state = Detached
	case Detached, Settled:
	default:
	}
}

// settle ends a job, exactly once (S-F1).
func (c *Core) settle(e *Entry, reason Reason) {
	if e.deadlinePos >= 0 {
		c.deadline.remove(e.deadlinePos)
	}
	c.unsettled--
	c.forgoClaim(e)
	e.state = Settled
	effect := Effect{Kind: Settle, Entry: e, Reason: reason}
	switch reason {
	case CircuitOpen:
		effect.Until = e.lane().circuit.RetryAt(c.now)
	case AttemptsUsedUp:
		effect.Attempt = e.failures
	default:
	}
	c.emit(effect)
}

// dropWaiting settles every job that is not running, lane by lane and then the parked ones in order of time.
func (c *Core) dropWaiting(reason Reason) {
	for _, l := range c.lanes.inOrder() {
		for _, e := range l.ready.all() {
			c.drop(e, reason)
		}
	}
	for c.parked.len() > 0 {
		c.drop(c.parked.min().item, reason)
	}
}

// dropFlying settles every job that is running.
func (c *Core) dropFlying(reason Reason) {
	for e := c.flying.first; e != nil; e = e.next {
		c.drop(e, reason)
	}
}

// retire forgets a lane that cannot be told from a new one (S-A9).
func (c *Core) retire(l *lane) (gone bool) {
	if l.retired || !l.deserted() || l.freshAt(c.now) > c.now {
		return l.retired
	}
	l.retired = true
	l.claim = claim{}
	if len(l.ready.seats) >= manySeats {
		l.ready.seats = nil
	}
	if l.wakePos >= 0 {
		c.wakes.remove(l.wakePos)
	}
	c.keepSpare(l)
	c.emit(Effect{Kind: Forgotten, Key: l.key})
	return true
}
