package policy

import (
	"errors"
	"math"
	"time"
)

// UnlimitedAttempts as [Retry].MaxAttempts tries until something else ends the job: its context, its deadline,
// MaxElapsed, or an error that is not worth another attempt.
const UnlimitedAttempts = -1

// Defaults of the fields of a [Retry] that is on. DefaultMaxThrottleWait also holds for one that is nothing but on.
const (
	DefaultDelay           = 100 * time.Millisecond
	DefaultMaxDelay        = 30 * time.Second
	DefaultBackoff         = 2.0
	DefaultMaxThrottleWait = 15 * time.Minute
)

// BeyondHint says what becomes of a job whose server asks for a longer wait than [Retry].MaxHint.
type BeyondHint uint8

// The choices.
const (
	HintFails  BeyondHint = iota // the job fails at once
	HintWaits                    // the job waits as long as it was told
	HintCapped                   // MaxHint is all that counts, for the job and its key, and the spread that every hint gets
)

// Retry says whether and when a failed attempt is followed by another. The zero Retry is off: one attempt a job.
//
// While a job waits it holds nothing, and when it comes back it passes the same admission as everybody (S-A1, S-A3).
type Retry struct {
	// MaxAttempts is how often a job is executed at most, the first time included; 1 means no retry, and
	// [UnlimitedAttempts] no bound. Zero turns retries off. Throttled attempts don't count, see [Throttled], nor does
	// the failed probe of a job that waits for an open circuit: while a backend is down there may be many more.
	MaxAttempts int
	// Delay is the backoff before the second attempt. Defaults to 100 ms.
	Delay time.Duration
	// MaxDelay caps each wait, after jitter. Defaults to 30 s, or Delay if that is longer. A server's hint may go beyond it: see MaxHint.
	MaxDelay time.Duration
	// Backoff is the factor by which the backoff grows from attempt to attempt, at least 1; 1 is a fixed delay.
	// Defaults to 2.
	Backoff float64
	// Jitter spreads the waits. Defaults to [FullJitter].
	Jitter Jitter
	// MaxElapsed ends a job that has failed and whose next attempt would begin so long after Submit, or later. It is looked at when an
	// attempt has failed: how long a job waits for a circuit, a limit or a worker is bounded by a deadline. Defaults to no bound.
	MaxElapsed time.Duration
	// MaxHint is the longest wait that a server may ask for. Defaults to no bound.
	MaxHint time.Duration
	// BeyondMaxHint says what to do when a server asks for more. Defaults to [HintFails].
	BeyondMaxHint BeyondHint
	// MaxThrottleWait is how long a job may spend, in all, in its key's cooldowns and its own throttle backoff.
	// Defaults to 15 minutes.
	MaxThrottleWait time.Duration
	// On, when set, makes errors retryable that would not be, see [Retry.Classify].
	On func(error) bool
	// StopOn, when set, makes errors final that would be retryable. It beats On.
	StopOn func(error) bool
	// OnResult, when set, makes results retryable that came without an error, such as an answer that is cut short. It is
	// called with the function's result, on the goroutine that ran the attempt. A result it says yes to is treated
	// like a [Transient] error, see [Retry.Classify].
	OnResult func(result any) bool
}

// Off reports whether r allows no second attempt of any kind.
func (r *Retry) Off() bool { return r.MaxAttempts == 0 }

// Validate returns nil, or one [*FieldError] for each field that makes no sense, joined.
func (r *Retry) Validate() error {
	var faults []error
	fault := func(bad bool, field string, value any, allowed string) {
		if bad {
			faults = append(faults, &FieldError{Field: "Retry." + field, Value: value, Allowed: allowed})
		}
	}
	fault(r.MaxAttempts < UnlimitedAttempts, "MaxAttempts", r.MaxAttempts, "positive, 0 for off, or UnlimitedAttempts")
	fault(r.Off() && r.configured(), "MaxAttempts", 0, "set, or UnlimitedAttempts, because other fields of Retry are: zero turns retries off")
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"Delay", r.Delay}, {"MaxDelay", r.MaxDelay}, {"MaxElapsed", r.MaxElapsed},
		{"MaxHint", r.MaxHint}, {"MaxThrottleWait", r.MaxThrottleWait},
	} {
		fault(f.value < 0, f.name, f.value, "positive, or 0 for the default")
	}
	fault(r.MaxDelay > 0 && r.Delay > r.MaxDelay, "Delay", r.Delay, "at most MaxDelay, which is "+r.MaxDelay.String())
	fault(r.Backoff != 0 && !(r.Backoff >= 1 && !math.IsInf(r.Backoff, 0)), "Backoff", r.Backoff, "a finite factor of at least 1, or 0 for the default")
	if allowed := r.Jitter.allowed(); allowed != "" {
		fault(true, "Jitter", r.Jitter, allowed)
	}
	fault(r.BeyondMaxHint > HintCapped, "BeyondMaxHint", r.BeyondMaxHint, "HintFails, HintWaits or HintCapped")
	return errors.Join(faults...)
}

// configured reports whether any field but MaxAttempts is set.
func (r *Retry) configured() bool {
	return r.Delay != 0 || r.MaxDelay != 0 || r.Backoff != 0 || r.Jitter != (Jitter{}) || r.MaxElapsed != 0 || r.MaxHint != 0 ||
		r.BeyondMaxHint != 0 || r.MaxThrottleWait != 0 || r.On != nil || r.StopOn != nil || r.OnResult != nil
}
