package bench

import (
	"context"
	"testing"

	"github.com/panjf2000/ants/v2"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

const workers = 256

// contender runs many small jobs. run hands in n jobs, the i-th of which returns i, and returns the sum of all results, so
// that every contender is seen to have done the same work.
type contender struct {
	name string
	open func(b *testing.B) (run func(n int) int)
}

var contenders = []contender{
	{"dispatcher", openDispatcher},
	{"goroutines", openGoroutines},
	{"ants", openAnts},
}

func openDispatcher(b *testing.B) func(int) int {
	d, err := dispatcher.New(dispatcher.Config{
		Workers: workers,
		Queue:   2_000_000,
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1e9), Burst: 1e9}},
		Retry:   policy.Retry{MaxAttempts: 3},
		Breaker: policy.Breaker{FailureThreshold: 5},
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, d.Close(context.Background())) })
	return func(n int) int {
		futures := make([]*job.Future[int], n)
		for i := range n {
			var err error
			futures[i], err = dispatcher.Submit(context.Background(), d, func(context.Context) (int, error) { return i, nil })
			require.NoError(b, err)
		}
		sum := 0
		for _, future := range futures {
			value, err := future.Await(context.Background())
			require.NoError(b, err)
			sum += value
		}
		return sum
	}
}

// openGoroutines is a goroutine for each job, and no bound on how many there are.
func openGoroutines(*testing.B) func(int) int {
	return func(n int) int {
		results := make(chan int, n)
		for i := range n {
			go func() { results <- i }()
		}
		return total(results, n)
	}
}

func openAnts(b *testing.B) func(int) int {
	pool, err := ants.NewPool(workers)
	require.NoError(b, err)
	b.Cleanup(pool.Release)
	return func(n int) int {
		results := make(chan int, n)
		for i := range n {
			require.NoError(b, pool.Submit(func() { results <- i }))
		}
		return total(results, n)
	}
}

func total(results <-chan int, n int) int {
	sum := 0
	for range n {
		sum += <-results
	}
	return sum
}
