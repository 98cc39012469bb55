package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// However much is in use, what may be added to it before it is collected stays about the same.
func TestCollector(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 10 << 20: 100, slack: 100, 2 * slack: 50, 100 << 20: 30, 10 * slack: 10, 1 << 40: 10} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes in use: %d %%, want %d", live, got, want)
		}
	}
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	c := newCollector()
	inUse := make([]byte, 7*slack/2) // of which it is a bit less than 30 %
	runtime.GC()
	runtime.GC() // what other tests have left in pools survives one
	c.adjust()
	if got := debug.SetGCPercent(100); got != 25 {
		t.Errorf("%d %%, want 25", got)
	}
	runtime.KeepAlive(inUse)
}
