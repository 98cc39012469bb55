package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// An error that may pass: the job is tried again, and the breaker counts a failure.
func ExampleTransient() {
	err := policy.Transient(errors.New("503: overloaded"))
	out := (&policy.Retry{MaxAttempts: 3}).Classify(err)
	fmt.Println(out.Retry, out.Verdict)
	// Output: true failure
}

// The same, with the server's word on when to come back: this job, and only this, waits as long.
func ExampleTransientAfter() {
	err := policy.TransientAfter(errors.New("503: restarting"), 5*time.Second)
	out := (&policy.Retry{MaxAttempts: 3}).Classify(err)
	fmt.Println(out.Retry, out.Verdict, out.Hint)
	// Output: true failure 5s
}

// The server was sent too much: everything of the key waits, and no attempt is used up.
func ExampleThrottled() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	throttled := func(context.Context) (int, error) {
		return 0, policy.Throttled(errors.New("429: too many requests"), time.Hour)
	}
	_, _ = dispatcher.Do(ctx, d, throttled, dispatcher.WithKey("gpt"))
	for _, key := range d.Snapshot().Keys {
		fmt.Println(key.Key, "cools down for", key.Cooling.Round(time.Minute))
	}
	// Output: gpt cools down for 1h0m0s
}

// The caller's own mistake: no attempt can mend it, and it says nothing about the backend.
func ExampleFatal() {
	err := policy.Fatal(errors.New("400: no such model"))
	out := (&policy.Retry{MaxAttempts: 3}).Classify(err)
	fmt.Println(out.Retry, out.Verdict)
	// Output: false neutral
}

// An error that says nothing about the backend, such as that the work is not wanted any more.
func ExampleNeutral() {
	err := policy.Neutral(errors.New("superseded"))
	out := (&policy.Retry{MaxAttempts: 3}).Classify(err)
	fmt.Println(out.Retry, out.Verdict)
	// Output: false neutral
}

// The key is of no use until somebody mends it: its circuit opens, without a breaker, too.
func ExampleUnusable() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	refused := func(context.Context) (int, error) {
		return 0, policy.Unusable(errors.New("401: the API key was revoked"))
	}
	_, _ = dispatcher.Do(ctx, d, refused, dispatcher.WithKey("account"))
	_, err = dispatcher.Do(ctx, d, refused, dispatcher.WithKey("account")) // is not called
	if open, ok := errors.AsType[*policy.OpenCircuitError](err); ok {
		fmt.Println(open.Key, "is out of use because of:", open.Cause)
	}
	d.Reset("account")
	// Output: account is out of use because of: 401: the API key was revoked
}

// A failure that was certainly not charged for gives its tokens back.
func ExampleUnbilled() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
		{Name: "tokens", Rate: policy.PerDay(1000), Burst: 1000, Settled: true},
	}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	cost := dispatcher.WithCost("tokens", 100)
	_, _ = dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, errors.New("the answer was cut off") }, cost)
	_, _ = dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, policy.Unbilled(errors.New("connection refused")) }, cost)
	fmt.Printf("%.0f tokens left\n", d.Snapshot().Limits[0].Level)
	// Output: 900 tokens left
}

// Which errors and which results are worth another attempt: StopOn beats On.
func ExampleRetry() {
	errBusy, errQuota := errors.New("busy"), errors.New("busy: quota exceeded")
	retry := policy.Retry{
		MaxAttempts: 5,
		Delay:       200 * time.Millisecond,
		MaxDelay:    10 * time.Second,
		MaxElapsed:  time.Minute,
		On:          func(err error) bool { return errors.Is(err, errBusy) || errors.Is(err, errQuota) },
		StopOn:      func(err error) bool { return errors.Is(err, errQuota) },
		OnResult:    func(result any) bool { return result == "" }, // an empty answer
	}
	fmt.Println(retry.Validate())
	fmt.Println(retry.Classify(errBusy).Retry, retry.Classify(errQuota).Retry, retry.Classify(errors.New("other")).Retry)
	fmt.Println(retry.Unwanted(""), retry.Unwanted("Because."))
	// Output:
	// <nil>
	// true false false
	// true false
}

// The waits between attempts, without chance and with: the cap is one after jitter.
func ExampleRetry_Wait() {
	retry := policy.Retry{MaxAttempts: 5, Delay: time.Second, Backoff: 3, MaxDelay: 5 * time.Second, Jitter: policy.NoJitter}
	for n := 1; n <= 4; n++ {
		fmt.Print(retry.Wait(n, 0, 0), " ")
	}
	retry.Jitter = policy.FullJitter
	fmt.Println(retry.Wait(2, 0, 0.5))
	// Output: 1s 3s 5s 5s 1.5s
}

// Two limits: calls, of which a few may start at once, and tokens, of which no minute may see more than there are.
func ExampleLimit() {
	for _, limit := range []policy.Limit{
		{Name: "requests", Rate: policy.PerMinute(500), Burst: 10},
		{Name: "tokens", Rate: policy.PerMinute(90_000), Burst: 90_000, Sliding: true, Settled: true},
		{Name: "", Rate: policy.PerSecond(-1)},
	} {
		fmt.Println(limit.Validate() == nil, limit.Rate, limit.Capacity())
	}
	// Output:
	// true 500/min 10
	// true 90000/min 90000
	// false -1/s 1
}

// A breaker that opens on half of the recent calls failing, or on three failures in a row, and longer each time it fails its test.
func ExampleBreaker() {
	breaker := policy.Breaker{
		FailureThreshold: 3,
		FailureRatio:     0.5,
		WindowTime:       time.Minute,
		RecoveryTimeout:  10 * time.Second,
		RecoveryBackoff:  2,
	}
	fmt.Println(breaker.Validate(), breaker.Off())
	fmt.Println(policy.Breaker{}.Off())
	// Output:
	// <nil> false
	// true
}

// No more than a fifth of the recent attempts may be retries, so that an outage is not answered by a storm.
func ExampleBudget() {
	fmt.Println(policy.Budget{Ratio: 0.2}.Validate())
	fmt.Println(policy.Budget{Ratio: 2}.Validate())
	// Output:
	// <nil>
	// policy: Budget.Ratio is 2; it must be a share above 0 and up to 1, or 0 for off
}

// What is wrong with a value is said with its field, and matches ErrInvalid.
func ExampleFieldError() {
	retry := policy.Retry{MaxAttempts: 3, Delay: -time.Second}
	err := retry.Validate()
	if fault, ok := errors.AsType[*policy.FieldError](err); ok {
		fmt.Println(fault.Field, "must be", fault.Allowed)
	}
	fmt.Println(errors.Is(err, policy.ErrInvalid))
	// Output:
	// Retry.Delay must be positive, or 0 for the default
	// true
}
