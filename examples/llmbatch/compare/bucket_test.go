package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// A bucket starts full, fills evenly, and holds a minute's worth at most: so that it lets twice the limit through in its first minute.
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(120, time.Now())
		for _, step := range []struct {
			wait       time.Duration
			left, take float64
		}{
			{0, 120, 120},
			{0, 0, 0},
			{500 * time.Millisecond, 1, 1},
			{15 * time.Second, 30, 30},
			{30 * time.Second, 60, 10},
			{30 * time.Second, 110, 0},
			{5 * time.Second, 120, 0}, // and no more
			{time.Hour, 120, 120},
			{time.Minute, 120, 0},
		} {
			time.Sleep(step.wait)
			b.fill(time.Now())
			if b.left != step.left {
				t.Errorf("after %v more: %v left, want %v", step.wait, b.left, step.left)
			}
			b.left -= step.take
		}
	})
}

// The processor looks once a millisecond; looks that were missed follow at once, but not those of a minute.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		looks := func(within time.Duration) int {
			began, n := time.Now(), -1 // the one that comes after
			for time.Since(began) <= within {
				p.wait(t.Context())
				n++
			}
			return n
		}
		if n := looks(20 * time.Millisecond); n != 20 {
			t.Errorf("%d looks in 20 ms", n)
		}
		time.Sleep(10 * time.Millisecond)
		if n := looks(0); n != 10 {
			t.Errorf("%d looks after it was held up for 10 ms", n)
		}
		time.Sleep(time.Minute)
		if n := looks(0); n != 51 { // the first is due 50 ms ago
			t.Errorf("%d looks after it was held up for a minute", n)
		}
	})
}
