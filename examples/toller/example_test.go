package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// The code of README.md: TestReadme sees to it that what stands there in a block, or in the second column of a table, stands here.

// askModel stands for a call to a model.
func askModel(_ context.Context, prompt string) (string, error) {
	switch prompt {
	case "":
		return "", policy.Fatal(errors.New("empty prompt"))
	case "down":
		return "", policy.Transient(errBackend)
	default:
		return "Because.", nil
	}
}

// start is New for examples.
func start(cfg dispatcher.Config) *dispatcher.Dispatcher {
	d, err := dispatcher.New(cfg)
	if err != nil {
		panic(err)
	}
	return d
}

func decorated(ctx context.Context) error {
	d, err := dispatcher.New(dispatcher.Config{
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 5}},
		Retry:   policy.Retry{MaxAttempts: 3, Delay: time.Second, Backoff: 2},
		Breaker: policy.Breaker{FailureThreshold: 2, RecoveryTimeout: 20 * time.Second, Counts: policy.CountJobs},
	})
	if err != nil {
		return err
	}
	complete := dispatcher.Wrap(d, askModel)
	answer, err := complete(ctx, "Why?")
	fmt.Println(answer, err)
	return d.Close(ctx)
}

func Example() {
	if err := decorated(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: Because. <nil>
}

// What @toller.task() does with no arguments.
func Example_defaults() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits:  []policy.Limit{policy.TollerLimit("calls")},
		Retry:   policy.TollerRetry(),
		Breaker: policy.TollerBreaker(),
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)
	fmt.Println(dispatcher.Wrap(d, askModel)(ctx, "Why?"))
	// Output: Because. <nil>
}

// The parameters whose names begin with rl_, and what goes with them.
func Example_limit() {
	ctx := context.Background()
	account, err := dispatcher.NewSharedLimit(policy.Limit{Name: "account", Rate: policy.PerHour(2), Burst: 2})
	if err != nil {
		panic(err)
	}
	d := start(dispatcher.Config{
		Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 20, Strict: true}},
		Shared: []*dispatcher.SharedLimit{account},
	})
	defer d.Close(ctx)
	plain := dispatcher.Wrap(d, askModel)
	heavy := dispatcher.Wrap(d, askModel, dispatcher.WithCost("calls", 2.5))
	free := dispatcher.Wrap(d, askModel, dispatcher.WithCost("calls", 0), dispatcher.WithCost("account", 0))
	for _, complete := range []func(context.Context, string) (string, error){plain, heavy, free} {
		fmt.Println(complete(ctx, "Why?"))
	}
	fmt.Printf("%.0f of 2 are left\n", account.Level())
	_, err = dispatcher.Wrap(d, askModel, dispatcher.WithCost("calls", 21))(ctx, "Why?")
	fmt.Println(err)
	// Output:
	// Because. <nil>
	// Because. <nil>
	// Because. <nil>
	// 0 of 2 are left
	// policy: cost of limit "calls" is 21; it must be at most the burst of 20, because the limit is strict
}

// The parameters whose names begin with retry_.
func Example_retry() {
	ctx := context.Background()
	d := start(dispatcher.Config{
		Retry: policy.Retry{
			MaxAttempts: 3,
			Delay:       100 * time.Millisecond,
			MaxDelay:    time.Second,
			Backoff:     2,
			Jitter:      policy.FullJitter,
			On:          func(err error) bool { return errors.Is(err, errBackend) },
			StopOn:      isQuota,
		},
	})
	defer d.Close(ctx)
	for _, jitter := range []policy.Jitter{policy.NoJitter, policy.JitterFraction(0.1), policy.JitterRange(0.5, 1.5)} {
		own := policy.Retry{MaxAttempts: 2, Delay: time.Millisecond, Jitter: jitter}
		_, err := dispatcher.Wrap(d, askModel, dispatcher.WithRetry(own))(ctx, "down")
		fmt.Println(jitter, errors.Is(err, job.ErrMaxRetriesExceeded))
	}
	_, err := dispatcher.Wrap(d, askModel, dispatcher.WithRetry(policy.Retry{}))(ctx, "down")
	fmt.Println("off", errors.Is(err, job.ErrFailed))
	fmt.Println(dispatcher.Wrap(d, askModel)(ctx, "Why?"))
	// Output:
	// NoJitter true
	// JitterFraction(0.1) true
	// JitterRange(0.5, 1.5) true
	// off true
	// Because. <nil>
}

// The parameters whose names begin with cb_, and what goes with them.
func Example_breaker() {
	ctx := context.Background()
	d := start(dispatcher.Config{
		Breaker: policy.Breaker{FailureThreshold: 5, RecoveryTimeout: 30 * time.Second, Counts: policy.CountJobs},
		Keys: func(key string) dispatcher.KeyConfig {
			if key == "unguarded" {
				return dispatcher.KeyConfig{Breaker: &policy.Breaker{}}
			}
			return dispatcher.KeyConfig{}
		},
	})
	defer d.Close(ctx)
	for _, key := range []string{"eu", "us", "unguarded"} {
		for range 5 {
			_, _ = dispatcher.Wrap(d, askModel, dispatcher.WithKey(key))(ctx, "down")
		}
	}
	eu := dispatcher.Wrap(d, askModel, dispatcher.WithKey("eu"))
	_, err := eu(ctx, "Why?")
	fmt.Println(errors.Is(err, policy.ErrOpenCircuit))
	d.Reset("eu")
	fmt.Println(eu(ctx, "Why?"))
	for _, key := range d.Snapshot().Keys {
		fmt.Println(key.Key, key.Circuit)
	}
	// Output:
	// true
	// Because. <nil>
	// us open
}

// What Toller has exceptions for.
func Example_errors() {
	ctx := context.Background()
	d := start(dispatcher.Config{
		Retry:   policy.Retry{MaxAttempts: 3, Delay: time.Millisecond},
		Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Hour, Counts: policy.CountJobs},
	})
	defer d.Close(ctx)
	complete := dispatcher.Wrap(d, func(_ context.Context, status int) (string, error) {
		err := fmt.Errorf("status %d", status)
		switch {
		case status == 200:
			return "Because.", nil
		case status == 429:
			return "", policy.Throttled(err, time.Millisecond)
		case status >= 500:
			return "", policy.Transient(err)
		default:
			return "", policy.Fatal(err)
		}
	})
	for _, status := range []int{200, 400, 503, 200} {
		answer, err := complete(ctx, status)
		var exceeded *job.MaxRetriesExceededError
		var open *policy.OpenCircuitError
		var failed *job.Error
		switch {
		case err == nil:
			fmt.Println(answer)
		case errors.As(err, &exceeded):
			fmt.Println(exceeded.Attempts, "attempts, the last error:", exceeded.Last)
		case errors.As(err, &open):
			fmt.Println("open for", open.RetryAfter.Round(time.Minute), "because of:", open.Cause)
		case errors.As(err, &failed):
			fmt.Println("failed:", failed.Last)
		}
	}
	// Output:
	// Because.
	// failed: status 400
	// 3 attempts, the last error: status 503
	// open for 1h0m0s because of: status 503
}

// CallRateLimiter and CircuitBreaker by themselves.
func Example_alone() {
	ctx := context.Background()
	limit := policy.Limit{Name: "calls", Rate: policy.PerHour(1), Burst: 3}
	limiter, err := dispatcher.NewLimiter(limit)
	if err != nil {
		panic(err)
	}
	fmt.Println(limiter.Acquire(ctx, 2), limiter.TryAcquire(1), limiter.Level() < 3)

	rule := policy.Breaker{FailureThreshold: 1}
	breaker, err := dispatcher.NewBreaker(rule)
	if err != nil {
		panic(err)
	}
	bad := func(context.Context) error { return errBackend }
	fmt.Println(breaker.Do(ctx, bad))
	fmt.Println(breaker.State())
	// Output:
	// <nil> <nil> true
	// backend says no
	// open
}

// What has no parameter here: a call outside the limit and the retries that heeds the circuit, and a token without a call.
func Example_instead() {
	ctx := context.Background()
	d := start(dispatcher.Config{
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerHour(1), Burst: 2}},
		Retry:   policy.TollerRetry(),
		Breaker: policy.TollerBreaker(),
	})
	defer d.Close(ctx)
	ping := func(context.Context) (string, error) { return "pong", nil }
	nothing := func(context.Context) (struct{}, error) { return struct{}{}, nil }

	fmt.Println(dispatcher.Do(ctx, d, ping, dispatcher.WithKey("eu"), dispatcher.WithCost("calls", 0), dispatcher.WithRetry(policy.Retry{})))
	_, err := dispatcher.Do(ctx, d, nothing)
	fmt.Printf("%v, %.0f of 2 are left\n", err, d.Snapshot().Limits[0].Level)
	// Output:
	// pong <nil>
	// <nil>, 1 of 2 are left
}

// errNotInTime is the cause with which patient gives a call up.
var errNotInTime = errors.New("the call could not begin in time")

// patient is Wrap for those who won't wait longer than so long for the call to begin, but will for it to end.
func patient[In, Out any](d *dispatcher.Dispatcher, wait time.Duration, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		timer := time.AfterFunc(wait, func() { cancel(errNotInTime) })
		defer timer.Stop()
		return dispatcher.Do(ctx, d, func(ctx context.Context) (Out, error) {
			timer.Stop()
			return fn(ctx, in)
		})
	}
}

// A call that begins in time may take its time; one that cannot begin takes nothing, and is over when patience is.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.Per(1, 10*time.Second), Burst: 1}}})
		line := newTimeline()
		slow := patient(d, time.Second, func(ctx context.Context, takes time.Duration) (string, error) {
			return "Because.", pause(ctx, takes)
		})
		answer, err := slow(t.Context(), 3*time.Second)
		same(t, "answer", answer, "Because.")
		same(t, "error", err, nil)
		same(t, "at", line.now(), 3*time.Second)
		_, err = slow(t.Context(), 0)
		same(t, "error", errors.Is(err, errNotInTime), true)
		same(t, "at", line.now(), 4*time.Second)
		time.Sleep(6 * time.Second)
		_, err = slow(t.Context(), 0)
		same(t, "error", err, nil)
		same(t, "at", line.now(), 10*time.Second)
	})
}
