package main

import (
	"fmt"
	"slices"
	"time"
)

// scale is how much is done: all of it, or little, so that CI sees that it works and that nothing is far off.
type scale struct {
	roundTrips, window, calls, keys int           // jobs, or calls
	bursts                          []int         // jobs
	atLeast                         time.Duration // how long these are repeated, so that the fast ones are measured, too
	fan                             []fan
	failing                         int // jobs
	waiting                         int // jobs
	parked                          int // jobs
	idleSpan                        time.Duration
	limitRates                      []int // a second
	limitSpan                       time.Duration
	pending                         int // operations
	rounds                          int
}

type fan struct {
	jobs int
	each time.Duration
}

// fullScale is what the targets are about.
func fullScale() scale {
	return scale{
		roundTrips: 100_000, window: 200_000, calls: 200_000, keys: 200_000,
		bursts: []int{100_000, 1_000_000}, atLeast: 250 * time.Millisecond,
		fan:     []fan{{100_000, time.Millisecond}, {100_000, 10 * time.Millisecond}},
		failing: 20_000, waiting: 1_000_000, parked: 1_000_000, idleSpan: 4 * time.Second,
		limitRates: []int{100, 1_000, 10_000}, limitSpan: 10 * time.Second,
		pending: 1_000_000, rounds: 6,
	}
}

// quickScale is for CI. Its figures prove nothing.
func quickScale() scale {
	return scale{
		roundTrips: 10_000, window: 20_000, calls: 10_000, keys: 20_000,
		bursts: []int{20_000}, atLeast: 50 * time.Millisecond,
		fan:     []fan{{10_000, time.Millisecond}, {5_000, 10 * time.Millisecond}},
		failing: 2_000, waiting: 50_000, parked: 50_000, idleSpan: 400 * time.Millisecond,
		limitRates: []int{100, 1_000, 10_000}, limitSpan: 200 * time.Millisecond,
		pending: 50_000, rounds: 3,
	}
}

// submitters are the numbers of those who hand in, or call, at once.
var submitters = []int{1, 8}

// windowSize is how many jobs a submitter has under way in the workload of that name.
const windowSize = 1024

func (s *scale) roundTrip(from int) load { return load{s.roundTrips, 1, from} }
func (s *scale) windowed(from int) load  { return load{s.window, windowSize, from} }

// throughput are the windows and the bursts.
func (s *scale) throughput() []load {
	var all []load
	for _, from := range submitters {
		all = append(all, s.windowed(from))
	}
	for _, jobs := range s.bursts {
		for _, from := range submitters {
			all = append(all, load{jobs, jobs, from})
		}
	}
	return all
}

// workloads are all comparisons at this scale.
func (s *scale) workloads() []workload {
	var all []workload
	for _, from := range submitters {
		all = append(all, jobsWorkload(s.roundTrip(from), s.atLeast))
	}
	for _, l := range s.throughput() {
		all = append(all, jobsWorkload(l, s.atLeast))
	}
	for _, from := range submitters {
		all = append(all, callWorkload(s.calls, from, s.atLeast))
	}
	for _, f := range s.fan {
		all = append(all, fanWorkload(f.jobs, f.each))
	}
	all = append(all, failingWorkload(s.failing), waitingWorkload(s.waiting), idleWorkload(s.parked, s.idleSpan))
	for _, rate := range s.limitRates {
		all = append(all, limitWorkload(rate, s.limitSpan))
	}
	return append(all, keysWorkload(load{s.keys, windowSize, 1}, s.parked, s.atLeast), pendingWorkload(s.pending))
}

// choose returns the workloads and contenders that the options want.
func (s *scale) choose(o options) ([]workload, error) {
	type pair struct{ workload, contender string }
	needed := make(map[pair]bool)
	for _, t := range s.targets() {
		needed[pair{t.workload, t.ours}], needed[pair{t.workload, t.rival}] = true, true
	}
	var chosen []workload
	for _, w := range s.workloads() {
		if !o.workloads.MatchString(w.title) {
			continue
		}
		w.entrants = slices.DeleteFunc(w.entrants, func(e entrant) bool {
			return !o.contenders.MatchString(e.name) || o.targets && !needed[pair{w.title, e.name}]
		})
		if len(w.entrants) > 0 {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no workload matches %q with a contender that matches %q", o.workloads, o.contenders)
	}
	return chosen, nil
}
