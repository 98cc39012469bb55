package policy

import (
	"cmp"
	"errors"
	"math"
	"time"
)

// Defaults of the fields of a [Breaker] that is on.
const (
	DefaultRecoveryTimeout    = 30 * time.Second
	DefaultMaxRecoveryTimeout = 10 * time.Minute
	DefaultProbes             = 1
	DefaultSuccesses          = 1
	DefaultWindow             = 100 // outcomes
	DefaultMinSamples         = 10
)

// WhenOpen says what becomes of a job whose key has an open circuit.
type WhenOpen uint8

// The choices.
const (
	// ByCall depends on how the job was handed in: what somebody waits for (Do, Wrap, TrySubmit) fails fast, what was
	// queued (Submit, Go, Map) waits.
	ByCall WhenOpen = iota
	// FailFast ends the job at once with an [*OpenCircuitError].
	FailFast
	// Wait keeps the job, without using up attempts, until the circuit lets it through.
	Wait
)

// Counted is what a closed circuit counts.
type Counted uint8

// The choices. A probe is always judged by its attempt.
const (
	CountAttempts Counted = iota // every attempt
	CountJobs                    // whole jobs: one that used up its retries is one failure
)

// Breaker is a circuit breaker, one for each key. The zero Breaker is off; FailureThreshold, FailureRatio and SlowRatio
// each turn it on, and the first of them that is met opens the circuit.
//
// An open circuit admits nothing for RecoveryTimeout. Then it is half open: up to Probes attempts at a time are let
// through, each holding a lease. Successes good ones close the circuit, one bad one opens it again. What the breaker learns
// from each end is its [Verdict]; neutral ends only hand back the lease.
//
// A circuit that has just closed is not given the whole backlog at once: it begins with one attempt more than Probes and
// grants one more for each success, which doubles the flow with every round trip, until all workers are in use (S-B5).
type Breaker struct {
	// FailureThreshold is how many failures in a row open the circuit. Zero: that is not looked at.
	FailureThreshold int
	// FailureRatio opens the circuit when this share of the recent outcomes, or more, are failures; in (0, 1]. Zero: that
	// is not looked at.
	FailureRatio float64
	// SlowCall is how long an attempt takes that counts as slow. A slow probe is a failed one. Zero: none does.
	SlowCall time.Duration
	// SlowRatio opens the circuit when this share of the recent outcomes, or more, are slow; in (0, 1]. It needs SlowCall.
	SlowRatio float64
	// Window is how many outcomes are recent. Defaults to 100. A key with outcomes that are remembered by number is never
	// forgotten: where keys come and go, use WindowTime.
	Window int
	// WindowTime makes those recent that are no older, instead of the last so many. It is kept in ten slices.
	WindowTime time.Duration
	// MinSamples is how many recent outcomes it takes before a ratio is looked at. Defaults to 10, or Window if less.
	MinSamples int
	// Counts says what a closed circuit counts. Defaults to [CountAttempts].
	Counts Counted

	// RecoveryTimeout is how long the circuit stays open. Defaults to 30 s. A server's hint is its floor.
	RecoveryTimeout time.Duration
	// RecoveryBackoff is the factor by which the next open time is longer after each failed probe, at least 1, until the
	// circuit has closed and its ramp is over. Defaults to 1: always the same.
	RecoveryBackoff float64
	// MaxRecoveryTimeout caps the growth. Defaults to 10 minutes, or RecoveryTimeout if that is longer.
	MaxRecoveryTimeout time.Duration
	// RecoveryJitter prolongs each open time by up to this share of it, by chance; in [0, 1]. Defaults to none.
	RecoveryJitter float64
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

// Off reports whether nothing that b counts can open a circuit.
func (b Breaker) Off() bool {
	return b.FailureThreshold == 0 && b.FailureRatio == 0 && b.SlowRatio == 0
}

// Validate returns nil, or one [*FieldError] for each field that makes no sense, joined.
func (b Breaker) Validate() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &FieldError{Field: "Breaker." + field, Value: value, Allowed: allowed})
		}
	}
	fault(b.FailureThreshold < 0, "FailureThreshold", b.FailureThreshold, "positive, or 0 for off")
	fault(b.Off() && b.configured(), "FailureThreshold", 0, "set, or FailureRatio or SlowRatio, because other fields of Breaker are: without them the breaker is off")
	for _, f := range []struct {
		name  string
		value float64
	}{{"FailureRatio", b.FailureRatio}, {"SlowRatio", b.SlowRatio}, {"RecoveryJitter", b.RecoveryJitter}} {
		fault(!(f.value >= 0 && f.value <= 1), f.name, f.value, "a share from 0 to 1")
	}
	fault(b.MaxRecoveryTimeout > 0 && b.MaxRecoveryTimeout < cmp.Or(b.RecoveryTimeout, DefaultRecoveryTimeout), "MaxRecoveryTimeout", b.MaxRecoveryTimeout, "at least RecoveryTimeout")
	fault(b.SlowRatio > 0 && b.SlowCall == 0, "SlowCall", b.SlowCall, "set, because SlowRatio is")
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"SlowCall", b.SlowCall}, {"WindowTime", b.WindowTime}, {"RecoveryTimeout", b.RecoveryTimeout},
		{"MaxRecoveryTimeout", b.MaxRecoveryTimeout}, {"ProbeTimeout", b.ProbeTimeout}, {"Reprobe", b.Reprobe},
	} {
		fault(f.value < 0, f.name, f.value, "positive, or 0 for the default")
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"Window", b.Window}, {"MinSamples", b.MinSamples}, {"Probes", b.Probes}, {"Successes", b.Successes}} {
		fault(f.value < 0 || f.value > maxCount, f.name, f.value, "positive and at most a million, or 0 for the default")
	}
	fault(b.Window > 0 && b.WindowTime > 0, "Window", b.Window, "left out, because WindowTime is set: outcomes are recent by number or by age")
	fault(b.WindowTime == 0 && b.Window >= 0 && b.MinSamples > cmp.Or(b.Window, DefaultWindow), "MinSamples", b.MinSamples, "at most Window, or it would never be reached")
	fault(b.RecoveryBackoff != 0 && !(b.RecoveryBackoff >= 1 && !math.IsInf(b.RecoveryBackoff, 0)), "RecoveryBackoff", b.RecoveryBackoff, "a finite factor of at least 1, or 0 for the default")
	fault(b.Counts > CountJobs, "Counts", b.Counts, "CountAttempts or CountJobs")
	fault(b.WhenOpen > Wait, "WhenOpen", b.WhenOpen, "ByCall, FailFast or Wait")
	return errors.Join(faults...)
}

// maxCount bounds what a circuit is made to remember.
const maxCount = 1_000_000

// configured reports whether any field is set that has no effect while the breaker is off. WhenOpen and Reprobe have one:
// a key may be called unusable all the same.
func (b Breaker) configured() bool {
	b.WhenOpen, b.Reprobe = 0, 0
	return b != Breaker{}
}

// withDefaults returns b with every field set that has a default.
func (b Breaker) withDefaults() Breaker {
	b.RecoveryTimeout = cmp.Or(b.RecoveryTimeout, DefaultRecoveryTimeout)
	b.RecoveryBackoff = cmp.Or(b.RecoveryBackoff, 1)
	b.MaxRecoveryTimeout = cmp.Or(b.MaxRecoveryTimeout, max(DefaultMaxRecoveryTimeout, b.RecoveryTimeout))
	b.Probes = cmp.Or(b.Probes, DefaultProbes)
	b.Successes = cmp.Or(b.Successes, DefaultSuccesses)
	b.ProbeTimeout = cmp.Or(b.ProbeTimeout, b.RecoveryTimeout)
	if b.WindowTime == 0 {
		b.Window = cmp.Or(b.Window, DefaultWindow)
		b.MinSamples = cmp.Or(b.MinSamples, min(DefaultMinSamples, b.Window))
	}
	b.MinSamples = cmp.Or(b.MinSamples, DefaultMinSamples)
	return b
}
