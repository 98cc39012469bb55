package policy

import (
	"fmt"
	"math"
)

type jitterKind uint8

const (
	jitterFull jitterKind = iota // the zero Jitter
	jitterNone
	jitterEqual
	jitterFraction
	jitterRange
	jitterDecorrelated
)

// Jitter says how chance spreads the waits of a [Retry], so that jobs which failed together don't come back together.
// The zero Jitter is [FullJitter]. Whatever the kind, MaxDelay caps the wait after jitter, not before (S-R2).
//
// The names are those of Marc Brooker's "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015).
type Jitter struct {
	kind   jitterKind
	lo, hi float64
}

var (
	// FullJitter waits anywhere in [0, backoff).
	FullJitter = Jitter{kind: jitterFull}
	// NoJitter waits exactly the backoff.
	NoJitter = Jitter{kind: jitterNone}
	// EqualJitter waits anywhere in [backoff/2, backoff).
	EqualJitter = Jitter{kind: jitterEqual}
	// DecorrelatedJitter waits anywhere in [Delay, 3 × the wait before), and does not look at Backoff.
	DecorrelatedJitter = Jitter{kind: jitterDecorrelated}
)

// JitterFraction waits the backoff, give or take a fraction of it: anywhere in [(1-f) × backoff, (1+f) × backoff). f must
// be in [0, 1].
func JitterFraction(f float64) Jitter { return Jitter{kind: jitterFraction, hi: f} }

// JitterRange waits the backoff times a factor from [lo, hi). It needs 0 ≤ lo ≤ hi, both finite.
func JitterRange(lo, hi float64) Jitter { return Jitter{kind: jitterRange, lo: lo, hi: hi} }

// String names the jitter as its constructor does.
func (j Jitter) String() string {
	switch j.kind {
	case jitterFull:
		return "FullJitter"
	case jitterNone:
		return "NoJitter"
	case jitterEqual:
		return "EqualJitter"
	case jitterDecorrelated:
		return "DecorrelatedJitter"
	case jitterFraction:
		return fmt.Sprintf("JitterFraction(%g)", j.hi)
	case jitterRange:
		return fmt.Sprintf("JitterRange(%g, %g)", j.lo, j.hi)
	default:
		return fmt.Sprintf("Jitter(%d)", j.kind)
	}
}

// allowed returns what the parameters of j should have been, or "" when they are in order. Fractions outside [0, 1] are
// refused and never silently read as "none".
func (j Jitter) allowed() string {
	ordered := j.lo >= 0 && j.lo <= j.hi && !math.IsInf(j.hi, 0) // false for NaN
	switch {
	case j.kind == jitterFraction && !(ordered && j.hi <= 1):
		return "JitterFraction(f) with f from 0 to 1"
	case j.kind == jitterRange && !ordered:
		return "JitterRange(lo, hi) with 0 ≤ lo ≤ hi, both finite"
	default:
		return ""
	}
}

// spread applies j to a backoff in nanoseconds; prev is the wait before, and u a random number from [0, 1). The result
// may be +Inf: the caller caps it.
func (j Jitter) spread(backoff, base, prev, u float64) float64 {
	switch j.kind {
	case jitterNone:
		return backoff
	case jitterEqual:
		return backoff/2 + u*(backoff/2)
	case jitterFraction:
		return backoff * (1 - j.hi + u*2*j.hi)
	case jitterRange:
		return backoff * (j.lo + u*(j.hi-j.lo))
	case jitterDecorrelated:
		return base + u*math.Max(0, 3*math.Max(prev, base)-base)
	default:
		return u * backoff
	}
}
