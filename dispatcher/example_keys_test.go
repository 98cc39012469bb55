package dispatcher_test

import (
	"context"
	"fmt"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// What one key has of its own: here a larger limit, a second worker, three turns for each of the others', and a breaker that is
// quicker to open.
func ExampleKeyConfig() {
	ctx := context.Background()
	d, err := dispatcher.New(dispatcher.Config{
		Limits:     []policy.Limit{{Name: "requests", Rate: policy.PerHour(100), Burst: 10, PerKey: true}},
		KeyWorkers: 1,
		Keys: func(key string) dispatcher.KeyConfig {
			if key != "large" {
				return dispatcher.KeyConfig{} // as all
			}
			return dispatcher.KeyConfig{
				Weight:  3,
				Workers: 2,
				Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerHour(500), Burst: 50}},
				Breaker: &policy.Breaker{FailureThreshold: 3, RecoveryTimeout: time.Minute},
			}
		},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close(ctx)

	for _, key := range []string{"small", "large"} {
		if _, err := dispatcher.Do(ctx, d, func(context.Context) (int, error) { return 0, nil }, dispatcher.WithKey(key)); err != nil {
			panic(err)
		}
	}
	for _, key := range d.Snapshot().Keys {
		fmt.Printf("%s: at most %.0f at once, then %v\n", key.Key, key.Limits[0].Burst, key.Limits[0].Rate)
	}
	// Output:
	// small: at most 10 at once, then 100/h
	// large: at most 50 at once, then 500/h
}
