package policy

import (
	"fmt"
	"math"
	"time"
)

// Rate is how fast a limit's bucket fills: an amount of tokens per span of time. Make one with [PerSecond], [PerMinute],
// [PerHour], [PerDay] or [Per], or take [Blocked] or [Unlimited]. The zero Rate is refused by [Limit.Validate], since it
// is more often a forgotten field than a wish.
type Rate struct {
	kind   rateKind
	amount float64
	span   time.Duration
}

type rateKind uint8

const (
	rateZero rateKind = iota
	ratePer
	rateBlocked
	rateUnlimited
)

// PerSecond is a rate of n tokens a second, see [Per].
func PerSecond(n float64) Rate { return Per(n, time.Second) }

// PerMinute is a rate of n tokens a minute, see [Per].
func PerMinute(n float64) Rate { return Per(n, time.Minute) }

// PerHour is a rate of n tokens an hour, see [Per].
func PerHour(n float64) Rate { return Per(n, time.Hour) }

// PerDay is a rate of n tokens in 24 hours, see [Per].
func PerDay(n float64) Rate { return Per(n, 24*time.Hour) }

// Per is a rate of n tokens per span. n must be from a millionth to 10¹² and is rounded to the nearest millionth: what is slower
// has a longer span. span must be positive. A rate of zero is refused: it has a name of its own, [Blocked].
func Per(n float64, span time.Duration) Rate { return Rate{kind: ratePer, amount: n, span: span} }

var (
	// Blocked is a rate of nothing: what is in the bucket can be used, and it never fills again.
	Blocked = Rate{kind: rateBlocked}
	// Unlimited is a rate that is always enough: the limit admits everything.
	Unlimited = Rate{kind: rateUnlimited}
)

// IsZero reports whether r is the zero Rate.
func (r Rate) IsZero() bool { return r == Rate{} }

// String formats r as "10/s", "500/min" or "3/1.5s".
func (r Rate) String() string {
	switch r.kind {
	case rateZero:
		return "no rate"
	case rateBlocked:
		return "blocked"
	case rateUnlimited:
		return "unlimited"
	case ratePer:
	}
	for _, unit := range []struct {
		span time.Duration
		name string
	}{{time.Second, "s"}, {time.Minute, "min"}, {time.Hour, "h"}, {24 * time.Hour, "day"}} {
		if r.span == unit.span {
			return fmt.Sprintf("%g/%s", r.amount, unit.name)
		}
	}
	return fmt.Sprintf("%g/%v", r.amount, r.span)
}

// perSecond is the rate as a plain number of tokens a second.
func (r Rate) perSecond() float64 { return r.amount / r.span.Seconds() }

// valid reports whether a bucket can keep r.
func (r Rate) valid() bool {
	switch r.kind {
	case rateBlocked, rateUnlimited:
		return true
	case ratePer:
		return r.span > 0 && r.amount >= 1.0/tokenUnit && r.amount <= maxTokens
	default:
		return false
	}
}

// Over returns how many tokens come in over so long a time: none when blocked, and infinitely many when unlimited. A negative
// time is none.
func (r Rate) Over(d time.Duration) float64 {
	switch {
	case r.kind == rateUnlimited:
		return math.Inf(1)
	case r.kind != ratePer || d <= 0:
		return 0
	default:
		return r.amount * (float64(d) / float64(r.span))
	}
}

// Slower reports whether fewer tokens come in at r than at s.
func (r Rate) Slower(s Rate) bool { return r.Over(time.Hour) < s.Over(time.Hour) }
