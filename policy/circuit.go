package policy

import "fmt"

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

// Pass is what an attempt carries from [Circuit.Start] to [Circuit.End]. It ties the outcome to the generation of the
// circuit that admitted it, and, for a probe, to its lease.
type Pass struct {
	generation uint64
	lease      uint64 // 0: not a probe
}

// Probe reports whether the attempt was let through to test a half-open circuit.
func (p Pass) Probe() bool { return p.lease != 0 }

// lease is the right of one probe to be in flight while half open.
type lease struct {
	id      uint64
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
	rule       Breaker
	state      State
	generation uint64
	failures   int     // closed: failures in a row
	openUntil  Time    // open: when to probe; Never until a Reset
	leases     []lease // half open: probes in flight, oldest first
	leaseID    uint64  // of the latest lease; ids are never used twice
	successes  int     // half open: probes that succeeded
	ramp       int     // closed, after an outage: how many may be in flight; 0 once all may
	full       int     // when a ramp has reached this many, it is over
}

// NewCircuit returns a closed circuit for b, which must be valid. full is the most attempts that can ever be in flight
// for the key, at which a ramp is over.
func NewCircuit(b Breaker, full int) Circuit {
	return Circuit{rule: b.withDefaults(), full: full}
}

// State returns the state as of the last Advance.
func (c *Circuit) State() State { return c.state }

// Fresh reports whether the circuit cannot be told from a new one, save for its generation.
func (c *Circuit) Fresh() bool { return c.state == Closed && c.failures == 0 && c.ramp == 0 }

// Advance makes the transitions that are due: an open circuit whose time is up becomes half open, and a lease that has
// run out is a failed probe. It reports whether the state changed.
func (c *Circuit) Advance(now Time) bool {
	switch {
	case c.state == Open && now >= c.openUntil:
		c.enter(HalfOpen)
		return true
	case c.state == HalfOpen && len(c.leases) > 0 && now >= c.leases[0].expires:
		c.open(now.Add(c.rule.RecoveryTimeout))
		return true
	default:
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
	default:
		return Never
	}
}

// Admits reports whether one more attempt may start while inFlight of the key are running.
func (c *Circuit) Admits(inFlight int) bool {
	switch c.state {
	case Closed:
		return c.ramp == 0 || inFlight < c.ramp
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
		c.dropLease(p.lease)
	}
}

// End takes the verdict on an attempt, and reports whether the state changed. The pass is used up.
func (c *Circuit) End(now Time, p Pass, v Verdict) bool {
	if p.generation != c.generation {
		return false
	}
	if v == VerdictUnusable {
		c.openUnusable(now)
		return true
	}
	switch c.state {
	case Closed:
		return c.endClosed(now, v)
	case HalfOpen:
		return c.endProbe(now, p, v)
	default:
		return false // an open circuit admits nothing, so no attempt is of its generation
	}
}

func (c *Circuit) endClosed(now Time, v Verdict) bool {
	switch v {
	case VerdictSuccess:
		c.failures = 0
		if c.ramp > 0 {
			c.growRamp()
		}
	case VerdictFailure:
		c.failures++
		if !c.rule.Off() && c.failures >= c.rule.FailureThreshold {
			c.open(now.Add(c.rule.RecoveryTimeout))
			return true
		}
	case VerdictNeutral, VerdictUnusable:
	}
	return false
}

func (c *Circuit) endProbe(now Time, p Pass, v Verdict) bool {
	c.dropLease(p.lease)
	switch v {
	case VerdictSuccess:
		c.successes++
		if c.successes >= c.rule.Successes {
			c.enter(Closed)
			c.ramp = c.rule.Probes
			c.growRamp()
			return true
		}
	case VerdictFailure:
		c.open(now.Add(c.rule.RecoveryTimeout))
		return true
	case VerdictNeutral, VerdictUnusable:
	}
	return false
}

func (c *Circuit) growRamp() {
	c.ramp++
	if c.ramp >= c.full {
		c.ramp = 0
	}
}

// Reset closes the circuit and forgets what it has counted, as if it were new. It reports whether the state changed.
func (c *Circuit) Reset() bool {
	changed := c.state != Closed
	c.enter(Closed)
	return changed
}

func (c *Circuit) openUnusable(now Time) {
	until := Never
	if c.rule.Reprobe > 0 {
		until = now.Add(c.rule.Reprobe)
	}
	c.open(until)
}

func (c *Circuit) open(until Time) {
	c.enter(Open)
	c.openUntil = until
}

// enter starts a generation in the given state; passes and leases of the one before are void.
func (c *Circuit) enter(s State) {
	c.generation++
	c.state = s
	c.failures, c.successes, c.ramp = 0, 0, 0
	c.leases = c.leases[:0]
}

func (c *Circuit) dropLease(id uint64) {
	for i := range c.leases {
		if c.leases[i].id == id {
			c.leases = append(c.leases[:i], c.leases[i+1:]...)
			return
		}
	}
}
