package scheduler

import "github.com/toller-go/toller/policy"

// transition tells of the circuit's new state and turns away those who won't wait for it. cause is the job whose attempt
// is to blame, or nil.
func (c *Core) transition(l *lane, cause *Entry) {
	kind := [...]EffectKind{policy.Closed: Closed, policy.Open: Opened, policy.HalfOpen: HalfOpened}[l.circuit.State()]
	effect := Effect{Kind: kind, Entry: cause, Key: l.key}
	if kind == Opened {
		effect.Until = l.circuit.NextWake()
	}
	c.emit(effect)
	if l.circuit.Rejects() {
		c.rejectFailFast(l)
	}
	c.touch(l)
}

// rejectFailFast settles the jobs of l that are ready and won't wait for its circuit (S-B7).
func (c *Core) rejectFailFast(l *lane) {
	if l.ready.failFast == 0 {
		return
	}
	for _, e := range l.ready.all() {
		if e.FailFast {
			c.drop(e, CircuitOpen)
		}
	}
}

// override hands the circuit of a key to a person, or back to its rule (S-B11).
func (c *Core) override(key string, rules *KeyRules, mode policy.Mode) {
	l := c.laneOf(key, rules)
	if l.circuit.Set(mode) {
		c.transition(l, nil)
	}
	c.review(l)
}
