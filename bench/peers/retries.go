package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

const tries = 500 // where chance has a part

// waits collects how long it was between the first two attempts of jobs.
type waits struct {
	mu          sync.Mutex
	least, most time.Duration
}

// job returns a function that fails once, and notes when it is called again.
func (w *waits) job(err error) func() error {
	var first time.Time
	return func() error {
		if first.IsZero() {
			first = time.Now()
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		wait := time.Since(first)
		w.most = max(w.most, wait)
		if w.least == 0 {
			w.least = wait
		}
		w.least = min(w.least, wait)
		return nil
	}
}

// oursTwice runs jobs that fail once under a rule.
func oursTwice(t *testing.T, rule policy.Retry, err error) *waits {
	d, e := dispatcher.New(dispatcher.Config{Workers: tries, Retry: rule})
	require.NoError(t, e)
	var w waits
	for range tries {
		fn := w.job(err)
		_, e := dispatcher.Go(t.Context(), d, func(context.Context) error { return fn() })
		require.NoError(t, e)
	}
	require.NoError(t, d.Close(t.Context()))
	return &w
}

// together runs so many at once.
func together(t *testing.T, run func() error) {
	var all errgroup.Group
	for range tries {
		all.Go(run)
	}
	require.NoError(t, all.Wait())
}

const hinted = 10 * time.Second

var earlyRetry = defect{
	name: "Retry-After undercut by jitter", rule: "R4", peer: failsafeGo,
	setup: fmt.Sprintf("The server asks for 10 s; the policy takes that as its delay and has a jitter of a quarter. The earliest of %d.", tries),
	avoid: "No jitter on a policy whose delay is a server's.",
	peers: func(t *testing.T) finding {
		var w waits
		retries := retrypolicy.NewBuilder[any]().WithDelayFunc(func(failsafe.ExecutionAttempt[any]) time.Duration { return hinted }).WithJitterFactor(.25).Build()
		together(t, func() error { return failsafe.With[any](retries).Run(w.job(errBackend)) })
		return tooEarly(&w)
	},
	ours: func(t *testing.T) finding {
		return tooEarly(oursTwice(t, policy.Retry{MaxAttempts: 2, Jitter: policy.JitterFraction(.25)}, policy.TransientAfter(errBackend, hinted)))
	},
}

var earlyRetryToo = defect{
	name: "Retry-After undercut by jitter", rule: "R4", peer: backoffGo,
	setup: "The same, with backoff.RetryAfter.",
	avoid: "It waits exactly as long as it was told (and all who were told the same come at once).",
	peers: func(t *testing.T) finding {
		var w waits
		together(t, func() error {
			fn := w.job(backoff.RetryAfter(int(hinted / time.Second)))
			_, err := backoff.Retry(t.Context(), func() (any, error) { return nil, fn() })
			return err
		})
		return tooEarly(&w)
	},
	ours: earlyRetry.ours,
}

func tooEarly(w *waits) finding {
	return finding{fmt.Sprintf("comes back after %.2f s", w.least.Seconds()), w.least < hinted}
}

const longest = 4 * time.Second

var capBeforeJitter = defect{
	name: "cap exceeded by jitter", rule: "R2", peer: backoffGo,
	setup: fmt.Sprintf("A backoff of 4 s, a cap of 4 s, a jitter of a half (backoff's default). The longest of %d.", tries),
	avoid: "A MaxInterval that is lower by the jitter; its documentation says that the cap is on the interval, not the randomised one.",
	peers: func(t *testing.T) finding {
		var w waits
		together(t, func() error {
			fn := w.job(errBackend)
			b := backoff.NewExponentialBackOff()
			b.InitialInterval, b.MaxInterval = longest, longest
			_, err := backoff.Retry(t.Context(), func() (any, error) { return nil, fn() }, backoff.WithBackOff(b))
			return err
		})
		return tooLong(&w)
	},
	ours: func(t *testing.T) finding {
		return tooLong(oursTwice(t, policy.Retry{MaxAttempts: 2, Delay: longest, MaxDelay: longest, Jitter: policy.JitterFraction(.5)}, policy.Transient(errBackend)))
	},
}

var capBeforeJitterToo = defect{
	name: "cap exceeded by jitter", rule: "R2", peer: failsafeGo,
	setup: "The same, with WithBackoff(3.9 s, 4 s) and WithJitterFactor(0.5).",
	avoid: "A maximal delay that is lower by the jitter.",
	peers: func(t *testing.T) finding {
		var w waits
		retries := retrypolicy.NewBuilder[any]().WithBackoff(longest-100*time.Millisecond, longest).WithJitterFactor(.5).Build()
		together(t, func() error { return failsafe.With[any](retries).Run(w.job(errBackend)) })
		return tooLong(&w)
	},
	ours: capBeforeJitter.ours,
}

var capAfterJitter = defect{
	name: "cap exceeded by jitter", rule: "R2", peer: retryGo,
	setup: "The same, with its default delay (backoff and up to 2 s of jitter).",
	avoid: "It caps after jitter, as ours does.",
	peers: func(t *testing.T) finding {
		var w waits
		together(t, func() error {
			return retry.New(retry.Attempts(2), retry.Delay(longest), retry.MaxDelay(longest), retry.MaxJitter(longest/2)).Do(w.job(errBackend))
		})
		return tooLong(&w)
	},
	ours: capBeforeJitter.ours,
}

func tooLong(w *waits) finding {
	return finding{fmt.Sprintf("waits up to %.2f s", w.most.Seconds()), w.most > longest}
}

var overflowing = defect{
	name: "overflow to a hot loop", rule: "R5", peer: failsafeGo,
	setup: "A backoff of 1 s, tenfold each time, with no cap to speak of (the longest Duration); 20 retries.",
	avoid: "A maximal delay far below the longest Duration.",
	peers: func(t *testing.T) finding {
		var delays []time.Duration
		retries := retrypolicy.NewBuilder[any]().WithMaxRetries(20).WithBackoffFactor(time.Second, math.MaxInt64, 10).
			OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[any]) { delays = append(delays, e.Delay) }).Build()
		_ = failsafe.With[any](retries).Run(fail)
		return hot(delays)
	},
	ours: func(*testing.T) finding { return hot(oursDelays(policy.NoJitter, 20)) },
}

var overflowingJitter = defect{
	name: "overflow to a hot loop", rule: "R5", peer: backoffGo,
	setup: "The same with a jitter of a half; 60 times NextBackOff.",
	avoid: "A MaxInterval far below the longest Duration; the default is a minute.",
	peers: func(*testing.T) finding {
		b := backoff.NewExponentialBackOff()
		b.InitialInterval, b.MaxInterval, b.Multiplier = time.Second, math.MaxInt64, 10
		var delays []time.Duration
		for range 60 {
			delays = append(delays, b.NextBackOff())
		}
		return hot(delays)
	},
	ours: func(*testing.T) finding { return hot(oursDelays(policy.JitterFraction(.5), 60)) },
}

var overflowingShift = defect{
	name: "overflow to a hot loop, or a panic", rule: "R5", peer: retryGo,
	setup: "Its default delay and FullJitterBackoffDelay, 60 retries each from 1 s.",
	avoid: "It bounds the exponent, and saturates.",
	peers: func(*testing.T) finding {
		var delays notingTimer
		for _, kind := range []retry.DelayTypeFunc{retry.CombineDelay(retry.BackOffDelay, retry.RandomDelay), retry.FullJitterBackoffDelay} {
			_ = retry.New(retry.Attempts(61), retry.Delay(time.Second), retry.DelayType(kind), retry.WithTimer(&delays)).Do(fail)
		}
		return hot(delays)
	},
	ours: func(*testing.T) finding {
		return hot(append(oursDelays(policy.NoJitter, 60), oursDelays(policy.FullJitter, 60)...))
	},
}

// notingTimer notes the waits, and does not wait.
type notingTimer []time.Duration

func (n *notingTimer) After(d time.Duration) <-chan time.Time {
	*n = append(*n, d)
	now := make(chan time.Time, 1)
	now <- time.Now()
	return now
}

// oursDelays asks our rule for the waits of n retries, with the chance that a test of it would take.
func oursDelays(jitter policy.Jitter, n int) (delays []time.Duration) {
	rule := policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Delay: time.Second, Backoff: 10, MaxDelay: math.MaxInt64, Jitter: jitter}
	wait := time.Duration(0)
	for i := range n {
		wait = rule.Wait(i+1, wait, float64(i%10)/10+.05)
		delays = append(delays, wait)
	}
	return delays
}

func hot(delays []time.Duration) finding {
	zero := 0
	for _, d := range delays {
		if d <= time.Microsecond {
			zero++
		}
	}
	return finding{fmt.Sprintf("%d of %d waits are zero", zero, len(delays)), zero > 0}
}

const headOfLineWorkers = 10

var headOfLine = defect{
	name: "retries hold workers", rule: "A3", peer: backoffGo,
	setup: "Ten workers (an errgroup with a limit). Ten jobs fail three times, with 1, 2 and 4 s between; behind them come 90 that take 10 ms.",
	avoid: "None within it: Retry sleeps on its caller's goroutine. Retries have to be queued again by hand.",
	peers: func(t *testing.T) finding {
		var last atomic.Int64
		began := time.Now()
		var all errgroup.Group
		all.SetLimit(headOfLineWorkers)
		for i := range 100 {
			fn := someJob(i, began, &last)
			all.Go(func() error {
				b := backoff.NewExponentialBackOff()
				b.InitialInterval, b.Multiplier, b.RandomizationFactor = time.Second, 2, 0
				_, err := backoff.Retry(t.Context(), func() (any, error) { return nil, fn() }, backoff.WithBackOff(b))
				return err
			})
		}
		require.NoError(t, all.Wait())
		return behind(&last)
	},
	ours: func(t *testing.T) finding {
		var last atomic.Int64
		d, err := dispatcher.New(dispatcher.Config{Workers: headOfLineWorkers, Retry: policy.Retry{MaxAttempts: 4, Delay: time.Second, Jitter: policy.NoJitter}})
		require.NoError(t, err)
		began := time.Now()
		for i := range 100 {
			fn := someJob(i, began, &last)
			_, err := dispatcher.Go(t.Context(), d, func(context.Context) error { return policy.Transient(fn()) })
			require.NoError(t, err)
		}
		require.NoError(t, d.Close(t.Context()))
		return behind(&last)
	},
}

// someJob returns the i-th of those jobs. last becomes when the last good one has ended.
func someJob(i int, began time.Time, last *atomic.Int64) func() error {
	left := 0
	if i < headOfLineWorkers {
		left = 3
	}
	return func() error {
		if left > 0 {
			left--
			return errBackend
		}
		if i >= headOfLineWorkers {
			time.Sleep(10 * time.Millisecond) // virtual
			last.Store(int64(time.Since(began)))
		}
		return nil
	}
}

func behind(last *atomic.Int64) finding {
	took, ideal := time.Duration(last.Load()), 90*time.Millisecond
	return finding{fmt.Sprintf("%v (%.0f × what they need)", took, float64(took)/float64(ideal)), took > 2*ideal}
}

const capacity = 5

var overCapacity = defect{
	name: "more in flight than the cap", rule: "C1", peer: failsafeGo,
	setup: "At most 5 at once, with retries and a timeout of 100 ms; 20 functions that ignore it and take 1 s.",
	avoid: "The slot is kept until the function returns, as ours is.",
	peers: func(*testing.T) finding {
		var g gauge
		executor := failsafe.With[any](retrypolicy.NewWithDefaults[any](), bulkhead.NewBuilder[any](capacity).WithMaxWaitTime(time.Hour).Build(), timeout.New[any](100*time.Millisecond))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { _ = executor.Run(g.ignoring) })
		}
		all.Wait()
		return g.finding()
	},
	ours: func(t *testing.T) finding {
		var g gauge
		d, err := dispatcher.New(dispatcher.Config{Workers: capacity, Timeout: 100 * time.Millisecond, Retry: policy.Retry{MaxAttempts: 3}})
		require.NoError(t, err)
		var futures []*job.Future[struct{}]
		for range 20 {
			f, err := dispatcher.Go(t.Context(), d, func(context.Context) error { return g.ignoring() })
			require.NoError(t, err)
			futures = append(futures, f)
		}
		_, err = job.All(t.Context(), futures...)
		require.True(t, err == nil || !errors.Is(err, context.Canceled))
		require.NoError(t, d.Close(t.Context()))
		return g.finding()
	},
}

// gauge counts how many run.
type gauge struct {
	mu        sync.Mutex
	now, most int
}

func (g *gauge) ignoring() error {
	g.count(1)
	time.Sleep(time.Second) // virtual
	g.count(-1)
	return nil
}

func (g *gauge) count(by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += by
	g.most = max(g.most, g.now)
}

func (g *gauge) finding() finding {
	return finding{fmt.Sprintf("%d at once", g.most), g.most > capacity}
}

// cases are all of them, in the order of the table.
var cases = []defect{
	cancelledWaits, cancelledAhead, rejectedUse, doubleMinute, doubleBorder,
	leakedProbe, leakedProbeToo, staleSuccess, staleSuccessToo, cancelledCalls, roundedRatio,
	earlyRetry, earlyRetryToo, capBeforeJitter, capBeforeJitterToo, capAfterJitter, overflowing, overflowingJitter, overflowingShift,
	headOfLine, overCapacity,
}
