package policy

import (
	"fmt"
	"time"
)

// State is the state of a circuit.
type State uint8

// The states.
const (
	Closed   State = iota // attempts pass
	Open                  // nothing passes
	HalfOpen              // probes pass
)

// String returns the state as one lower-case word.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// Mode says who decides about a circuit: its rule, or a person.
type Mode uint8

// The modes. All but Automatic last until a Reset, or another of them.
const (
	Automatic    Mode = iota // the rule
	ForcedOpen               // open, and never tested
	ForcedClosed             // closed, whatever happens
	Disabled                 // closed, and nothing is counted
)

// String returns the mode in lower case.
func (m Mode) String() string {
	switch m {
	case Automatic:
		return "automatic"
	case ForcedOpen:
		return "forced open"
	case ForcedClosed:
		return "forced closed"
	case Disabled:
		return "disabled"
	default:
		return fmt.Sprintf("Mode(%d)", uint8(m))
	}
}

// Ending is the end of an attempt, or of a job, as a circuit sees it.
type Ending struct {
	Verdict Verdict
	Took    time.Duration // of an attempt: how long it ran
	Hint    time.Duration // the server's word on when to come back: a floor of the open time; zero when there is none
}

// Pass is what an attempt carries from [Circuit.Start] to [Circuit.End]. It ties the outcome to the generation of the
// circuit that admitted it, and, for a probe, to its lease.
type Pass struct {
	generation uint32
	lease      uint32 // 0: not a probe
}

// Probe reports whether the attempt was let through to test a half-open circuit.
func (p Pass) Probe() bool { return p.lease != 0 }

// lease is the right of one probe to be in flight while half open.
type lease struct {
	id      uint32
	expires Time
}

// Circuit is the running state of one key's [Breaker].
//
// Every transition starts a generation, and the end of an attempt of an earlier generation changes nothing (S-B4). A
// probe holds a lease until it ends, however it ends, or until the lease runs out (S-B3): a circuit cannot be jammed by a
// probe that never returns.
//
// A Circuit has one owner, which tells it the time through Advance before it asks anything else.
type Circuit struct {
	rule       *Breaker // with its defaults; shared by siblings, and never changed
	draw       func() float64
	full       int // when a ramp has reached this many, it is over
	state      State
	mode       Mode
	generation uint32 // 4 billion transitions outlive every attempt
	trips      int

	flying    int      // attempts of this generation in flight
	failures  int      // closed: failures in a row
	recent    *samples // closed: for the ratios; nil when there are none
	ramp      int      // closed, after an outage: how many may be in flight; 0 once all may
	rampUntil Time     // closed: when the ramp grows though nothing has succeeded

	openUntil    Time    // open: when to probe; Never until a Reset
	leases       []lease // half open: probes in flight, oldest first
	leaseID      uint32  // of the latest lease; no id is used twice in a generation
	successes    int     // half open: probes that succeeded
	failedProbes int     // since the outage began; they make the open time grow
	unusable     bool    // the key was called unusable, and no attempt has shown otherwise
}

// NewCircuit returns a closed circuit for b, which must be valid. full is the most attempts that can ever be in flight
// for the key, at which a ramp is over. draw returns random numbers from [0, 1); it is asked only for RecoveryJitter, and
// may be nil without.
func NewCircuit(b Breaker, full int, draw func() float64) Circuit {
	b = b.withDefaults()
	c := Circuit{rule: &b, full: full, draw: draw}
	return c.Sibling()
}

// Sibling returns a new circuit that has its rule, and all else that [NewCircuit] is told, in common with c: there may be
// one for each of very many keys.
func (c *Circuit) Sibling() Circuit {
	s := Circuit{rule: c.rule, full: c.full, draw: c.draw}
	if s.measures() {
		recent := newSamples(s.rule.Window, s.rule.WindowTime)
		s.recent = &recent
	}
	return s
}

// Renew makes a circuit that is fresh, see FreshAt, a new one: it has had no trips, and passes of before are void.
func (c *Circuit) Renew() {
	c.generation++
	c.trips = 0
}

// State returns the state as of the last Advance.
func (c *Circuit) State() State { return c.state }

// Mode returns who decides.
func (c *Circuit) Mode() Mode { return c.mode }

// Trips returns how many outages there have been. A circuit that opens again before it has fully recovered is still in
// the same one (S-B6).
func (c *Circuit) Trips() int { return c.trips }

// SetFull says anew how many attempts can ever be in flight for the key.
func (c *Circuit) SetFull(full int) {
	c.full = full
	if c.ramp >= full {
		c.endRamp()
	}
}

// FreshAt returns from when on the circuit cannot be told from a new one, save for its numbers of generations and trips, if
// nothing is asked of it; [Never] if that takes the outcome of an attempt to come.
func (c *Circuit) FreshAt(now Time) Time {
	if c.state != Closed || c.mode != Automatic || c.failures > 0 || c.ramp > 0 || c.failedProbes > 0 {
		return Never
	}
	if c.recent == nil {
		return now
	}
	return c.recent.emptyAt(now)
}

// Advance does what is due: an open circuit whose time is up becomes half open, a lease that has run out is a failed probe,
// and a ramp grows. It reports whether the state changed.
func (c *Circuit) Advance(now Time) bool {
	switch {
	case c.state == Open && now >= c.openUntil:
		c.enter(HalfOpen)
		return true
	case c.state == HalfOpen && len(c.leases) > 0 && now >= c.leases[0].expires:
		c.failProbe(now, 0)
		return true
	default:
		for c.ramp > 0 && now >= c.rampUntil {
			// As many as may be in flight have shown nothing for so long: they hang, or nobody asks any more. Either
			// way the key must not be held back for ever.
			c.growRamp(c.rampUntil)
		}
		return false
	}
}

// NextWake returns when Advance has something to do next; [Never] if only an event can change the circuit.
func (c *Circuit) NextWake() Time {
	switch {
	case c.state == Open:
		return c.openUntil
	case c.state == HalfOpen && len(c.leases) > 0:
		return c.leases[0].expires
	case c.ramp > 0:
		return c.rampUntil
	default:
		return Never
	}
}

// Untroubled reports whether attempts pass, any number of them, and will until one ends.
func (c *Circuit) Untroubled() bool { return c.state == Closed && c.ramp == 0 }

// Admits reports whether one more attempt may start.
func (c *Circuit) Admits() bool {
	switch c.state {
	case Closed:
		return c.ramp == 0 || c.flying < c.ramp // attempts from before the outage, which may hang, don't count
	case HalfOpen:
		return len(c.leases) < c.rule.Probes
	default:
		return false
	}
}

// Rejects reports whether work that won't wait fails now: the circuit is open, or half open with all its probes out.
func (c *Circuit) Rejects() bool {
	return c.state == Open || c.state == HalfOpen && len(c.leases) >= c.rule.Probes
}

// RetryAt returns when an attempt may next be admitted, as far as can be told: now while it may, [Never] if only a Reset
// can tell. While all probes are out it is the moment at which the oldest of them runs out.
func (c *Circuit) RetryAt(now Time) Time {
	if c.Rejects() {
		return c.NextWake()
	}
	return now
}

// Start admits one attempt. The caller has asked Admits in the same step.
func (c *Circuit) Start(now Time) Pass {
	p := Pass{generation: c.generation}
	c.flying++
	if c.state == HalfOpen {
		c.leaseID++
		p.lease = c.leaseID
		c.leases = append(c.leases, lease{id: p.lease, expires: now.Add(c.rule.ProbeTimeout)})
	}
	return p
}

// Return hands back the pass of an attempt that never started; nothing is learnt from it (S-B8).
func (c *Circuit) Return(p Pass) {
	if p.generation == c.generation {
		c.flying--
		c.dropLease(p.lease)
	}
}

// Set hands the circuit to a person, or back to its rule; either way it forgets what it has counted. It reports whether
// the state changed. Set(Automatic) is a reset.
func (c *Circuit) Set(m Mode) bool {
	before := c.state
	c.mode, c.failedProbes, c.unusable = m, 0, false
	if m == ForcedOpen {
		c.enter(Open)
		c.openUntil = Never
	} else {
		c.enter(Closed)
	}
	return c.state != before
}

// enter starts a generation in the given state; passes and leases of the one before are void.
func (c *Circuit) enter(s State) {
	c.generation++
	c.state = s
	c.flying, c.failures, c.successes, c.ramp = 0, 0, 0, 0
	c.leases = c.leases[:0]
	if c.recent != nil {
		c.recent.clear()
	}
}

// dropLease ends a lease, and reports whether there was one.
func (c *Circuit) dropLease(id uint32) bool {
	for i := range c.leases {
		if c.leases[i].id == id {
			c.leases = append(c.leases[:i], c.leases[i+1:]...)
			return true
		}
	}
	return false
}
