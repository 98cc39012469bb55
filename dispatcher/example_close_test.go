package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Close finishes what was accepted. Its context says how long that may take.
func ExampleDispatcher_Close() {
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	var futures []*job.Future[int]
	for n := range 3 {
		f, err := dispatcher.Submit(context.Background(), d, func(context.Context) (int, error) { return n, nil })
		if err != nil {
			panic(err)
		}
		futures = append(futures, f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(d.Close(ctx))

	_, err = dispatcher.Submit(ctx, d, func(context.Context) (int, error) { return 3, nil })
	fmt.Println(errors.Is(err, dispatcher.ErrClosed))
	fmt.Println(job.All(ctx, futures...)) // futures can be asked at any time
	// Output:
	// <nil>
	// true
	// [0 1 2] <nil>
}

// Stop finishes what runs; what waits is told that it will not be run.
func ExampleDispatcher_Stop() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{{Name: "requests", Rate: policy.PerHour(1), Burst: 1}}})
	if err != nil {
		panic(err)
	}
	ask := func(context.Context) (int, error) { return 1, nil }
	if _, err := dispatcher.Do(ctx, d, ask); err != nil {
		panic(err)
	}
	waiting, err := dispatcher.Submit(ctx, d, ask) // for an hour
	if err != nil {
		panic(err)
	}
	fmt.Println(d.Stop(ctx))
	_, err = waiting.Await(ctx)
	fmt.Println(errors.Is(err, job.ErrNotStarted))
	// Output:
	// <nil>
	// true
}

// WaitIdle waits for everything that has been handed in, and closes nothing.
func ExampleDispatcher_WaitIdle() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1}) // one job at a time, so that sum needs no lock
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	sum := 0
	for n := range 10 {
		if _, err := dispatcher.Go(ctx, d, func(context.Context) error { sum += n; return nil }); err != nil {
			panic(err)
		}
	}
	fmt.Println(d.WaitIdle(ctx), sum)
	// Output: <nil> 45
}

// A dispatcher is found by its name, which is unique until it is closed.
func ExampleLookup() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Name: "payments"})
	if err != nil {
		panic(err)
	}
	found, ok := dispatcher.Lookup("payments")
	fmt.Println(ok, found == d)
	_, err = dispatcher.New(dispatcher.Config{Name: "payments"})
	fmt.Println(errors.Is(err, dispatcher.ErrNameTaken))

	if err := d.Close(ctx); err != nil {
		panic(err)
	}
	_, ok = dispatcher.Lookup("payments")
	fmt.Println(ok)
	// Output:
	// true true
	// true
	// false
}
