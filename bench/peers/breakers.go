package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

var errBackend = errors.New("the backend failed")

// guard is a breaker as the cases see it: do calls a function through it.
type guard struct {
	do     func(ctx context.Context, fn func() error) error
	closed func() bool
}

func failsafeGuard(breaker circuitbreaker.CircuitBreaker[any]) guard {
	executor := failsafe.With[any](breaker)
	return guard{
		do:     func(ctx context.Context, fn func() error) error { return executor.WithContext(ctx).Run(fn) },
		closed: breaker.IsClosed,
	}
}

func gobreakerGuard(settings gobreaker.Settings) guard {
	breaker := gobreaker.NewCircuitBreaker[any](settings)
	return guard{
		do: func(_ context.Context, fn func() error) error {
			_, err := breaker.Execute(func() (any, error) { return nil, fn() })
			return err
		},
		closed: func() bool { return breaker.State() == gobreaker.StateClosed },
	}
}

func oursGuard(t *testing.T, rule policy.Breaker) guard {
	breaker, err := dispatcher.NewBreaker(rule)
	require.NoError(t, err)
	return guard{
		do: func(ctx context.Context, fn func() error) error {
			return breaker.Do(ctx, func(context.Context) error { return fn() })
		},
		closed: func() bool { return breaker.State() == policy.Closed },
	}
}

// fail and succeed are what a backend does.
func fail() error    { return errBackend }
func succeed() error { return nil }

// panicking calls the guard with a function that panics, as under a server that recovers.
func (g *guard) panicking(t *testing.T) {
	defer func() { _ = recover() }()
	_ = g.do(t.Context(), func() error { panic("in the probe") })
}

const recovery = time.Second

var leakedProbe = defect{
	name: "probe leaked by a panic", rule: "B3", peer: failsafeGo,
	setup: "A circuit opens, and the probe panics (its caller recovers). Then the backend is well, and is called each second for an hour.",
	avoid: "Recover inside the guarded function.",
	peers: func(t *testing.T) finding {
		g := failsafeGuard(circuitbreaker.NewBuilder[any]().WithDelay(recovery).Build())
		return afterAPanic(t, &g, 1)
	},
	ours: func(t *testing.T) finding {
		g := oursGuard(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: recovery})
		return afterAPanic(t, &g, 1)
	},
}

var leakedProbeToo = defect{
	name: "probe leaked by a panic", rule: "B3", peer: goBreaker,
	setup: "The same.",
	avoid: "It counts a panic as a failure and hands back the probe.",
	peers: func(t *testing.T) finding {
		g := gobreakerGuard(gobreaker.Settings{Timeout: recovery, ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 1 }})
		return afterAPanic(t, &g, 1)
	},
	ours: leakedProbe.ours,
}

func afterAPanic(t *testing.T, g *guard, failures int) finding {
	for range failures {
		_ = g.do(t.Context(), fail)
	}
	time.Sleep(recovery) // virtual
	g.panicking(t)
	rejected := 0
	for range 3600 {
		time.Sleep(time.Second) // virtual
		if g.do(t.Context(), succeed) != nil {
			rejected++
		}
	}
	return finding{fmt.Sprintf("rejects %d of 3600 calls", rejected), rejected > 1}
}

var staleSuccess = defect{
	name: "stale success closes a half-open circuit", rule: "B4", peer: failsafeGo,
	setup: "A call begins while the circuit is closed. The circuit opens, and its probe is still out when the old call succeeds.",
	avoid: "None: a result counts in the state in which it arrives.",
	peers: func(t *testing.T) finding {
		g := failsafeGuard(circuitbreaker.NewBuilder[any]().WithDelay(recovery).Build())
		return staleEnd(t, &g)
	},
	ours: func(t *testing.T) finding {
		g := oursGuard(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: recovery})
		return staleEnd(t, &g)
	},
}

var staleSuccessToo = defect{
	name: "stale success closes a half-open circuit", rule: "B4", peer: goBreaker,
	setup: "The same.",
	avoid: "It counts generations, as ours does.",
	peers: func(t *testing.T) finding {
		g := gobreakerGuard(gobreaker.Settings{Timeout: recovery, ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 1 }})
		return staleEnd(t, &g)
	},
	ours: staleSuccess.ours,
}

func staleEnd(t *testing.T, g *guard) finding {
	old, probe, done := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	call := func(end chan struct{}) {
		_ = g.do(t.Context(), func() error { <-end; return nil })
		done <- struct{}{}
	}
	go call(old)
	time.Sleep(time.Millisecond) // virtual: it has begun
	_ = g.do(t.Context(), fail)
	time.Sleep(recovery)
	go call(probe)
	time.Sleep(time.Millisecond)
	close(old)
	<-done
	closed := g.closed()
	close(probe)
	<-done
	if closed {
		return finding{"closes with no probe's result", true}
	}
	return finding{"waits for the probe", false}
}

var cancelledCalls = defect{
	name: "cancelled calls open the circuit", rule: "B2", peer: goBreaker,
	setup: "Six calls whose caller cancels them, of a backend that is well (gobreaker's defaults: more than five failures in a row).",
	avoid: "Settings.IsExcluded for context.Canceled; the default counts every error as a failure.",
	peers: func(t *testing.T) finding {
		g := gobreakerGuard(gobreaker.Settings{})
		return cancelSix(t, &g)
	},
	ours: func(t *testing.T) finding {
		g := oursGuard(t, policy.Breaker{FailureThreshold: 5})
		return cancelSix(t, &g)
	},
}

func cancelSix(t *testing.T, g *guard) finding {
	for range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		_ = g.do(ctx, func() error { cancel(); return ctx.Err() })
	}
	if g.closed() {
		return finding{"stays closed", false}
	}
	return finding{"opens", true}
}

var roundedRatio = defect{
	name: "99 of 200 trip a ratio of 0.5", rule: "B1", peer: failsafeGo,
	setup: "A threshold of half the calls within a minute, at least 200 of them; 101 succeed, 99 fail.",
	avoid: "A threshold half a percent higher: the rate is rounded to a whole percent before it is compared.",
	peers: func(t *testing.T) finding {
		g := failsafeGuard(circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.5, 200, time.Minute).Build())
		return failLessThanHalf(t, &g)
	},
	ours: func(t *testing.T) finding {
		g := oursGuard(t, policy.Breaker{FailureRatio: 0.5, MinSamples: 200, WindowTime: time.Minute})
		return failLessThanHalf(t, &g)
	},
}

func failLessThanHalf(t *testing.T, g *guard) finding {
	for i := range 200 {
		end := succeed
		if i%2 == 1 && i > 1 {
			end = fail
		}
		_ = g.do(t.Context(), end)
	}
	if g.closed() {
		return finding{"stays closed", false}
	}
	return finding{"opens", true}
}
