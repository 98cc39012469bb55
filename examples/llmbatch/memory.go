package main

import (
	"os"
	"runtime"
	"runtime/debug"
	figures "runtime/metrics"
)

// slack is how much the heap may grow, in bytes, before it is collected, once more than that is in use.
const slack = 32 << 20

// collector keeps the heap small. What grows with the input is tables of plain numbers, some 20 bytes a prompt, which it costs next to
// nothing to look at: so it may be done often, where by itself Go would wait until as much again is in use.
type collector struct {
	live    [1]figures.Sample
	percent int
}

// boundHeap bounds the heap from now on, unless somebody has said how large it may be by the variables that Go knows.
func boundHeap() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	newCollector().await()
}

func newCollector() *collector {
	c := &collector{percent: 100}
	c.live[0].Name = "/gc/heap/live:bytes"
	return c
}

// await has the next collection tell.
func (c *collector) await() {
	type token struct{ _ *collector } // with a pointer, or it could share its memory with what lives longer
	runtime.AddCleanup(new(token), func(c *collector) {
		c.adjust()
		c.await()
	}, c)
}

// adjust has the collector begin when slack is used up. It is asked by one goroutine at a time.
func (c *collector) adjust() {
	figures.Read(c.live[:])
	if percent := percentFor(c.live[0].Value.Uint64()); percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is slack as the percentage of what is in use that SetGCPercent wants to know, in steps, for to set it stops everything
// for a moment.
func percentFor(live uint64) int {
	const least, step = 10, 5
	percent := int(100 * slack / max(live, slack))
	return max(least, percent-percent%step)
}
