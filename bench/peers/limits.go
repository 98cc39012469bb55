package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

const (
	failsafeGo = "github.com/failsafe-go/failsafe-go"
	goBreaker  = "github.com/sony/gobreaker/v2"
	xTime      = "golang.org/x/time"
	backoffGo  = "github.com/cenkalti/backoff/v5"
	retryGo    = "github.com/avast/retry-go/v5"
)

var cancelledWaits = defect{
	name: "permits kept by cancelled waits", rule: "A4", peer: failsafeGo,
	setup: "A limit of one a second. 20 callers wait for it and give up after 10 ms; then one waits.",
	avoid: "None: a permit is reserved when the wait begins, and a cancelled wait does not give it back.",
	peers: func(t *testing.T) finding {
		limiter := ratelimiter.NewSmooth[any](1, time.Second)
		require.NoError(t, limiter.AcquirePermit(t.Context()))
		return afterGivingUp(t, 20, limiter.AcquirePermit)
	},
	ours: func(t *testing.T) finding { return afterGivingUp(t, 20, oursOnePerSecond(t)) },
}

var cancelledAhead = defect{
	name: "cancelled waiters ahead still cost time", rule: "A4", peer: xTime,
	setup: "A limit of one a second, used up. Nine callers wait, a tenth behind them; the nine give up after 10 ms.",
	avoid: "None: Wait reserves a time, and what those ahead give back does not move it (Reservation.CancelAt restores tokens only " +
		"that nobody has reserved after).",
	peers: func(t *testing.T) finding {
		limiter := rate.NewLimiter(1, 1)
		require.NoError(t, limiter.Wait(t.Context()))
		return behindThoseWhoGiveUp(t, limiter.Wait)
	},
	ours: func(t *testing.T) finding { return behindThoseWhoGiveUp(t, oursOnePerSecond(t)) },
}

func oursOnePerSecond(t *testing.T) func(context.Context) error {
	limiter, err := dispatcher.NewLimiter(policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 1})
	require.NoError(t, err)
	require.NoError(t, limiter.Acquire(t.Context(), 1))
	return func(ctx context.Context) error { return limiter.Acquire(ctx, 1) }
}

// afterGivingUp measures a wait after n that were cancelled. What came in meanwhile is one token at most: 10 ms of it.
func afterGivingUp(t *testing.T, n int, wait func(context.Context) error) finding {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var waiting sync.WaitGroup
	for range n {
		waiting.Go(func() { _ = wait(ctx) })
	}
	waiting.Wait()
	began := time.Now()
	require.NoError(t, wait(t.Context()))
	took := time.Since(began)
	return finding{fmt.Sprintf("waits %v", took), took > time.Second}
}

func behindThoseWhoGiveUp(t *testing.T, wait func(context.Context) error) finding {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	var waiting sync.WaitGroup
	for range 9 {
		// x/time/rate refuses at once a wait that would outlast the deadline of its context; a cancellation it can't foresee.
		blind, giveUp := context.WithCancel(t.Context())
		context.AfterFunc(ctx, giveUp)
		waiting.Go(func() { _ = wait(blind) })
	}
	time.Sleep(time.Millisecond) // virtual: all nine stand in line
	require.NoError(t, wait(t.Context()))
	took := time.Since(began)
	waiting.Wait()
	return finding{fmt.Sprintf("the tenth waits %v", took), took > time.Second}
}

var doubleMinute = defect{
	name: "200 in a minute under \"100 a minute\"", rule: "L3", peer: xTime,
	setup: "A limit of 100 a minute with a burst of 100, asked for as often as it says yes for a minute; ours is Sliding, without which it is a bucket like theirs, and grants as many.",
	avoid: "A smaller burst: the bucket is a token bucket, and its documentation says so. It then spreads what could start at once.",
	peers: func(t *testing.T) finding {
		limiter := rate.NewLimiter(rate.Every(time.Minute/100), 100)
		return inAMinute(limiter.Allow)
	},
	ours: func(t *testing.T) finding { return inAMinute(oursSliding(t)) },
}

var doubleBorder = defect{
	name: "200 at the border of two minutes", rule: "L3", peer: failsafeGo,
	setup: "A limit of 100 a minute (failsafe-go's bursty limiter), unused for 59 s, then asked for 2 s long; ours is Sliding.",
	avoid: "The smooth limiter, which spreads all evenly and has no burst.",
	peers: func(t *testing.T) finding {
		limiter := ratelimiter.NewBursty[any](100, time.Minute)
		time.Sleep(59 * time.Second) // virtual
		return within(limiter.TryAcquirePermit, 2*time.Second)
	},
	ours: func(t *testing.T) finding {
		try := oursSliding(t)
		time.Sleep(59 * time.Second) // virtual
		return within(try, 2*time.Second)
	},
}

func oursSliding(t *testing.T) func() bool {
	limiter, err := dispatcher.NewLimiter(policy.Limit{Name: "calls", Rate: policy.PerMinute(100), Burst: 100, Sliding: true})
	require.NoError(t, err)
	return func() bool { return limiter.TryAcquire(1) == nil }
}

func inAMinute(try func() bool) finding { return within(try, 59999*time.Millisecond) }

func within(try func() bool, span time.Duration) finding {
	granted := 0
	for end := time.Now().Add(span); !time.Now().After(end); time.Sleep(10 * time.Millisecond) {
		for try() {
			granted++
		}
	}
	return finding{fmt.Sprintf("%d in %v", granted, span.Round(time.Second)), granted > 100}
}

var rejectedUse = defect{
	name: "permits used up by calls that another gate rejects", rule: "A2", peer: failsafeGo,
	setup: "A limit of 10 a minute around an open circuit: ten calls are rejected by it; then the circuit closes, and ten calls are made.",
	avoid: "The breaker outside of the limiter, and told by HandleIf that the limiter's ErrExceeded is no failure.",
	peers: func(t *testing.T) finding {
		limiter := ratelimiter.NewBursty[any](10, time.Minute)
		breaker := circuitbreaker.NewWithDefaults[any]()
		breaker.Open()
		executor := failsafe.With[any](limiter, breaker)
		call := func() bool { return executor.Run(func() error { return nil }) == nil }
		return leftOver(call, breaker.Close)
	},
	ours: func(t *testing.T) finding {
		d, err := dispatcher.New(dispatcher.Config{
			Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerMinute(10), Burst: 10}},
			Breaker: policy.Breaker{FailureThreshold: 5},
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, d.Close(t.Context())) }()
		d.ForceOpen("k")
		call := func() bool {
			_, err := dispatcher.Do(t.Context(), d, func(context.Context) (int, error) { return 0, nil }, dispatcher.WithKey("k"), dispatcher.WithDeadline(time.Now().Add(time.Second)))
			return err == nil
		}
		return leftOver(call, func() { d.Reset("k") })
	},
}

func leftOver(call func() bool, mend func()) finding {
	for range 10 {
		call()
	}
	mend()
	good := 0
	for range 10 {
		if call() {
			good++
		}
	}
	return finding{fmt.Sprintf("%d of 10 calls pass", good), good < 10}
}
