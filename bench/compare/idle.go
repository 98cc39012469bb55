package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

func idleTitle(jobs int) string { return "idle with " + number(float64(jobs)) + " parked jobs" }

// idleWorkload parks jobs and says what it costs that they are there.
func idleWorkload(jobs int, span time.Duration) workload {
	w := workload{
		title:   idleTitle(jobs),
		about:   fmt.Sprintf("The CPU time of the process in %s, while %s jobs wait for an instant an hour away.", length(span), number(float64(jobs))),
		columns: []column{{cpuShare, "% of a core", true, false}, {resident, "B resident each", false, false}, {goroutine, "goroutines", false, false}},
	}
	for _, p := range []struct {
		name string
		park func(jobs int) (end func() (int, error), err error)
	}{
		{oursName, parkOurs},
		{"goroutine per job, with a timer", parkGoroutines},
	} {
		w.entrants = append(w.entrants, entrant{name: p.name, measure: func(ctx context.Context) (sample, error) {
			return idle(ctx, jobs, span, p.park)
		}})
	}
	return w
}

// idle parks jobs, lets a span go by, and ends them; end says how many have ended without having run.
func idle(ctx context.Context, jobs int, span time.Duration, park func(int) (end func() (int, error), err error)) (_ sample, err error) {
	before, err := weigh()
	if err != nil {
		return sample{}, err
	}
	end, err := park(jobs)
	if err != nil {
		return sample{}, err
	}
	after, err := weigh()
	if err != nil {
		return sample{}, err
	}
	if err := pause(ctx, span/2); err != nil { // until the collector is done with giving memory back
		return sample{}, err
	}
	cpu, began, err := reading()
	if err != nil {
		return sample{}, err
	}
	if err := pause(ctx, span); err != nil {
		return sample{}, err
	}
	cpuAfter, ended, err := reading()
	if err != nil {
		return sample{}, err
	}
	parked, err := end()
	if err != nil {
		return sample{}, err
	}
	done := tally{Count: parked}
	return sample{Work: done, Figures: map[figure]float64{
		cpuShare:  100 * float64(cpuAfter-cpu) / float64(ended.Sub(began)),
		resident:  (float64(after.resident) - float64(before.resident)) / float64(jobs),
		goroutine: float64(after.goroutines - before.goroutines),
	}}, done.mustBe(tally{Count: jobs})
}

func reading() (cpu time.Duration, at time.Time, err error) {
	cpu, err = cpuTime()
	return cpu, time.Now(), err
}

func pause(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func parkOurs(jobs int) (end func() (int, error), err error) {
	d, _, stop, err := oursPlain.start(order{load: load{jobs: jobs}, workers: poolSize, threshold: breakerThreshold})
	if err != nil {
		return nil, err
	}
	futures, err := handIn(d, jobs, dispatcher.WithDelay(patience))
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return func() (parked int, err error) {
		err = stop()
		for _, f := range futures {
			if _, err, ok := f.Result(); ok && errors.Is(err, job.ErrNotStarted) {
				parked++
			}
		}
		return parked, err
	}, nil
}

func parkGoroutines(jobs int) (end func() (int, error), err error) {
	stop, parked := make(chan struct{}), make(chan bool, jobs)
	for range jobs {
		go func() {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			select {
			case <-stop:
				parked <- true
			case <-timer.C:
				parked <- false
			}
		}()
	}
	return func() (n int, err error) {
		close(stop)
		for range jobs {
			if <-parked {
				n++
			}
		}
		return n, nil
	}, nil
}
