package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// A limit alone, for code that has goroutines of its own.
func ExampleLimiter() {
	ctx := context.Background()
	limiter, err := dispatcher.NewLimiter(policy.Limit{Name: "mails", Rate: policy.PerHour(1), Burst: 2})
	if err != nil {
		panic(err)
	}
	for n := range 2 {
		if err := limiter.Acquire(ctx, 1); err != nil { // waits until there is one
			panic(err)
		}
		fmt.Println("mail", n+1)
	}
	err = limiter.TryAcquire(1) // does not wait
	if limited, ok := errors.AsType[*dispatcher.LimitedError](err); ok {
		fmt.Println("the next in", limited.RetryAfter.Round(time.Minute))
	}
	// Output:
	// mail 1
	// mail 2
	// the next in 1h0m0s
}

// A breaker alone: calls are made on their callers' goroutines.
func ExampleBreaker() {
	ctx := context.Background()
	breaker, err := dispatcher.NewBreaker(policy.Breaker{FailureThreshold: 2, RecoveryTimeout: time.Hour})
	if err != nil {
		panic(err)
	}
	call := func(context.Context) error { return errors.New("connection refused") }
	for range 2 {
		fmt.Println(breaker.Do(ctx, call))
	}
	fmt.Println(breaker.State())
	err = breaker.Do(ctx, call) // is not called
	if open, ok := errors.AsType[*policy.OpenCircuitError](err); ok {
		fmt.Println("again in", open.RetryAfter.Round(time.Minute), "because of:", open.Cause)
	}
	// Output:
	// connection refused
	// connection refused
	// open
	// again in 1h0m0s because of: connection refused
}
