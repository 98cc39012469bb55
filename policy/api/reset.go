package api

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

// MaxWait is the longest wait that is believed: a month, the longest quota there is. What a server says beyond that is
// nonsense, such as a moment in place of a length, and as good as not said.
const MaxWait = 31 * 24 * time.Hour

// ParseReset reads when a limit is replenished: as a Go duration ("6m0s"), as seconds ("59", "0.5"), as a moment in seconds or
// milliseconds since 1970, in RFC 3339, or as an HTTP date. Moments count from now; one that has passed is a wait of zero.
// What is negative, unreadable, beyond MaxWait, or a moment when now is zero, gives policy.NoHint.
func ParseReset(s string, now time.Time) time.Duration {
	wait, _ := parseReset(s, now)
	return wait
}

// How far off a reset can be, by its form.
const (
	stepOfDuration = 10 * time.Millisecond
	stepOfNumber   = time.Second
	stepOfMoment   = 2 * time.Second // and the Date that it is compared with is of a whole second, too
)

// parseReset is ParseReset, and how exact the result is.
func parseReset(s string, now time.Time) (wait, step time.Duration) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n < 1e9:
			return inUnits(n, time.Second), stepOfNumber
		case n < 1e11: // the year 5138, in seconds; 1973, in milliseconds
			return until(time.Unix(int64(n), 0), now), stepOfMoment
		case n < 1e14:
			return until(time.UnixMilli(int64(n)), now), stepOfMoment
		default:
			return policy.NoHint, 0
		}
	}
	if wait := goDuration(s); wait != policy.NoHint {
		return wait, stepOfDuration
	}
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return until(at, now), stepOfMoment
	}
	return untilDate(s, now), stepOfMoment
}

// goDuration reads a Go duration.
func goDuration(s string) time.Duration {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return policy.NoHint
	}
	return believable(d)
}

// number reads a number, which may be a fraction, of units.
func number(s string, unit time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return policy.NoHint
	}
	return inUnits(n, unit)
}

// inUnits is n units, rounded up: less than a nanosecond is not nothing.
func inUnits(n float64, unit time.Duration) time.Duration {
	if !(n >= 0 && n*float64(unit) <= float64(MaxWait)) {
		return policy.NoHint
	}
	return time.Duration(math.Ceil(n * float64(unit)))
}

// untilDate reads an HTTP date.
func untilDate(s string, now time.Time) time.Duration {
	at, err := http.ParseTime(strings.TrimSpace(s))
	if err != nil {
		return policy.NoHint
	}
	return until(at, now)
}

// until is how long it is from now to a moment, not less than zero.
func until(at, now time.Time) time.Duration {
	if now.IsZero() {
		return policy.NoHint
	}
	return believable(max(0, at.Sub(now)))
}

func believable(d time.Duration) time.Duration {
	if d < 0 || d > MaxWait {
		return policy.NoHint
	}
	return d
}

// clock is the moment of an answer: by its own Date, so that a wrong clock on either side does not matter; or when it was
// received. What comes of it is a length, found out once (S-L7).
func clock(h http.Header, received time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return received
}
