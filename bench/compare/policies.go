package main

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// The contenders that have a limit, retries and a breaker too, from other libraries. The figures are the same for all who
// have them, ours included.
const (
	unbound      = 1_000_000_000 // the limit: so many a second, and at once. It is there, and does not bind
	attempts     = 3             // of a job, at most
	firstBackoff = 50 * time.Millisecond
	patience     = time.Hour // longer than any measurement
)

// The breaker opens after so many failures in a row.
const (
	breakerThreshold = 5
	breakerUnbound   = 1_000_000 // where jobs are meant to fail
)

var (
	// antsFailsafe composes the two best known: each job of the pool is a call through failsafe-go.
	antsFailsafe = contender{name: "ants + failsafe-go + channel", open: func(o order) (session, error) {
		guard, task := failsafe.With(failsafePolicies(o.threshold)...), o.task
		return guardedByAnts(o, func(i int) (int, error) {
			return guard.Get(func() (int, error) { return task(i) })
		})
	}}

	// byHand composes one library for each policy: retry around limiter around breaker.
	byHand = contender{name: "ants + gobreaker, x/time/rate, backoff + channel", open: func(o order) (session, error) {
		guard, task := newHandmade(o.threshold), o.task
		return guardedByAnts(o, func(i int) (int, error) {
			return guard.call(func() (int, error) { return task(i) })
		})
	}}

	// failsafeAsync is failsafe-go's own future. It has a goroutine for each job and no bound on them.
	failsafeAsync = contender{name: "failsafe-go async", open: func(o order) (session, error) {
		return openFailsafeAsync(o, failsafe.With(failsafePolicies(o.threshold)...)), nil
	}}

	// failsafeBulkhead also bounds how many run. The bulkhead is innermost: a job in backoff does not hold its place.
	failsafeBulkhead = contender{name: "failsafe-go async, bulkhead", open: func(o order) (session, error) {
		bound := bulkhead.NewBuilder[int](uint(o.workers)).WithMaxWaitTime(patience).Build()
		return openFailsafeAsync(o, failsafe.With(append(failsafePolicies(o.threshold), bound)...)), nil
	}}
)

// failsafePolicies are the policies, the outermost first.
func failsafePolicies(threshold int) []failsafe.Policy[int] {
	return []failsafe.Policy[int]{
		retrypolicy.NewBuilder[int]().WithMaxAttempts(attempts).WithBackoff(firstBackoff, time.Second).Build(),
		ratelimiter.NewBurstyBuilder[int](unbound, time.Second).WithMaxWaitTime(patience).Build(),
		circuitbreaker.NewBuilder[int]().WithFailureThreshold(uint(threshold)).Build(),
	}
}

func openFailsafeAsync(o order, guard failsafe.Executor[int]) session {
	task := o.task
	submit := func(i int) (failsafe.ExecutionResult[int], error) {
		return guard.GetAsync(func() (int, error) { return task(i) }), nil
	}
	await := func(r failsafe.ExecutionResult[int]) (int, error) { return r.Get() }
	return serve(o, submit, await, nothing)
}

// guardedByAnts runs jobs in a pool of ants, each through guarded.
func guardedByAnts(o order, guarded func(i int) (int, error)) (session, error) {
	o.task = guarded
	return antsPool.open(o)
}

// handmade is what one composes by hand.
type handmade struct {
	limiter *rate.Limiter
	breaker *gobreaker.CircuitBreaker[int]
}

func newHandmade(threshold int) handmade {
	return handmade{
		limiter: rate.NewLimiter(unbound, unbound),
		breaker: gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
			ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= threshold },
		}),
	}
}

func (h handmade) call(fn func() (int, error)) (int, error) {
	ctx := context.Background()
	once := func() (int, error) {
		if err := h.limiter.Wait(ctx); err != nil {
			return 0, err
		}
		return h.breaker.Execute(fn)
	}
	waits := &backoff.ExponentialBackOff{InitialInterval: firstBackoff, Multiplier: 2, MaxInterval: time.Second}
	return backoff.Retry(ctx, once, backoff.WithBackOff(waits), backoff.WithMaxTries(attempts))
}
