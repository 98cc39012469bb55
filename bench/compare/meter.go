package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// figure names something that is measured.
type figure string

const (
	perJob     figure = "ns/job"
	elapsed    figure = "s"
	allocs     figure = "allocations/job"
	allocated  figure = "B/job"
	resident   figure = "B resident/job"
	heapBytes  figure = "B of heap/job"
	goroutine  figure = "goroutines"
	idleHands  figure = "goroutines beyond those that run a job"
	cpuShare   figure = "% of a core"
	limitShare figure = "% of rate × time + burst"
	limitOver  figure = "most over the limit"
)

// meter measures what happens between startMeter and stop.
type meter struct {
	before runtime.MemStats
	began  time.Time
}

func startMeter() *meter {
	m := new(meter)
	runtime.GC() // what came before is not collected at the expense of what is measured
	runtime.ReadMemStats(&m.before)
	m.began = time.Now()
	return m
}

// stop returns the figures of so many jobs.
func (m *meter) stop(jobs int) map[figure]float64 {
	took := time.Since(m.began)
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	n := float64(jobs)
	return map[figure]float64{
		perJob:    float64(took.Nanoseconds()) / n,
		elapsed:   took.Seconds(),
		allocs:    float64(after.Mallocs-m.before.Mallocs) / n,
		allocated: float64(after.TotalAlloc-m.before.TotalAlloc) / n,
	}
}

// repeat measures a pass of so many jobs, over and over until it has taken long enough, but at least once. The work is that of
// one pass.
func repeat(jobs int, atLeast time.Duration, pass func() (tally, error)) (sample, error) {
	m := startMeter()
	for passes := 1; ; passes++ {
		done, err := pass()
		if err != nil {
			return sample{}, err
		}
		if time.Since(m.began) >= atLeast {
			return sample{Work: done, Figures: m.stop(jobs * passes)}, nil
		}
	}
}

// memory is what the process occupies, in bytes.
type memory struct {
	resident, heap uint64
	goroutines     int
}

// weigh collects all garbage, gives what is free back to the system, and says what is left.
func weigh() (memory, error) {
	debug.FreeOSMemory()
	resident, err := residentBytes()
	if err != nil {
		return memory{}, fmt.Errorf("the memory of this process: %w", err)
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return memory{resident: resident, heap: stats.HeapAlloc, goroutines: runtime.NumGoroutine()}, nil
}
