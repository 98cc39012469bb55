package dispatcher_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Thousands of jobs with every kind of end, handed in, awaited and canceled from many goroutines in real time, and closed
// on the way: every accepted job is settled exactly once, and never are more attempts in flight than there are workers.
// Which jobs there are is drawn from the seed; how they interleave is not.
func TestStress(t *testing.T) {
	const (
		workers    = 16
		submitters = 8
		jobs       = 500 // each
	)
	for _, abort := range []bool{false, true} {
		d, err := dispatcher.New(dispatcher.Config{
			Workers: workers, Queue: 200, Timeout: 20 * time.Millisecond, Seed: 1,
			Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(50_000), Burst: 100}},
			// MaxElapsed, because a job that always fails may be its key's probe for ever: such failures are not counted.
			Retry: policy.Retry{
				MaxAttempts: 3, Delay: time.Millisecond, MaxDelay: 5 * time.Millisecond,
				MaxElapsed: 300 * time.Millisecond, MaxThrottleWait: 300 * time.Millisecond,
			},
			Breaker: policy.Breaker{FailureThreshold: 20, RecoveryTimeout: 5 * time.Millisecond, ProbeTimeout: 10 * time.Millisecond},
		})
		require.NoError(t, err)
		var running, accepted, resolved, started atomic.Int64
		var group sync.WaitGroup
		for s := range submitters {
			group.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(s)))
				for range jobs {
					end := random.IntN(20)
					takes := time.Duration(random.IntN(200)) * time.Microsecond
					fn := func(ctx context.Context) (int, error) {
						assert.LessOrEqual(t, running.Add(1), int64(workers), "in flight (S-C1)")
						defer running.Add(-1)
						started.Add(1)
						return stressEnd(ctx, end, takes)
					}
					ctx, cancel := context.WithCancel(context.Background())
					options := []dispatcher.Option{dispatcher.WithKey([]string{"a", "b", "c"}[random.IntN(3)])}
					if random.IntN(10) == 0 {
						options = append(options, dispatcher.WithDeadline(time.Now().Add(time.Duration(random.IntN(5000))*time.Microsecond)))
					}
					how := random.IntN(10)
					if how == 0 {
						group.Go(func() { // on a goroutine of its own, because Goexit ends it
							defer cancel()
							accepted.Add(1)
							defer resolved.Add(1)
							_, _ = dispatcher.Do(ctx, d, fn, options...)
						})
						continue
					}
					future, err := dispatcher.Submit(ctx, d, fn, options...)
					if err != nil {
						assert.ErrorIs(t, err, dispatcher.ErrClosed)
						assert.Nil(t, future)
						cancel()
						return
					}
					accepted.Add(1)
					group.Go(func() {
						defer cancel()
						switch how {
						case 1:
							cancel()
						case 2:
							future.Cancel()
						case 3:
							runtime.Gosched()
							future.Cancel()
							cancel()
						}
						<-future.Done()
						value, err := future.Await(context.Background())
						again, same, ok := future.Result()
						assert.True(t, ok)
						assert.Equal(t, value, again)
						assert.Equal(t, err, same)
						assert.Equal(t, job.AlreadySettled, future.Cancel())
						if err != nil {
							var failed *job.Error
							assert.ErrorAs(t, err, &failed)
							assert.Zero(t, value)
						}
						resolved.Add(1)
					})
				}
			})
		}
		if abort {
			for started.Load() < jobs {
				time.Sleep(time.Millisecond) // what it aborts is chance; that there is something is not
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			_ = d.Close(ctx)
			cancel()
		} else {
			group.Wait()
		}
		require.NoError(t, d.Close(context.Background()))
		group.Wait()
		assert.Equal(t, accepted.Load(), resolved.Load())
		assert.Zero(t, running.Load())
		assert.GreaterOrEqual(t, started.Load(), int64(jobs))
	}
}

// stressEnd is one of twenty ways for an attempt to end.
func stressEnd(ctx context.Context, way int, takes time.Duration) (int, error) {
	if err := wait(ctx, takes, nil); err != nil && way != 11 {
		return 0, err
	}
	switch way {
	case 0:
		panic(errBackend)
	case 1:
		runtime.Goexit()
	case 2, 3:
		return 0, policy.Transient(errBackend)
	case 4:
		return 0, policy.Fatal(errBackend)
	case 5:
		return 0, policy.TransientAfter(errBackend, time.Millisecond)
	case 6:
		return 0, errBackend
	case 7:
		if takes < 5*time.Microsecond { // a cooldown is at least 100 ms long
			return 0, policy.Throttled(errBackend, policy.NoHint)
		}
	case 8:
		if takes < 20*time.Microsecond {
			<-ctx.Done() // until its time is up
			return 0, ctx.Err()
		}
	case 11:
		time.Sleep(time.Millisecond) // deaf
	}
	return way, nil
}
