package scheduler

import "github.com/toller-go/toller/policy"

// Unwelcome calls visit for every attempt in flight that would not be admitted any more, because of a pause, a stop, its key's
// cooldown or its circuit: the owner answers with Unstarted for those whose function it has not called yet, and nothing is sent
// that should not be (S-L1, S-L10). Something of the kind has happened when an Opened or Cooling effect came out, or after Pause
// and Stop; at other times there is none.
func (c *Core) Unwelcome(visit func(*Entry)) {
	for e := c.flying.first; e != nil; e = e.next {
		l := e.lane()
		if c.paused || c.stopping || l.circuit.State() == policy.Open || l.cool.Until() > c.now {
			visit(e)
		}
	}
}
