package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/policy"
)

// The jobs that fail: one in flakyOneIn fails flakyFailures times before it succeeds.
const (
	failWidth     = 100 // in flight at most
	flakyOneIn    = 10
	flakyFailures = 2
	failingTitle  = "failing jobs"
	failingEach   = time.Millisecond
)

// errFlaky is marked for the dispatcher; the others try any error again.
var errFlaky = policy.Transient(errors.New("no luck"))

// failingIdeal is how long the failing jobs take if nothing is ever late and no place is ever empty: all attempts, and the
// backoffs of one job.
func failingIdeal(jobs int) time.Duration {
	runs := jobs + jobs/flakyOneIn*flakyFailures
	backoffs := firstBackoff + 2*firstBackoff
	return failingEach*time.Duration(runs)/failWidth + backoffs
}

// failingJobs are jobs of which some fail at first.
type failingJobs struct {
	failures []uint8 // so far, of each job; one attempt of a job runs at a time
	runs     atomic.Int64
	flight   gauge
}

func (f *failingJobs) run(i int) (int, error) {
	f.flight.enter()
	defer f.flight.leave()
	f.runs.Add(1)
	time.Sleep(failingEach)
	if i%flakyOneIn == 0 && f.failures[i] < flakyFailures {
		f.failures[i]++
		return 0, errFlaky
	}
	return i, nil
}

// did returns an error unless every job was run as often as it takes, and no more at once than allowed.
func (f *failingJobs) did(jobs int) error {
	if want := int64(jobs + jobs/flakyOneIn*flakyFailures); f.runs.Load() != want {
		return fmt.Errorf("%w: %d attempts instead of %d", errWork, f.runs.Load(), want)
	}
	return f.flight.within(failWidth)
}

// failingWorkload has jobs fail and be tried again.
func failingWorkload(jobs int) workload {
	w := workload{
		title: failingTitle,
		about: fmt.Sprintf("%s jobs of %s, of which one in %d fails %d times, at most %d at once; backoff %s, then %s. Ideal: %s.",
			number(float64(jobs)), length(failingEach), flakyOneIn, flakyFailures, failWidth, length(firstBackoff), length(2*firstBackoff),
			length(failingIdeal(jobs))),
		columns: []column{{elapsed, "seconds", true, true}, {allocs, "allocations", false, false}, {allocated, "B", false, false}},
	}
	for _, c := range []contender{oursPlain.contender(), antsFailsafe, byHand, failsafeBulkhead} {
		w.entrants = append(w.entrants, entrant{name: c.name, procs: c.procs, measure: func(context.Context) (sample, error) {
			return c.runFailing(jobs)
		}})
	}
	return w
}

// runFailing measures cold: what has succeeded once does not fail again.
func (c contender) runFailing(jobs int) (_ sample, err error) {
	f := &failingJobs{failures: make([]uint8, jobs)}
	s, err := c.open(order{
		load: load{jobs: jobs, window: jobs, submitters: 1}, workers: failWidth, task: f.run, threshold: breakerUnbound,
	})
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	found, err := repeat(jobs, 0, func() (tally, error) { return runAll(s, jobs) })
	return found, errors.Join(err, f.did(jobs))
}
