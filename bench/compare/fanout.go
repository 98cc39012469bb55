package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// gauge counts what is under way, and the most that ever was.
type gauge struct{ now, peak atomic.Int64 }

func (g *gauge) enter() {
	n := g.now.Add(1)
	for {
		if peak := g.peak.Load(); n <= peak || g.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

// within returns an error if more than the limit were under way at once.
func (g *gauge) within(limit int) error {
	if peak := int(g.peak.Load()); peak > limit {
		return fmt.Errorf("%w: %d jobs at once, where %d are allowed", errWork, peak, limit)
	}
	return nil
}

// fanWidth is how many jobs of a fan-out are in flight at most.
const fanWidth = 1000

func fanTitle(each time.Duration) string { return "fan-out of " + length(each) }

// fanWorkload has jobs sleep, as many at a time as a pool allows.
func fanWorkload(jobs int, each time.Duration) workload {
	ideal := each * time.Duration((jobs+fanWidth-1)/fanWidth)
	w := workload{
		title: fanTitle(each),
		about: fmt.Sprintf("%s jobs that sleep for %s, at most %s at once: %s if falling asleep and waking took no time.",
			number(float64(jobs)), length(each), number(fanWidth), length(ideal)),
		columns: []column{{elapsed, "seconds", true, true}, {allocs, "allocations", false, false}, {allocated, "B", false, false}},
	}
	for _, c := range []contender{
		oursPlain.contender(), oursUnlimited.contender(), rawWorkers, antsPool, pondTasks, pondFutures, concPool, gammazero, errGroup,
		antsFailsafe, byHand, failsafeBulkhead,
	} {
		w.entrants = append(w.entrants, entrant{name: c.name, procs: c.procs, measure: func(context.Context) (sample, error) {
			flight := new(gauge)
			o := order{
				load: load{jobs: jobs, window: jobs, submitters: 1}, workers: fanWidth, threshold: breakerThreshold,
				task: func(i int) (int, error) {
					flight.enter()
					time.Sleep(each)
					flight.leave()
					return i, nil
				},
			}
			s, err := c.runJobs(o, 0)
			return s, errors.Join(err, flight.within(fanWidth))
		}})
	}
	return w
}
