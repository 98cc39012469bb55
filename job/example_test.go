package job_test

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

// submitted hands each function to d, for the examples below.
func submitted(d *dispatcher.Dispatcher, fns ...job.Func[string]) []*job.Future[string] {
	var futures []*job.Future[string]
	for _, fn := range fns {
		f, err := dispatcher.Submit(context.Background(), d, fn)
		if err != nil {
			panic(err)
		}
		futures = append(futures, f)
	}
	return futures
}

// saying returns a function that says a word.
func saying(word string) job.Func[string] {
	return func(context.Context) (string, error) { return word, nil }
}

// failing returns a function that fails.
func failing(why string) job.Func[string] {
	return func(context.Context) (string, error) { return "", errors.New(why) }
}

// stuck is a function that goes on until it is told to stop.
func stuck(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}

func ExampleAll() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "batch"})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	answers, err := job.All(ctx, submitted(d, saying("one"), failing("overloaded"), saying("three"))...)
	fmt.Printf("%q\n", answers)
	fmt.Println(err)
	// Output:
	// ["one" "" "three"]
	// job 2 of dispatcher "batch": failed (retries are off), after 1 attempt: overloaded
}

// Ask several, and take the first answer. The context that the jobs were given ends those that nobody needs any more.
func ExampleFirst() {
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())

	ctx, cancel := context.WithCancel(context.Background())
	var futures []*job.Future[string]
	for _, ask := range []job.Func[string]{stuck, failing("no route to host"), saying("the mirror in Oslo")} {
		f, err := dispatcher.Submit(ctx, d, ask)
		if err != nil {
			panic(err)
		}
		futures = append(futures, f)
	}
	fmt.Println(job.First(ctx, futures...))
	cancel()
	// Output: the mirror in Oslo <nil>
}

// Each result as soon as it is there; leaving the loop leaves the other jobs alone.
func ExampleCompleted() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	futures := submitted(d, saying("a"), failing("no such page"), saying("c"))
	for i, result := range job.Completed(ctx, futures...) {
		fmt.Println(i, result.Value, result.Err == nil)
	}
	// Output:
	// 0 a true
	// 1  false
	// 2 c true
}

// How each job has ended, so that no result is lost because another failed.
func ExampleSettled() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	for i, result := range job.Settled(ctx, submitted(d, saying("a"), failing("no such page"))...) {
		fmt.Println(i, result.Value, result.Err == nil)
	}
	// Output:
	// 0 a true
	// 1  false
}

// Cancel says what it found. A running function is told through its context, and not waited for.
func ExampleFuture_Cancel() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	started := make(chan struct{})
	futures := submitted(d, func(ctx context.Context) (string, error) { close(started); return stuck(ctx) }, saying("never said"))
	<-started
	fmt.Println(futures[1].Cancel())
	fmt.Println(futures[0].Cancel())
	fmt.Println(futures[0].Cancel())
	_, err = futures[0].Await(ctx)
	fmt.Println(errors.Is(err, job.ErrCanceled))
	// Output:
	// never ran
	// signaled
	// already settled
	// true
}

// Who gives up waiting does not end the job.
func ExampleFuture_Await_patience() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	release := make(chan struct{})
	f := submitted(d, func(context.Context) (string, error) { <-release; return "at last", nil })[0]
	impatient, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = f.Await(impatient)
	fmt.Println(errors.Is(err, job.ErrNotSettled), f.State())
	close(release)
	fmt.Println(f.Await(ctx))
	// Output:
	// true pending
	// at last <nil>
}

// A channel to select on, and the result without waiting.
func ExampleFuture_Done() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	f := submitted(d, saying("done"))[0]
	select {
	case <-f.Done():
		value, err, ok := f.Result()
		fmt.Println(value, err, ok)
	case <-time.After(time.Minute):
		fmt.Println("still not done")
	}
	// Output: done <nil> true
}

// What a job waits for, in words for people and as data for programs.
func ExampleFuture_Explain() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "batch", Retry: policy.Retry{MaxAttempts: 2, Delay: time.Hour, MaxDelay: time.Hour, Jitter: policy.NoJitter}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	failed := make(chan struct{})
	f := submitted(d, func(context.Context) (string, error) {
		defer close(failed)
		return "", policy.Transient(errors.New("overloaded"))
	})[0]
	<-failed
	for f.Explain().State != "waiting" { // it may take a moment to be parked
		time.Sleep(time.Millisecond)
	}
	e := f.Explain()
	wait := e.Waits[0]
	fmt.Println(e.State, "after", e.Attempts, "attempt; last:", e.History.First[0].Error)
	fmt.Println("waits for", wait.Why, "in", wait.In.Round(time.Minute))
	f.Cancel()
	// Output:
	// waiting after 1 attempt; last: overloaded
	// waits for its backoff to be over in 1h0m0s
}

// A function may ask which attempt of which job it is, for logs and for idempotency keys.
func ExampleAttemptFrom() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "payments", Retry: policy.Retry{MaxAttempts: 2, Delay: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	_, _ = dispatcher.Do(ctx, d, func(ctx context.Context) (int, error) {
		a, _ := job.AttemptFrom(ctx)
		fmt.Printf("job %d of %s, key %s, attempt %d\n", a.ID, a.Dispatcher, a.Key, a.N)
		return 0, policy.Transient(errors.New("overloaded"))
	}, dispatcher.WithKey("eu"))
	// Output:
	// job 1 of payments, key eu, attempt 1
	// job 1 of payments, key eu, attempt 2
}

// What a call costs is estimated when it starts, and corrected when the server has said what it was.
func ExampleAttempt_Settle() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
		{Name: "tokens", Rate: policy.PerDay(1000), Burst: 1000, Settled: true},
	}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	ask := func(ctx context.Context) (string, error) {
		answer, used := "Because.", 120.0 // as the server says
		if a, ok := job.AttemptFrom(ctx); ok {
			if err := a.Settle("tokens", used); err != nil {
				return "", err
			}
		}
		return answer, nil
	}
	fmt.Println(dispatcher.Do(ctx, d, ask, dispatcher.WithCost("tokens", 800)))
	fmt.Printf("%.0f tokens left\n", math.Floor(d.Snapshot().Limits[0].Level))
	// Output:
	// Because. <nil>
	// 880 tokens left
}

// The error of a job tells why it was given up, and what its function returned: errors.Is and errors.As find both.
func ExampleError() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "batch", Retry: policy.Retry{MaxAttempts: 3, Delay: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	overloaded := errors.New("503: overloaded")
	_, err = dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, policy.Transient(overloaded) }, dispatcher.WithKey("gpt"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, job.ErrMaxRetriesExceeded), errors.Is(err, overloaded))
	if failed, ok := errors.AsType[*job.Error](err); ok {
		for _, f := range failed.History.First {
			fmt.Println("attempt", f.N, "ended in:", f.Error)
		}
	}
	// Output:
	// job 1 (key "gpt") of dispatcher "batch": retries exceeded, after 3 attempts: 503: overloaded
	// true true
	// attempt 1 ended in: 503: overloaded
	// attempt 2 ended in: 503: overloaded
	// attempt 3 ended in: 503: overloaded
}

// A panic is an error of its job, with the stack of who panicked. The process, and the worker, go on.
func ExamplePanicError() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	_, err = submitted(d, func(context.Context) (string, error) { panic("index out of range") })[0].Await(ctx)
	if panicked, ok := errors.AsType[*job.PanicError](err); ok {
		fmt.Println(panicked.Value, len(panicked.Stack) > 0)
	}
	// Output: index out of range true
}
