package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

func waitingTitle(jobs int) string { return number(float64(jobs)) + " waiting jobs" }

// waitingWorkload has jobs wait for a worker, and says what they occupy meanwhile.
func waitingWorkload(jobs int) workload {
	w := workload{
		title: waitingTitle(jobs),
		about: fmt.Sprintf("What each of %s jobs occupies, its closure and its future included, while %d run and the rest wait for them. "+
			"ants, conc and errgroup are missing: with them who hands in waits.", number(float64(jobs)), poolSize),
		columns: []column{
			{resident, "B resident", true, true}, {heapBytes, "B of heap", false, false},
			{goroutine, "goroutines", false, false}, {idleHands, "of these beyond the running", false, false},
		},
	}
	backlogged := contender{name: rawWorkers.name, open: func(o order) (session, error) { return openRawWorkers(o, o.load.jobs) }}
	for _, c := range []contender{oursPlain.contender(), goroutines, backlogged, pondFutures, gammazero, failsafeBulkhead} {
		w.entrants = append(w.entrants, entrant{name: c.name, procs: c.procs, measure: func(ctx context.Context) (sample, error) {
			return c.keepWaiting(ctx, jobs)
		}})
	}
	return w
}

// keepWaiting hands jobs in, weighs them, and lets them go.
func (c contender) keepWaiting(ctx context.Context, jobs int) (_ sample, err error) {
	var running atomic.Int64
	gate := make(chan struct{})
	threads, err := weigh() // that count as its own are those from here on
	if err != nil {
		return sample{}, err
	}
	s, err := c.open(order{
		load: load{jobs: jobs, window: jobs, submitters: 1}, workers: poolSize, threshold: breakerThreshold,
		task: func(i int) (int, error) {
			running.Add(1)
			<-gate
			return i, nil
		},
	})
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, s.end()) }()

	before, err := weigh()
	if err != nil {
		return sample{}, err
	}
	if err := s.fill(); err != nil {
		return sample{}, err
	}
	if err := settle(ctx, &running); err != nil {
		return sample{}, err
	}
	after, err := weigh()
	if err != nil {
		return sample{}, err
	}
	run := running.Load()
	close(gate)
	done, err := s.drain()
	if err != nil {
		return sample{}, err
	}
	n := float64(jobs)
	own := float64(after.goroutines - threads.goroutines)
	return sample{Work: done, Figures: map[figure]float64{
		resident:  (float64(after.resident) - float64(before.resident)) / n,
		heapBytes: (float64(after.heap) - float64(before.heap)) / n,
		goroutine: own,
		idleHands: own - float64(run),
	}}, done.mustBe(allOf(jobs))
}

// settle waits until no further job has begun to run for a while.
func settle(ctx context.Context, running *atomic.Int64) error {
	for before := int64(-1); ; {
		now := running.Load()
		if now == before && now >= poolSize {
			return nil
		}
		before = now
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d jobs run, and no more begin: %w", now, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
