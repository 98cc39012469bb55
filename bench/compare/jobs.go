package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// poolSize is how many jobs run at once, where they do nothing.
const poolSize = 256

// returnItself is the job that does nothing.
func returnItself(i int) (int, error) { return i, nil }

// jobColumns are those of jobs that do nothing.
var jobColumns = []column{{perJob, "ns/job", true, true}, {allocs, "allocations", false, false}, {allocated, "B", false, false}}

// everybody who runs jobs, and the dispatcher at other GOMAXPROCS.
func everybody() []contender {
	all := []contender{oursPlain.contender(), oursShared.contender(), oursTimeout.contender()}
	for _, procs := range otherProcs {
		all = append(all, oursWith(procs).contender())
	}
	return append(all,
		closures, goroutines, rawWorkers, antsPool, pondTasks, pondFutures, concPool, gammazero, errGroup,
		antsFailsafe, byHand, failsafeAsync)
}

// otherProcs are the GOMAXPROCS at which the dispatcher is measured besides.
var otherProcs = []int{1, 2, 4}

// jobsTitle is the title of the workload of a load.
func jobsTitle(l load) string {
	from := plural(l.submitters, "submitter")
	switch {
	case l.window == 1:
		return "round trip, " + from
	case l.window >= l.jobs:
		return fmt.Sprintf("burst of %s, %s", number(float64(l.jobs)), from)
	default:
		return fmt.Sprintf("window of %s, %s", number(float64(l.window)), from)
	}
}

// jobsWorkload has every contender run jobs that do nothing.
func jobsWorkload(l load, atLeast time.Duration) workload {
	about := fmt.Sprintf("%s jobs that do nothing, in a pool of %d. ", number(float64(l.jobs)), poolSize)
	if l.window >= l.jobs {
		about += "Each submitter hands in its share, and then awaits it."
	} else {
		about += fmt.Sprintf("Each submitter has up to %s handed in and not awaited.", number(float64(l.window)))
	}
	w := workload{title: jobsTitle(l), about: about, columns: jobColumns}
	o := order{load: l, workers: poolSize, task: returnItself, threshold: breakerThreshold}
	for _, c := range everybody() {
		w.entrants = append(w.entrants, c.entrant(o, atLeast))
	}
	return w
}

// entrant has the contender run the jobs of an order, which return their index.
func (c contender) entrant(o order, atLeast time.Duration) entrant {
	return entrant{name: c.name, procs: c.procs, measure: func(context.Context) (sample, error) { return c.runJobs(o, atLeast) }}
}

// runJobs runs an eighth of the jobs to get warm, and then measures: all jobs, over and over until it has taken long enough.
func (c contender) runJobs(o order, atLeast time.Duration) (_ sample, err error) {
	s, err := c.open(o)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if _, err := runAll(s, max(1, o.load.jobs/8)); err != nil {
		return sample{}, err
	}
	return repeat(o.load.jobs, atLeast, func() (tally, error) { return runAll(s, o.load.jobs) })
}

// runAll has a session run n jobs, and sees that it did.
func runAll(s session, n int) (tally, error) {
	done, err := s.run(n)
	if err == nil {
		err = done.mustBe(allOf(n))
	}
	return done, err
}

// errWork: a contender has not done what it was given.
var errWork = errors.New("not the work that was asked for")

// mustBe returns an error unless this is the work that was asked for.
func (t tally) mustBe(want tally) error {
	if t == want {
		return nil
	}
	return fmt.Errorf("%w: %d jobs with the sum %d instead of %d with %d", errWork, t.Count, t.Sum, want.Count, want.Sum)
}
