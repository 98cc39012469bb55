package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/panjf2000/ants/v2"
	"golang.org/x/time/rate"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// limitOf is the limit of a rate: its burst is 20 ms of the rate, at least 5. A burst of 1 could not be used up by anybody whose
// timers are late, for what comes in meanwhile is lost.
func limitOf(rate int) bucket { return bucket{rate: rate, burst: max(5, rate/50)} }

// backlog is how many jobs it takes that there are always some waiting.
func (b bucket) backlog(span time.Duration) int {
	return int(float64(b.rate)*(span.Seconds()+1)) + b.burst
}

func limitTitle(rate int) string { return fmt.Sprintf("limit of %s/s", number(float64(rate))) }

// limitWorkload has more jobs wait for a limit than it lets through.
func limitWorkload(rate int, span time.Duration) workload {
	b := limitOf(rate)
	w := workload{
		title: limitTitle(rate),
		about: fmt.Sprintf("More jobs than a limit of %s/s with a burst of %s lets through. Used: what started within %s of the first, in percent "+
			"of rate × time + burst. Most over: by how many starts that was exceeded in any span of time; at most zero is never. The "+
			"dispatcher's starts are the instants of its events, which are those of the admissions by the scheduler's clock. The others' are "+
			"taken when the function begins, too late to judge them by. failsafe-go's smooth limiter has no burst.",
			number(float64(rate)), number(float64(b.burst)), length(span)),
		columns: []column{{limitShare, "% used", true, false}, {limitOver, "most over", true, false}},
	}
	for _, c := range []struct {
		name  string
		admit func(ctx context.Context, b bucket, span time.Duration) (starts []time.Duration, ended int, err error)
	}{
		{oursName, limitOurs},
		{"ants + x/time/rate", limitByHand},
		{"ants + failsafe-go", limitFailsafe},
	} {
		w.entrants = append(w.entrants, entrant{name: c.name, measure: func(ctx context.Context) (sample, error) {
			starts, ended, err := c.admit(ctx, b, span)
			if err != nil {
				return sample{}, err
			}
			figures := map[figure]float64{limitShare: 100 * b.used(starts, span)}
			if c.name == oursName {
				figures[limitOver] = b.over(starts)
			}
			done := tally{Count: ended}
			return sample{Work: done, Figures: figures}, done.mustBe(tally{Count: b.backlog(span)})
		}})
	}
	return w
}

// limitOurs returns when jobs were admitted, until it stopped the rest, and how many were settled in the way they should: run, or
// told that they had not started.
func limitOurs(ctx context.Context, b bucket, span time.Duration) (starts []time.Duration, ended int, err error) {
	jobs := b.backlog(span)
	var first time.Time
	settled, begun, over := 0, make(chan struct{}), make(chan struct{})
	listen := func(e dispatcher.Event) { // on one goroutine
		switch e.Kind {
		case dispatcher.AttemptStarted:
			if len(starts) == 0 {
				first = e.At
				close(begun)
			}
			starts = append(starts, e.At.Sub(first))
		case dispatcher.JobSettled:
			if settled++; settled == jobs {
				close(over)
			}
		default:
		}
	}
	d, err := dispatcher.New(dispatcher.Config{
		Workers: poolSize, Queue: jobs,
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(float64(b.rate)), Burst: float64(b.burst)}},
		Retry:   policy.Retry{MaxAttempts: attempts},
		Breaker: policy.Breaker{FailureThreshold: breakerThreshold},
		OnEvent: listen, EventBuffer: 4 * jobs, // started, ended, settled
	})
	if err != nil {
		return nil, 0, err
	}
	futures := make([]*job.Future[int], jobs)
	for i := range futures {
		if futures[i], err = dispatcher.Submit(ctx, d, func(context.Context) (int, error) { return i, nil }); err != nil {
			return nil, 0, errors.Join(err, d.Stop(ctx))
		}
	}
	if err := errors.Join(wait(ctx, begun), pause(ctx, span), d.Stop(ctx), wait(ctx, over)); err != nil {
		return nil, 0, err
	}
	if n := d.EventsDropped(); n > 0 {
		return nil, 0, fmt.Errorf("%d events were dropped", n)
	}
	ran := 0
	for i, f := range futures {
		switch value, err, ok := f.Result(); {
		case ok && err == nil && value == i:
			ran++
		case ok && errors.Is(err, job.ErrNotStarted):
			ended++
		default:
			return nil, 0, fmt.Errorf("%w: job %d ended with %d, %w", errWork, i, value, err)
		}
	}
	if ran != len(starts) {
		return nil, 0, fmt.Errorf("%w: %d jobs have run, and %d were started", errWork, ran, len(starts))
	}
	return starts, ran + ended, nil
}

// wait waits for something to happen.
func wait(ctx context.Context, happened <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-happened:
		return nil
	}
}

func limitByHand(ctx context.Context, b bucket, span time.Duration) ([]time.Duration, int, error) {
	limiter := rate.NewLimiter(rate.Limit(b.rate), b.burst)
	return limitInPool(ctx, b, span, func(ctx context.Context, fn func()) {
		if limiter.Wait(ctx) == nil {
			fn()
		}
	})
}

func limitFailsafe(ctx context.Context, b bucket, span time.Duration) ([]time.Duration, int, error) {
	guard := failsafe.With(ratelimiter.NewSmoothBuilder[any](uint(b.rate), time.Second).WithMaxWaitTime(patience).Build())
	return limitInPool(ctx, b, span, func(ctx context.Context, fn func()) {
		// The error is that ctx has ended.
		_ = guard.WithContext(ctx).Run(func() error { fn(); return nil })
	})
}

// limitInPool runs jobs in a pool of ants, each through guarded, and returns when those began that did until it called off the
// rest, and how many have ended.
func limitInPool(ctx context.Context, b bucket, span time.Duration, guarded func(context.Context, func())) ([]time.Duration, int, error) {
	pool, err := ants.NewPool(poolSize)
	if err != nil {
		return nil, 0, err
	}
	defer pool.Release()
	ctx, callOff := context.WithCancel(ctx)
	defer callOff()

	starts := make([]time.Duration, b.backlog(span))
	var began, ended atomic.Int64
	begun := make(chan struct{})
	origin := time.Now()
	start := func() {
		n := began.Add(1)
		starts[n-1] = time.Since(origin)
		if n == 1 {
			close(begun)
		}
	}
	var jobs sync.WaitGroup
	jobs.Add(len(starts))
	var handing error
	go func() {
		for range starts {
			err := pool.Submit(func() {
				defer jobs.Done()
				guarded(ctx, start)
				ended.Add(1)
			})
			if err != nil {
				handing = err
				jobs.Done()
			}
		}
	}()
	err = errors.Join(wait(ctx, begun), pause(ctx, span))
	callOff()
	jobs.Wait()
	starts = starts[:began.Load()]
	slices.Sort(starts)
	return starts, int(ended.Load()), errors.Join(err, handing)
}
