package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// A small model of Toller 0.0.3, as far as the tests beside it need one: what @toller.task does, in its order. It takes from the
// limiter once, enters the circuit breaker, and inside that tries again. The sleeping, the counting and the states are those of
// Toller's code, and so are the surprises: in each of the scenarios here, Toller itself was seen to do what the model does.

// What a call ends in, as Python's exceptions. CancelledError, which is none of Exception, is the error of a context here.
type (
	transientError struct{ error } // TransientError and what is derived from it
	fatalError     struct{ error } // FatalError and what is derived from it

	maxRetriesExceededError struct{ lastException error } // raised after the except block: it has no cause
	openCircuitError        struct{}
)

func (e maxRetriesExceededError) Error() string { return "failed after all attempts" }
func (e openCircuitError) Error() string        { return "circuit breaker is OPEN" }

// is reports whether err is of type E, as isinstance does: it does not look at what err wraps.
func is[E error](err error) bool {
	_, ok := err.(E) //nolint:errorlint // see above
	return ok
}

// isException reports whether err is an Exception.
func isException(err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// tollerLimiter is CallRateLimiter.
type tollerLimiter struct {
	rate, burst float64

	mu     sync.Mutex
	tokens float64   // guarded by mu
	last   time.Time // guarded by mu
}

func newTollerLimiter(rate, burst float64) *tollerLimiter {
	return &tollerLimiter{rate: rate, burst: burst, tokens: burst, last: time.Now()}
}

// acquire sleeps for as long as it takes until there would be enough, and looks again: others may have come in between.
func (l *tollerLimiter) acquire(ctx context.Context, calls float64) error {
	for {
		wait := l.try(calls)
		if wait <= 0 {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (l *tollerLimiter) try(calls float64) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.tokens = min(l.burst, l.tokens+now.Sub(l.last).Seconds()*l.rate)
	l.last = now
	if l.tokens >= calls {
		l.tokens -= calls
		return 0
	}
	return time.Duration(math.Ceil((calls - l.tokens) / l.rate * 1e9))
}

// level is current_call_allowance.
func (l *tollerLimiter) level() float64 {
	l.try(math.Inf(1)) // which takes nothing
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens
}

// tollerBreaker is CircuitBreaker.
type tollerBreaker struct {
	threshold int
	recovery  time.Duration
	expected  func(error) bool // expected_exception

	mu       sync.Mutex
	state    string    // guarded by mu; "closed", "open" or "half-open"
	failures int       // guarded by mu
	failedAt time.Time // guarded by mu
}

// around is "async with": __aenter__, the body, __aexit__.
func (b *tollerBreaker) around(body func() error) error {
	if err := b.enter(); err != nil {
		return err
	}
	err := body()
	b.exit(err)
	return err
}

func (b *tollerBreaker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == "open" {
		if time.Since(b.failedAt) < b.recovery {
			return openCircuitError{}
		}
		b.state, b.failures = "half-open", 0
	}
	return nil
}

func (b *tollerBreaker) exit(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := isException(err) && b.expected(err)
	switch {
	case b.state == "half-open" && failed:
		b.state, b.failedAt = "open", time.Now()
	case b.state == "half-open":
		b.state, b.failures = "closed", 0
	case b.state == "closed" && failed:
		b.failures++
		b.failedAt = time.Now()
		if b.failures >= b.threshold {
			b.state = "open"
		}
	case b.state == "closed":
		b.failures = 0
	}
}

// current is the property state, which is as of the last call.
func (b *tollerBreaker) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// tollerRetry is retry_async_call.
type tollerRetry struct {
	attempts        int
	delay, maxDelay time.Duration // maxDelay 0: None
	backoff         float64
	jitter          any // bool, int, float64 or [2]float64, as in Python
}

func (r tollerRetry) run(ctx context.Context, fn func(context.Context) error) error {
	delay := r.delay
	for attempt := 1; ; attempt++ {
		err := fn(ctx)
		if err == nil || !isException(err) || !is[transientError](err) { // a FatalError is none
			return err
		}
		if attempt >= r.attempts {
			return maxRetriesExceededError{lastException: err}
		}
		if err := pause(ctx, r.spread(delay)); err != nil {
			return err
		}
		delay = time.Duration(float64(delay) * r.backoff)
		if r.maxDelay > 0 {
			delay = min(delay, r.maxDelay)
		}
	}
}

// spread applies the jitter. What it does not understand is none.
func (r tollerRetry) spread(delay time.Duration) time.Duration {
	uniform := func(lo, hi float64) time.Duration {
		return time.Duration(float64(delay) * (lo + (hi-lo)*rand.Float64()))
	}
	switch jitter := r.jitter.(type) {
	case bool:
		if jitter {
			return uniform(0, 1)
		}
	case float64:
		if 0 < jitter && jitter < 1 {
			return uniform(1-jitter, 1+jitter)
		}
	case [2]float64:
		if 0 <= jitter[0] && jitter[0] <= jitter[1] {
			return uniform(jitter[0], jitter[1])
		}
	case int: // True and False are no ints here
	default:
		panic(fmt.Sprintf("a jitter of type %T", jitter))
	}
	return delay
}

// tollerTask is what the decorator makes of a function; a part that is nil, or has no attempts, is not enabled.
type tollerTask struct {
	limiter *tollerLimiter
	breaker *tollerBreaker
	retry   tollerRetry
	fn      func(context.Context) error
	calls   float64 // rl_consume_calls
}

func (t tollerTask) call(ctx context.Context) error {
	if t.limiter != nil {
		if err := t.limiter.acquire(ctx, t.calls); err != nil {
			return err
		}
	}
	operation := func() error {
		if t.retry.attempts > 0 {
			return t.retry.run(ctx, t.fn)
		}
		return t.fn(ctx)
	}
	if t.breaker != nil {
		return t.breaker.around(operation)
	}
	return operation()
}
