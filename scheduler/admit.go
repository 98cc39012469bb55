package scheduler

import (
	"math/bits"

	"github.com/toller-go/toller/policy"
)

// admit is the one door (S-A1): it starts whatever may start now. Every gate is looked at before anything is taken
// (S-A2): worker, own gates of the lane, shared limits and groups; and the lanes take turns.
//
// A job that lacks something of what keys share holds the line for what it has to wait for longest: for the rest of this turn
// that is kept from all whose turn comes later (S-A5). Those who need nothing of it pass.
func (c *Core) admit() {
	if c.occupied == 0 && c.claim.entry == nil && len(c.pools) == 0 {
		c.line = policy.Never
		return // nobody who could start waits
	}
	for _, pool := range c.pools {
		pool.returned(c)
	}
	for again := true; again; again = c.letGo {
		c.admitOnce() // once more if somebody held the line who does not wait for that any more
	}
	c.queueUp()
}

func (c *Core) admitOnce() {
	c.claim, c.queuing, c.line, c.letGo = claim{}, claim{}, policy.Never, false
	c.turn++
	c.admitPlain()
	var held, forGood gates
	for !c.paused && c.inFlight < c.workers {
		e := c.next(held)
		if e == nil {
			break
		}
		l := e.lane()
		if !c.laneAdmits(l) || !c.ownLimitsAdmit(e) {
			continue // it has left the ring; it blocks nobody else
		}
		if c.begin(l); !e.paid && l.deficit < int64(e.size) {
			c.endTurn(l)
			continue
		}
		if c.delaysElder(e) || c.takesElders(e, held, forGood) {
			e.seat.passedOver = c.turn
			c.line = min(c.line, c.claim.at)
			continue
		}
		if lacks, at := c.lacking(e); !lacks.none() {
			held = held.with(lacks)
			if c.neverComes(e, lacks) {
				forGood = forGood.with(lacks)
			} else if c.queuing.entry == nil && c.needsShared(e) {
				c.queuing = claim{e, lacks, at}
			}
			c.noteHold(e, lacks)
			c.pay(e)
			c.claim.give(e, lacks, at)
			c.line = min(c.line, at)
			continue
		}
		c.pay(e)
		c.start(l, e)
		c.spend(e.seat)
		c.lookAgain(l)
	}
}

// lookAgain looks at the gates of a lane of which a job has just started while others of it hold the line. Those for which one
// of them has closed by that wait for their own now, and let go of the line.
func (c *Core) lookAgain(l *lane) {
	for _, s := range l.ready.seats {
		if s.ring != nil && s.heldOn == c.turn && c.laneAdmits(l) {
			c.ownLimitsAdmit(c.head(s))
		}
	}
}

// lacking returns those of the gates that keys share which e has to wait for longest, and when they will have room for it;
// [policy.Never] if no time can tell. Of others that it lacks there will be enough before that: what e needs of them then is
// kept by its claim, and until then they are nobody's.
func (c *Core) lacking(e *Entry) (lacks gates, at policy.Time) {
	at = c.now
	costs := c.limits.costs(e)
	for i, b := range c.limits.buckets {
		cost := costs[i]
		if b.Bucket == nil || cost == 0 {
			continue
		}
		if free := c.freeAt(b, e, i, cost); free > c.now {
			lacks.limits, at = longest(lacks.limits, at, i, free)
		}
	}
	if c.groupFull(e) && !c.neverComes(e, lacks) {
		// No time can tell. All its groups are kept for it: those that have room could be full when the others are not.
		if lacks.groups = e.Groups; at != policy.Never {
			lacks.limits, at = 0, policy.Never
		}
	}
	return lacks, at
}

// neverComes reports whether e waits for a limit of which there may never be enough, and not just for time to pass or others to end.
func (c *Core) neverComes(e *Entry, lacks gates) bool {
	costs := c.limits.costs(e)
	for left := lacks.limits; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if b := c.limits.buckets[i]; b.Bucket != nil && b.readyAt(costs[i]) == policy.Never {
			return true
		}
	}
	return false
}

// longest adds a limit that has room at the instant free to those that have it at the instant at, if it is among the last.
func longest(last uint64, at policy.Time, limit int, free policy.Time) (uint64, policy.Time) {
	switch bit := uint64(1) << limit; {
	case free > at:
		return bit, free
	case free == at:
		return last | bit, at
	default:
		return last, at
	}
}

// freeAt returns when e may take cost of a limit that keys share: now, unless there is too little, or it would delay a job
// with a claim.
func (c *Core) freeAt(b clockedBucket, e *Entry, limit int, cost policy.Amount) policy.Time {
	b.Advance(b.instant(c.now))
	at := c.now
	if !b.Has(cost) {
		at = b.readyAt(cost)
	} else if ahead := b.pool.blocks(c, e, cost, b.instant(c.now)); ahead > 0 {
		at = policy.Never // until another core says so
		if both := b.readyAt(cost + ahead); both > c.now {
			c.line = min(c.line, both) // or there is enough for its job and for e, should it not come
		}
	} else if first := c.claim.entry; first != nil && c.claim.delayedBy(b, cost, c.limits.costs(first)[limit]) {
		at = c.claim.at
	}
	if at > c.now {
		b.pool.refused(c)
	}
	return at
}

// laneAdmits looks at the gates that are the lane's own and the same for all its jobs. If one is closed, the lane leaves the
// rings until it opens.
func (c *Core) laneAdmits(l *lane) bool {
	l.cool.Advance(c.now)
	if l.cool.Undrawn() {
		l.cool.Draw(c.now, l.ready.len, c.random.unit())
	}
	if at := l.cool.ReadyAt(); at > c.now {
		c.leave(l, at)
		return false
	}
	if !l.circuit.Admits() {
		// No instant to wait for: a transition of the circuit, or the end of an attempt, looks at the lane again.
		c.leave(l, policy.Never)
		if l.circuit.Rejects() {
			c.rejectFailFast(l)
		}
		return false
	}
	if c.full(l) {
		c.leave(l, policy.Never) // the end of an attempt looks again
		return false
	}
	return true
}

// ownLimitsAdmit looks at the lane's own limits. If e has to wait for one, its seat leaves the ring until then. Others of the
// lane that do not need it may go on, as long as that does not delay the first one that waits.
func (c *Core) ownLimitsAdmit(e *Entry) bool {
	l, lacks, at := e.lane(), gates{}, c.now
	if len(l.own) == 0 {
		return true
	}
	costs := c.limits.costs(e)
	for k := range l.own {
		l.own[k].Advance(c.now)
	}
	for i, k := range c.limits.own {
		if k < 0 || costs[i] == 0 {
			continue
		}
		if free := c.ownFreeAt(&l.own[k], e, i); free > c.now {
			lacks.limits, at = longest(lacks.limits, at, i, free)
		}
	}
	if first := &l.claim; c.comesFirst(first.entry, e) && first.lacks.meets(e.seat.needs) {
		lacks, at = lacks.with(first.lacks), max(at, first.at)
	}
	if lacks.none() {
		return true
	}
	if first := l.claim.entry; first != nil && c.precedes(e, first) && (at != policy.Never || l.claim.at == policy.Never) {
		l.claim = claim{} // that was looked at before e came, or before the time for e
	}
	l.claim.give(e, lacks, at)
	e.seat.gate = at
	c.unplace(e.seat)
	c.schedule(l)
	return false
}

// comesFirst reports whether the claim of first, which may be nil, on something of its lane's is one that e of the same lane has to heed.
func (c *Core) comesFirst(first, e *Entry) bool {
	return first != nil && first != e && !c.precedes(e, first)
}

// ownFreeAt is freeAt for one of the lane's own limits.
func (c *Core) ownFreeAt(b *policy.Bucket, e *Entry, limit int) policy.Time {
	cost, claim := c.limits.costs(e)[limit], &e.lane().claim
	first := claim.entry
	switch {
	case !b.Has(cost):
		return b.ReadyAt(cost)
	case c.comesFirst(first, e) && claim.delayedBy(clockedBucket{Bucket: b}, cost, c.limits.costs(first)[limit]):
		return claim.at
	default:
		return c.now
	}
}

// delaysElder reports whether e would take of what is its lane's own, a worker or a limit, what an older job of the lane, the
// first that waits for something that keys share, is going to need.
func (c *Core) delaysElder(e *Entry) bool {
	first := c.claim.entry
	if first == nil || first.lane() != e.lane() {
		return false
	}
	if workers := c.workersOf(e.lane()); c.claim.at != policy.Never && workers > 0 && e.lane().inFlight+1 >= workers {
		return true // the key's last worker
	}
	for i, k := range c.limits.own {
		if k < 0 || c.limits.costs(e)[i] == 0 {
			continue
		}
		if c.claim.delayedBy(clockedBucket{Bucket: &e.lane().own[k]}, c.limits.costs(e)[i], c.limits.costs(first)[i]) {
			return true
		}
	}
	return false
}

// takesElders reports whether e would take of what is its lane's own, the last worker or a limit, what another job of the lane that goes
// before it is going to need: one that waits for what keys share, be it behind others who hold the line for that. Or jobs of the key that
// need none of that could keep it busy, or short, whenever the other's turn has come. Where attempts wait for other jobs nothing is kept:
// this could be what they wait for.
func (c *Core) takesElders(e *Entry, held, forGood gates) bool {
	l := e.lane()
	workers := c.workersOf(l)
	last := workers > 0 && l.inFlight+1 >= workers
	if len(l.ready.seats) == 1 || !last && len(l.own) == 0 || len(c.awaits) > 0 {
		return false
	}
	for _, s := range l.ready.seats {
		if s == e.seat || s.ring == nil || s.class < e.seat.class || s.heldOn != c.turn && !s.needs.meets(held) || s.needs.meets(forGood) {
			continue
		}
		elder := c.head(s)
		if elder == c.claim.entry && c.claim.at != policy.Never || !c.precedes(elder, e) || !c.takesOwn(e, elder, last) {
			continue // delaysElder has looked at the first, for which some may be left over until its time
		}
		if lacks, _ := c.lacking(elder); !c.neverComes(elder, lacks) {
			return true
		}
	}
	return false
}

// takesOwn reports whether elder would have to wait longer for its lane's own limits if e started now; or, if it has not to wait for them at
// all, for a worker, should e take the last.
func (c *Core) takesOwn(e, elder *Entry, last bool) bool {
	l, costs, needs, at := e.lane(), c.limits.costs(e), c.limits.costs(elder), c.now
	for i, k := range c.limits.own {
		if k >= 0 {
			l.own[k].Advance(c.now)
			at = max(at, l.own[k].ReadyAt(needs[i]))
		}
	}
	if at == policy.Never {
		return false
	}
	takes := last && at == c.now
	for i, k := range c.limits.own {
		if k < 0 || costs[i] == 0 || l.own[k].Allows(costs[i], needs[i], at) {
			continue
		}
		takes = true
		if both := l.own[k].ReadyAt(costs[i] + needs[i]); both > c.now {
			c.line = min(c.line, both) // then there is enough for both
		}
	}
	return takes
}

// start takes from every gate and hands the attempt to the owner.
func (c *Core) start(l *lane, e *Entry) {
	l.ready.remove(e)
	c.forgoClaim(e)
	e.paid = false
	c.launch(l, e)
	c.emit(Effect{Kind: Start, Entry: e})
	if e.pass.Probe() && l.circuit.Rejects() {
		c.rejectFailFast(l) // all probes are out
	}
	if e == l.claim.entry {
		c.touch(l) // what it kept from others of the lane is theirs
	}
}

// launch takes what an attempt needs from every gate, and counts it.
func (c *Core) launch(l *lane, e *Entry) {
	c.limits.take(e)
	l.spending.Attempt(c.now)
	e.pass = l.circuit.Start(c.now)
	e.visit = l.cool.Start(c.now)
	e.runs++
	if e.past != nil {
		e.corrected = 0
	}
	e.state, e.started = Running, c.now
	c.takeOff(l, e)
}

// takeOff and land keep count of the attempts in flight.
func (c *Core) takeOff(l *lane, e *Entry) {
	c.flying.pushBack(e)
	c.inFlight++
	l.inFlight++
	c.countInGroups(e, 1)
}

func (c *Core) land(l *lane, e *Entry) {
	c.forgetAwaits(e)
	c.flying.remove(e)
	c.inFlight--
	l.inFlight--
	c.countInGroups(e, -1)
	if len(c.awaits) > 0 && (c.inFlight >= c.workers || c.full(l) || c.groupFull(e)) {
		c.entangled = true // there are fewer workers than before, and its end made no room: what is left may be stuck
	}
}
