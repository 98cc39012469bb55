package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// An attempt starts when all limits have room for it: here for a call, and for the tokens that it may cost.
func ExampleConfig_limits() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
		{Name: "requests", Rate: policy.PerMinute(500), Burst: 10},
		{Name: "tokens", Rate: policy.PerDay(1000), Burst: 1000, Settled: true, CostRequired: true},
	}})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	ask := func(context.Context) (string, error) { return "Because.", nil }
	_, err = dispatcher.Do(ctx, d, ask) // names no cost
	fmt.Println(errors.Is(err, policy.ErrInvalid))
	answer, err := dispatcher.Do(ctx, d, ask, dispatcher.WithCost("tokens", 300))
	fmt.Println(answer, err)
	_, err = dispatcher.Do(ctx, d, ask, dispatcher.WithCost("token", 300)) // no such limit
	fmt.Println(err)
	fmt.Printf("%.0f tokens left\n", math.Floor(d.Snapshot().Limits[1].Level))
	// Output:
	// true
	// Because. <nil>
	// policy: limit "token" is unknown; it must be one that exists: "requests", "tokens"
	// 700 tokens left
}
