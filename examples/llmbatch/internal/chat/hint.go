package chat

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

// hint returns how long the server asks to be left alone: the longer of retry-after-ms and retry-after, since there are
// servers that send both and mean the longer, or policy.NoHint.
func hint(h http.Header) time.Duration {
	return max(
		inUnits(h.Get("Retry-After-Ms"), time.Millisecond),
		inUnits(h.Get("Retry-After"), time.Second),
		untilDate(h.Get("Retry-After"), h.Get("Date")),
	)
}

// inUnits reads a number of units, which may be a fraction. What is negative, not a number or absurd is no hint.
func inUnits(text string, unit time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n >= 0 && n*float64(unit) < math.MaxInt64) {
		return policy.NoHint
	}
	return time.Duration(math.Ceil(n * float64(unit)))
}

// untilDate reads a moment. It counts from the response's own Date, so that a wrong clock on either side does not matter;
// a moment that has passed is a wait of zero.
func untilDate(text, date string) time.Duration {
	at, err := http.ParseTime(text)
	if err != nil {
		return policy.NoHint
	}
	from, err := http.ParseTime(date)
	if err != nil {
		from = time.Now()
	}
	return max(0, at.Sub(from))
}
