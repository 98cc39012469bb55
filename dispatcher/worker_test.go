package dispatcher_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// onWorker reports whether the calling goroutine is one of the pool's.
func onWorker() bool {
	return strings.Contains(string(debug.Stack()), "github.com/panjf2000/ants/v2.(*goWorker)")
}

// goroutine returns the number of the calling goroutine, as the head of its stack has it.
func goroutine() string {
	head, _, _ := strings.Cut(string(debug.Stack()), " [")
	return head
}

// Every attempt runs on a goroutine of the pool: first ones and later ones, and those after a worker was lost to Goexit.
func TestAttemptsRunOnWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 4, Retry: exact(3, time.Second)})
		var ran atomic.Int32
		here := goroutine()
		for i := range 60 {
			submit(t, d, func(ctx context.Context) (int, error) {
				ran.Add(1)
				assert.True(t, onWorker(), "%s", debug.Stack())
				assert.NotEqual(t, here, goroutine())
				a, _ := job.AttemptFrom(ctx)
				switch {
				case i%3 == 0 && a.N < 3:
					return 0, policy.Transient(errBackend)
				case i%3 == 1:
					runtime.Goexit()
				case i%5 == 0:
					panic("oh")
				}
				return 0, wait(ctx, time.Duration(i%4)*time.Second, nil)
			})
		}
		tried, err := dispatcher.TrySubmit(context.Background(), d, func(context.Context) (bool, error) { return onWorker(), nil })
		require.NoError(t, err)
		got, err := await(t, tried)
		require.NoError(t, err)
		assert.True(t, got)
		_, err = dispatcher.Go(context.Background(), d, func(context.Context) error { assert.True(t, onWorker()); return nil })
		require.NoError(t, err)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, int32(20*3+40), ran.Load())
	})
}

// The attempts of a Do run on the goroutine that calls it, all of them.
func TestDoRunsOnItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2, Retry: exact(3, time.Second)})
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				here := goroutine()
				fn := func(ctx context.Context, _ int) (int, error) {
					assert.False(t, onWorker())
					assert.Equal(t, here, goroutine())
					if a, _ := job.AttemptFrom(ctx); a.N < 3 {
						return 0, policy.Transient(errBackend)
					}
					return 0, nil
				}
				_, err := dispatcher.Do(context.Background(), d, func(ctx context.Context) (int, error) { return fn(ctx, 0) })
				assert.NoError(t, err)
				_, err = dispatcher.Wrap(d, fn)(context.Background(), 0)
				assert.NoError(t, err)
			})
		}
		group.Wait()
	})
}

// Never more in flight than workers, whoever runs them (S-C1); and never fewer while there is work.
func TestInFlightWithinWorkers(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Workers: workers})
			var running, done atomic.Int32
			fn := func(context.Context) (int, error) {
				assert.LessOrEqual(t, running.Add(1), int32(workers))
				time.Sleep(time.Second)
				running.Add(-1)
				done.Add(1)
				return 0, nil
			}
			line := newTimeline()
			for i := range 7 * workers {
				if i%2 == 0 {
					submit(t, d, fn)
				} else {
					go dispatcher.Do(context.Background(), d, fn)
				}
			}
			synctest.Wait()
			require.NoError(t, d.WaitIdle(context.Background()))
			assert.Equal(t, int32(7*workers), done.Load())
			assert.Equal(t, 7*time.Second, line.now())
		})
	}
}
