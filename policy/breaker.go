package policy

import (
	"cmp"
	"errors"
	"time"
)

// Defaults of the fields of a [Breaker] that is on.
const (
	DefaultRecoveryTimeout = 30 * time.Second
	DefaultProbes          = 1
	DefaultSuccesses       = 1
)

// WhenOpen says what becomes of a job whose key has an open circuit.
type WhenOpen uint8

// The choices.
const (
	// ByCall depends on how the job was handed in: what somebody waits for (Do, Wrap, TrySubmit) fails fast, what was
	// queued (Submit, Go) waits.
	ByCall WhenOpen = iota
	// FailFast ends the job at once with an [*OpenCircuitError].
	FailFast
	// Wait keeps the job, without using up attempts, until the circuit lets it through.
	Wait
)

// Breaker is a circuit breaker, one for each key. The zero Breaker is off.
//
// After FailureThreshold failures in a row the circuit opens and admits nothing for RecoveryTimeout. Then it is half
// open: up to Probes attempts at a time are let through, each holding a lease. Successes good ones close the circuit, one
// bad one opens it again. What the breaker learns from each end is its [Verdict]; neutral ends only hand back the lease.
//
// A circuit that has just closed is not given the whole backlog at once: it begins with one attempt more than Probes and
// grants one more for each success, which doubles the flow with every round trip, until all workers are in use (S-B5).
type Breaker struct {
	// FailureThreshold is how many failures in a row open the circuit. Zero turns the breaker off.
	FailureThreshold int
	// RecoveryTimeout is how long the circuit stays open. Defaults to 30 s.
	RecoveryTimeout time.Duration
	// Probes is how many attempts may run at once while half open. Defaults to 1.
	Probes int
	// Successes is how many probes must succeed to close the circuit. Defaults to 1.
	Successes int
	// ProbeTimeout is how long a probe's lease lasts. A probe that takes longer counts as a failure, and what it returns
	// later is ignored. Defaults to RecoveryTimeout.
	ProbeTimeout time.Duration
	// Reprobe is how long a key stays open that was called [Unusable]. Defaults to: until it is reset.
	Reprobe time.Duration
	// WhenOpen says what becomes of jobs that meet the open circuit. Defaults to [ByCall].
	WhenOpen WhenOpen
}

// Off reports whether b counts no failures.
func (b Breaker) Off() bool { return b.FailureThreshold == 0 }

// Validate returns nil, or one [*FieldError] for each field that makes no sense, joined.
func (b Breaker) Validate() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &FieldError{Field: "Breaker." + field, Value: value, Allowed: allowed})
		}
	}
	fault(b.FailureThreshold < 0, "FailureThreshold", b.FailureThreshold, "positive, or 0 for off")
	fault(b.Off() && (b.RecoveryTimeout != 0 || b.Probes != 0 || b.Successes != 0 || b.ProbeTimeout != 0),
		"FailureThreshold", 0, "set, because other fields of Breaker are: zero turns the breaker off")
	fault(b.RecoveryTimeout < 0, "RecoveryTimeout", b.RecoveryTimeout, "positive, or 0 for the default")
	fault(b.ProbeTimeout < 0, "ProbeTimeout", b.ProbeTimeout, "positive, or 0 for the default")
	fault(b.Reprobe < 0, "Reprobe", b.Reprobe, "positive, or 0 for never")
	fault(b.Probes < 0, "Probes", b.Probes, "positive, or 0 for the default")
	fault(b.Successes < 0, "Successes", b.Successes, "positive, or 0 for the default")
	fault(b.WhenOpen > Wait, "WhenOpen", b.WhenOpen, "ByCall, FailFast or Wait")
	return errors.Join(faults...)
}

// withDefaults returns b with every field set.
func (b Breaker) withDefaults() Breaker {
	b.RecoveryTimeout = cmp.Or(b.RecoveryTimeout, DefaultRecoveryTimeout)
	b.Probes = cmp.Or(b.Probes, DefaultProbes)
	b.Successes = cmp.Or(b.Successes, DefaultSuccesses)
	b.ProbeTimeout = cmp.Or(b.ProbeTimeout, b.RecoveryTimeout)
	return b
}
