package main

import "time"

// bucket is what the parallel processor has left of a limit per minute. It starts full, which lets twice the limit through in the
// first minute, and fills evenly. Not safe for concurrent use.
type bucket struct {
	perMinute float64
	left      float64
	last      time.Time // when it was last filled
}

func newBucket(perMinute float64, now time.Time) bucket {
	return bucket{perMinute: perMinute, left: perMinute, last: now}
}

// fill adds what has come since the last time, up to a minute's worth.
func (b *bucket) fill(now time.Time) {
	b.left = min(b.perMinute, b.left+b.perMinute*now.Sub(b.last).Minutes())
	b.last = now
}
