package main

import "time"

// bucket is what a limit allows: in any span of time, rate × span + burst starts.
type bucket struct {
	rate  int // a second
	burst int
}

// over returns by how many starts the limit was exceeded in the span, of all spans, in which it was exceeded most; not above
// zero if it never was. starts are in order. It is exact as long as rate × time is below nine billion, for it is kept in
// billionths.
func (b bucket) over(starts []time.Duration) float64 {
	const token = int64(time.Second) // in the rate's tokens × nanoseconds
	if len(starts) == 0 {
		return float64(-b.burst)
	}
	// After start j, of all spans that end with it, that which begins with start i has j-i+1 starts, and rate × (t(j)-t(i)) of
	// them have come in. The difference is most where i - rate × t(i) is least.
	level := func(i int) int64 { return int64(i)*token - int64(b.rate)*int64(starts[i]) }
	least, most := level(0), int64(0)
	for j := range starts {
		least = min(least, level(j))
		most = max(most, level(j)-least+token)
	}
	return float64(most-int64(b.burst)*token) / float64(token)
}

// used returns what share of rate × span + burst has started within the span that begins with the first start.
func (b bucket) used(starts []time.Duration, span time.Duration) float64 {
	n := 0
	for _, start := range starts {
		if start-starts[0] <= span {
			n++
		}
	}
	return float64(n) / (float64(b.rate)*span.Seconds() + float64(b.burst))
}
