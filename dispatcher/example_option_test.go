package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Jobs of one key share its circuit, its cooldown, and its buckets of the limits that are per key; others have their own.
func ExampleWithKey() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerHour(1), Burst: 2, PerKey: true}},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	ask := func(context.Context) (string, error) { return "Because.", nil }
	for _, model := range []string{"small", "small", "large"} {
		if _, err := dispatcher.Do(ctx, d, ask, dispatcher.WithKey(model)); err != nil {
			panic(err)
		}
	}
	for _, key := range d.Snapshot().Keys {
		fmt.Printf("%s: %.0f left\n", key.Key, key.Limits[0].Level)
	}
	// Output:
	// small: 0 left
	// large: 1 left
}

// A job costs one of every limit, unless it says otherwise.
func ExampleWithCost() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
		{Name: "requests", Rate: policy.PerHour(60), Burst: 60},
		{Name: "tokens", Rate: policy.PerDay(100), Burst: 10_000},
	}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	ask := func(context.Context) (string, error) { return "Because.", nil }
	if _, err := dispatcher.Do(ctx, d, ask, dispatcher.WithCost("tokens", 1500)); err != nil {
		panic(err)
	}
	for _, limit := range d.Snapshot().Limits {
		fmt.Printf("%s: %.0f of %.0f left\n", limit.Name, math.Floor(limit.Level), limit.Burst)
	}
	// Output:
	// requests: 59 of 60 left
	// tokens: 8500 of 10000 left
}

// Of the jobs that could start, those of the highest priority go first.
func ExampleWithPriority() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	d.Pause() // so that all of them wait
	say := func(word string) func(context.Context) error {
		return func(context.Context) error { fmt.Println(word); return nil }
	}
	for word, priority := range map[string]int{"whenever": -1, "soon": 0, "now": 2} {
		if _, err := dispatcher.Go(ctx, d, say(word), dispatcher.WithPriority(priority)); err != nil {
			panic(err)
		}
	}
	d.Resume()
	if err := d.WaitIdle(ctx); err != nil {
		panic(err)
	}
	// Output:
	// now
	// soon
	// whenever
}

// A job that is not over by then ends, wherever it stands: here it waits for a limit.
func ExampleWithDeadline() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerHour(1), Initial: policy.Empty}},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	soon := time.Now().Add(10 * time.Millisecond)
	_, err = dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 1, nil }, dispatcher.WithDeadline(soon))
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, job.ErrDeadline))
	// Output: true true
}

// The first attempt is kept back. Meanwhile the job holds no worker.
func ExampleWithDelay() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	begin := time.Now()
	_, err = dispatcher.Do(ctx, d, func(context.Context) (int, error) {
		fmt.Println(time.Since(begin) >= 20*time.Millisecond)
		return 1, nil
	}, dispatcher.WithDelay(20*time.Millisecond))
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// An attempt that takes too long is one that may go better: here the second one does.
func ExampleWithTimeout() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Retry: policy.Retry{MaxAttempts: 2, Delay: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	answer, err := dispatcher.Do(ctx, d, func(ctx context.Context) (string, error) {
		if attempt, _ := job.AttemptFrom(ctx); attempt.N == 1 {
			<-ctx.Done() // a server that does not answer
			return "", ctx.Err()
		}
		return "Because.", nil
	}, dispatcher.WithTimeout(10*time.Millisecond))
	fmt.Println(answer, err)
	// Output: Because. <nil>
}

// A job with retries of its own: here none, since the call must not be made twice.
func ExampleWithRetry() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Retry: policy.Retry{MaxAttempts: 5}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	_, err = dispatcher.Do(ctx, d, func(context.Context) (int, error) {
		return 0, policy.Transient(errors.New("connection lost"))
	}, dispatcher.WithRetry(policy.Retry{}))
	var failed *job.Error
	fmt.Println(errors.As(err, &failed), failed.Attempts)
	// Output: true 1
}

// While the circuit is open, a job that is submitted waits, unless it says that it won't.
func ExampleWithWhenOpen() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Hour}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	failing := func(context.Context) (int, error) { return 0, errors.New("down") }
	_, _ = dispatcher.Do(ctx, d, failing) // opens it
	waiting, err := dispatcher.Submit(ctx, d, failing)
	if err != nil {
		panic(err)
	}
	impatient, err := dispatcher.Submit(ctx, d, failing, dispatcher.WithWhenOpen(policy.FailFast))
	if err != nil {
		panic(err)
	}
	_, err = impatient.Await(ctx)
	fmt.Println(errors.Is(err, policy.ErrOpenCircuit), waiting.State())
	waiting.Cancel()
	// Output: true pending
}

// A bound on what runs at once that has nothing to do with keys: here one job at a time writes to the disk.
func ExampleWithGroup() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Groups: []dispatcher.Group{{Name: "disk", Workers: 1}}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	written := 0 // needs no lock
	for _, host := range []string{"a", "b", "c"} {
		_, err := dispatcher.Go(ctx, d, func(context.Context) error { written++; return nil },
			dispatcher.WithKey(host), dispatcher.WithGroup("disk"))
		if err != nil {
			panic(err)
		}
	}
	if err := d.WaitIdle(ctx); err != nil {
		panic(err)
	}
	fmt.Println(written)
	// Output: 3
}
