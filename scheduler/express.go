package scheduler

import "github.com/toller-go/toller/policy"

// Express takes a job that comes alone, as by Submit and Effects, if nothing stands in its way and nobody else is concerned: then
// its attempt starts at once, and that is all there is to do. Otherwise it does nothing that Submit would not do as well, and
// returns false.
//
// A caller who waits for each of his jobs never has two of them: no order is to be kept then, and to queue a job only to take it out
// again is most of what its submission would cost (BenchmarkExpress).
func (c *Core) Express(at policy.Time, e *Entry) bool {
	c.advance(at)
	if c.busy() || e.Terms != nil || int(e.Priority) > c.top {
		return false
	}
	l := c.laneOf(e.Key, nil)
	c.giveTerms(e)
	if l.rules != nil || !c.isOpen(l) || !c.enough(e) {
		return false
	}
	c.enlist(l, e)
	c.launch(l, e)
	if l.wakePos >= 0 {
		c.wakes.remove(l.wakePos) // it was to be looked at again if it idled
	}
	return true
}

// busy reports whether something else has to be done, or may have to be looked at, when a job comes. Where nobody stands in line
// nobody has a claim either, and the only jobs that wait are those of closed keys.
func (c *Core) busy() bool {
	return c.occupied != 0 || c.inFlight >= c.workers || c.limits.capped || len(c.pools) > 0 || len(c.awaits) > 0 ||
		c.paused || c.stopping || len(c.effects) > 0
}
