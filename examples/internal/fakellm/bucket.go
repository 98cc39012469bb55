package fakellm

import (
	"math"
	"math/bits"
	"time"
)

// nano is how many units make one request, and how many nanoseconds make one second. The bucket counts in billionths of
// a request and carries what a division leaves over, so it neither loses nor gains a token however often it is asked.
const nano = 1_000_000_000

// bucket is a token bucket that is told the time. It starts full. Not safe for concurrent use.
type bucket struct {
	rate   uint64        // billionths of a request per second; 0 is unlimited
	size   uint64        // capacity, billionths of a request
	credit uint64        // content, 0 to size
	carry  uint64        // what refill left over, in billionths of a unit of credit; below nano, 0 when full
	last   time.Duration // the latest time told
}

// limits is a bucket's state as the x-ratelimit headers tell it.
type limits struct {
	known     bool          // false when there is no limit, and then no header
	limit     uint64        // whole requests that the bucket holds when full
	remaining uint64        // whole requests that it holds now
	reset     time.Duration // until it is full
}

// newBucket takes requests per second and requests, both in the bounds that Config.Validate checks.
func newBucket(rate, burst float64) bucket {
	size := uint64(math.Round(burst * nano))
	return bucket{rate: uint64(math.Round(rate * nano)), size: size, credit: size}
}

// tell moves the bucket's clock to now. A time before one told earlier is taken as that earlier one.
func (b *bucket) tell(now time.Duration) {
	if now <= b.last || b.rate == 0 {
		return
	}
	hi, lo := bits.Mul64(b.rate, uint64(now-b.last))
	b.last = now
	lo, over := bits.Add64(lo, b.carry, 0)
	hi += over
	if hi >= nano { // more than 2^64 units, and a bucket holds at most 2^60
		b.credit, b.carry = b.size, 0
		return
	}
	gain, carry := bits.Div64(hi, lo, nano)
	if gain >= b.size-b.credit {
		b.credit, b.carry = b.size, 0
		return
	}
	b.credit, b.carry = b.credit+gain, carry
}

// wait returns how long after the time last told there is room for one request; 0 is now. Telling the bucket that very
// nanosecond finds the room, the nanosecond before does not.
func (b *bucket) wait() time.Duration {
	if b.rate == 0 {
		return 0
	}
	return b.until(nano)
}

// take removes one request. Only after wait returned 0.
func (b *bucket) take() {
	if b.rate != 0 {
		b.credit -= nano
	}
}

// limits reports the state at the time last told. Both counts are rounded down to whole requests, and reset is exact,
// so a client that computes (limit-remaining)/reset of a whole Burst never finds less than the true rate.
func (b *bucket) limits() limits {
	if b.rate == 0 {
		return limits{}
	}
	return limits{known: true, limit: b.size / nano, remaining: b.credit / nano, reset: b.until(b.size)}
}

// until returns the time from the last one told until the content reaches target, rounded up to a nanosecond, and at
// most the longest Duration.
func (b *bucket) until(target uint64) time.Duration {
	if b.credit >= target {
		return 0
	}
	hi, lo := bits.Mul64(target-b.credit, nano)
	lo, borrow := bits.Sub64(lo, b.carry, 0)
	hi -= borrow
	lo, over := bits.Add64(lo, b.rate-1, 0) // rounds the division up
	hi += over
	if hi >= b.rate {
		return math.MaxInt64
	}
	d, _ := bits.Div64(hi, lo, b.rate)
	return time.Duration(min(d, math.MaxInt64))
}
