package policy

import (
	"math"
	"time"
)

// Time is an instant: nanoseconds on the monotonic clock of whoever drives a machine. Zero is the moment at which that
// clock was started, so instants of two owners must not be compared.
type Time int64

// Never is later than every instant that can be reached.
const Never Time = math.MaxInt64

// Add returns t+d, held within [0, Never]: a wait that would overflow is a wait for ever, not one that has passed.
func (t Time) Add(d time.Duration) Time {
	switch sum := t + Time(d); {
	case d >= 0 && sum < t:
		return Never
	case d < 0 && (sum > t || sum < 0):
		return 0
	default:
		return sum
	}
}

// Sub returns t-u. Both must be instants of the same clock; the difference of two such instants cannot overflow.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// String formats t as the time since its clock was started, such as "1m3.5s".
func (t Time) String() string {
	if t == Never {
		return "never"
	}
	return time.Duration(t).String()
}
