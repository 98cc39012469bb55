package dispatcher_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// While a dispatcher is paused it accepts jobs and starts none.
func ExampleDispatcher_Pause() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	d.Pause()
	f, err := dispatcher.Submit(ctx, d, func(context.Context) (string, error) { return "ran", nil })
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Explain().Waits[0].Why)
	d.Resume()
	fmt.Println(f.Await(ctx))
	// Output:
	// the dispatcher, which is paused
	// ran <nil>
}

// A new rate counts from now on, for jobs that wait already, too: this one would have waited for an hour.
func ExampleDispatcher_SetRate() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits: []policy.Limit{{Name: "requests", Rate: policy.PerHour(1), Burst: 1, Initial: policy.Empty}},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	waiting, err := dispatcher.Submit(ctx, d, func(context.Context) (string, error) { return "ran", nil })
	if err != nil {
		panic(err)
	}
	if err := d.SetRate("requests", policy.PerSecond(1000)); err != nil {
		panic(err)
	}
	fmt.Println(waiting.Await(ctx))
	fmt.Println(d.SetRate("request", policy.PerSecond(1000)))
	// Output:
	// ran <nil>
	// policy: limit "request" is unknown; it must be one that exists: "requests"
}

// A larger bucket fills at the rate, and is not full at once; a smaller one loses what it can't hold.
func ExampleDispatcher_SetBurst() {
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{{Name: "requests", Rate: policy.PerDay(1), Burst: 10}}})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())

	for _, burst := range []float64{100, 5} {
		if err := d.SetBurst("requests", burst); err != nil {
			panic(err)
		}
		limit := d.Snapshot().Limits[0]
		fmt.Printf("%.0f of %.0f\n", limit.Level, limit.Burst)
	}
	// Output:
	// 10 of 100
	// 5 of 5
}

// The server says that less is left than we thought, since others use the account as well.
func ExampleDispatcher_Observe() {
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{{Name: "requests", Rate: policy.PerDay(100)}}})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())

	if err := d.Observe("requests", "", 0); err != nil {
		panic(err)
	}
	fmt.Printf("%.0f left\n", d.Snapshot().Limits[0].Level)
	// Output: 0 left
}

// How much runs at once can be changed at any time: in all, of each key, and of a group. Nothing that runs is interrupted.
func ExampleDispatcher_SetWorkers() {
	d, err := dispatcher.New(dispatcher.Config{Workers: 4, Groups: []dispatcher.Group{{Name: "disk", Workers: 1}}})
	if err != nil {
		panic(err)
	}
	defer d.Close(context.Background())

	if err := errors.Join(d.SetWorkers(100), d.SetKeyWorkers(10), d.SetGroupWorkers("disk", 2)); err != nil {
		panic(err)
	}
	now := d.Snapshot()
	fmt.Println(now.Workers, now.Groups[0].Workers)
	fmt.Println(d.SetWorkers(0))
	// Output:
	// 100 2
	// policy: Workers is 0; it must be at least 1
}

// A person takes a key out of service, and later gives it back to its breaker.
func ExampleDispatcher_ForceOpen() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 5}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	call := func(context.Context) (string, error) { return "answered", nil }
	d.ForceOpen("eu")
	_, err = dispatcher.Do(ctx, d, call, dispatcher.WithKey("eu"))
	fmt.Println(errors.Is(err, policy.ErrOpenCircuit))
	for _, key := range d.Snapshot().Keys {
		fmt.Println(key.Key, "is", key.Circuit, "and", key.Mode)
	}
	fmt.Println(dispatcher.Do(ctx, d, call, dispatcher.WithKey("us"))) // another key
	d.Reset("eu")
	fmt.Println(dispatcher.Do(ctx, d, call, dispatcher.WithKey("eu")))
	// Output:
	// true
	// eu is open and forced open
	// answered <nil>
	// answered <nil>
}

// A key that was called unusable is left alone until somebody has mended it and says so.
func ExampleDispatcher_Reset() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	paid := false
	call := func(context.Context) (string, error) {
		if !paid {
			return "", policy.Unusable(errors.New("402: the account is empty"))
		}
		return "answered", nil
	}
	account := dispatcher.WithKey("account")
	_, _ = dispatcher.Do(ctx, d, call, account)
	waiting, err := dispatcher.Submit(ctx, d, call, account)
	if err != nil {
		panic(err)
	}
	fmt.Println(waiting.Explain().Waits[0].Why)
	paid = true
	d.Reset("account")
	fmt.Println(waiting.Await(ctx))
	// Output:
	// the circuit of key "account"
	// answered <nil>
}
