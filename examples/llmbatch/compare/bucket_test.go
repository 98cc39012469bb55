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
