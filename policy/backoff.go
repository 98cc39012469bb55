package policy

import (
	"cmp"
	"math"
	"time"
)

// minThrottleWait is the least that a throttled job waits: a server that says "retry after 0" must not get a hot loop
// (S-R12).
const minThrottleWait = 100 * time.Millisecond

// Wait returns how long to wait after the n-th failed attempt, n ≥ 1: the backoff Delay × Backoff^(n-1), at most MaxDelay,
// spread by Jitter, and then capped at MaxDelay once more. prev is the wait before this one, zero at first, and u a random number from [0, 1).
//
// The result lies in [0, MaxDelay] for every n: what overflows is the cap, never zero (S-R5).
func (r *Retry) Wait(n int, prev time.Duration, u float64) time.Duration {
	base := float64(cmp.Or(r.Delay, DefaultDelay))
	longest := cmp.Or(r.MaxDelay, max(DefaultMaxDelay, r.Delay))
	limit := float64(longest)
	backoff := math.Min(base*math.Pow(cmp.Or(r.Backoff, DefaultBackoff), float64(max(n, 1)-1)), math.MaxFloat64)
	// The cap is applied to the exponential as well: a huge backoff spread from zero would otherwise nearly always end
	// at the cap, and jitter would be lost just when the most jobs wait.
	wait := r.Jitter.spread(math.Min(backoff, limit), base, float64(prev), u)
	if wait >= limit { // which may be less than longest, as a float64
		return longest
	}
	return min(saturate(wait), longest)
}

// WithHint returns the wait that obeys a server's hint: at least the hint plus a positive spread of up to a tenth of it,
// so that those who were told the same moment don't all come in it (S-R4). ok is false when the job is to fail instead,
// because the hint is beyond MaxHint.
func (r *Retry) WithHint(wait, hint time.Duration, u float64) (_ time.Duration, ok bool) {
	hint = r.Heed(hint)
	if r.MaxHint > 0 && hint > r.MaxHint && r.BeyondMaxHint == HintFails {
		return 0, false
	}
	spread := min(saturate(u*float64(hint)/10), math.MaxInt64-hint)
	return max(wait, hint+spread), true
}

// Heed returns as much of a server's hint as r lets count: all of it, or MaxHint where hints are capped. It is for the key as
// well as for the job, which would otherwise wait for the rest of it in its key's cooldown.
func (r *Retry) Heed(hint time.Duration) time.Duration {
	if r.MaxHint > 0 && r.BeyondMaxHint == HintCapped {
		return min(hint, r.MaxHint)
	}
	return hint
}

// ThrottleWait returns how long a job waits after the n-th throttle in a row, n ≥ 1, before any hint is looked at: the
// backoff, and never less than 100 ms.
func (r *Retry) ThrottleWait(n int, prev time.Duration, u float64) time.Duration {
	return max(r.Wait(n, prev, u), minThrottleWait)
}

// ThrottleBudget is MaxThrottleWait with its default.
func (r *Retry) ThrottleBudget() time.Duration {
	return cmp.Or(r.MaxThrottleWait, DefaultMaxThrottleWait)
}

// saturate turns nanoseconds into a Duration that is neither negative nor overflowed.
func saturate(ns float64) time.Duration {
	switch {
	case !(ns > 0): // NaN included
		return 0
	case ns >= math.MaxInt64:
		return math.MaxInt64
	default:
		return time.Duration(ns)
	}
}
