package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Do is bound by the same rules as everybody: limits, retries, and its place among the workers.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Limits: []policy.Limit{perSecond(1, 1)}, Retry: exact(3, 100*time.Millisecond)})
		line := newTimeline()
		value, err := dispatcher.Do(context.Background(), d, script(line, times(2, policy.Transient(errBackend))...))
		require.NoError(t, err)
		assert.Equal(t, 3, value)
		assert.Equal(t, seconds(0, 1, 2), line.all())

		_, err = dispatcher.Do(context.Background(), d, line.marking(0, policy.Fatal(errBackend)))
		failed := asJobError(t, err)
		assert.ErrorIs(t, failed, job.ErrFailed)
		assert.ErrorIs(t, failed, errBackend)

		submit(t, d, line.marking(10*time.Second, nil)) // at 4 s
		synctest.Wait()
		_, err = dispatcher.Do(context.Background(), d, line.marking(0, nil))
		require.NoError(t, err)
		assert.Equal(t, seconds(0, 1, 2, 3, 4, 14), line.all(), "it waits for its place")
	})
}

// A running Do takes a worker's place.
func TestDoTakesAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		line := newTimeline()
		go dispatcher.Do(context.Background(), d, line.marking(5*time.Second, nil))
		synctest.Wait()
		_, err := await(t, submit(t, d, line.marking(0, nil)))
		require.NoError(t, err)
		assert.Equal(t, seconds(0, 5), line.all())
	})
}

// While it waits, Do ends with its context; while its function runs, only once that has returned.
func TestDoContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerHour(1), Burst: 1}}})
		line := newTimeline()
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err := dispatcher.Do(ctx, d, func(context.Context) (int, error) { time.Sleep(4 * time.Second); return 7, errBackend })
		assert.Equal(t, 4*time.Second, line.now())
		assert.ErrorIs(t, err, job.ErrCanceled)
		assert.ErrorIs(t, err, why)

		waiting, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_, err = dispatcher.Do(waiting, d, line.marking(0, nil))
		assert.Equal(t, 5*time.Second, line.now())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, asJobError(t, err).Attempts)
		assert.Empty(t, line.all())
		assert.Zero(t, snapshot(d).Running)
	})
}

// Under an abort Do waits for its function, too, and then tells of the abort.
func TestDoAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		done := make(chan error, 1)
		go func() {
			_, err := dispatcher.Do(context.Background(), d, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				assert.Equal(t, job.ErrAborted, context.Cause(ctx))
				time.Sleep(2 * time.Second)
				return 7, nil
			})
			done <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		assert.ErrorIs(t, d.Close(ctx), job.ErrAborted)
		assert.Equal(t, time.Second, line.now())
		assert.ErrorIs(t, <-done, job.ErrAborted)
		assert.Equal(t, 3*time.Second, line.now())
	})
}

// A panic comes back as an error; its stack shows who called.
func TestDoPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		_, err := dispatcher.Do(context.Background(), d, func(context.Context) (int, error) { panic("oh") })
		var panicked *job.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.Equal(t, "oh", panicked.Value)
		assert.Contains(t, string(panicked.Stack), "TestDoPanic")
	})
}

// Goexit settles the job, and then the caller's goroutine ends (S-F7).
func TestDoGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		ended := make(chan bool, 1)
		go func() {
			returned := false
			defer func() { ended <- returned }()
			_, _ = dispatcher.Do(context.Background(), d, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
			returned = true
		}()
		assert.False(t, <-ended)
		require.NoError(t, d.WaitIdle(context.Background()))
		_, err := dispatcher.Do(context.Background(), d, newTimeline().marking(0, nil))
		assert.NoError(t, err, "its place is free")
	})
}

// A nested Do may run on the same goroutine, and takes another place.
func TestDoNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2, Name: "nested"})
		value, err := dispatcher.Do(context.Background(), d, func(ctx context.Context) (int, error) {
			return dispatcher.Do(ctx, d, func(ctx context.Context) (int, error) {
				a, ok := job.AttemptFrom(ctx)
				assert.True(t, ok)
				assert.Equal(t, job.ID(2), a.ID)
				return 7, nil
			})
		})
		require.NoError(t, err)
		assert.Equal(t, 7, value)
	})
}

// The timeout of an outer attempt ends the inner job, which is neutral there and transient outside (S-R8).
func TestDoNestedTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := open(t, dispatcher.Config{Timeout: time.Second, Retry: exact(2, time.Second)})
		inner := open(t, dispatcher.Config{Breaker: breaker(1), Retry: exact(5, time.Second)})
		line := newTimeline()
		_, err := dispatcher.Do(context.Background(), outer, func(ctx context.Context) (int, error) {
			_, err := dispatcher.Do(ctx, inner, line.marking(time.Minute, nil))
			assert.Equal(t, 1, asJobError(t, err).Attempts)
			assert.NotErrorIs(t, err, job.ErrMaxRetriesExceeded)
			return 0, err
		})
		assert.ErrorIs(t, err, job.ErrMaxRetriesExceeded)
		// The inner job has the outer attempt's deadline, at the same instant: which of the two ends first is chance.
		assert.True(t, errors.Is(err, job.ErrAttemptTimeout) || errors.Is(err, context.DeadlineExceeded), "%v", err)
		assert.Equal(t, seconds(0, 2), line.all())
		state, _ := circuit(inner, "")
		assert.Equal(t, policy.Closed, state)
	})
}

// Wrap is a Do for each call.
func TestWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(3, time.Second)})
		line := newTimeline()
		double := dispatcher.Wrap(d, func(ctx context.Context, in int) (int, error) {
			line.mark()
			a, _ := job.AttemptFrom(ctx)
			assert.Equal(t, "k", a.Key)
			if a.N < 3 {
				return 0, policy.Transient(errBackend)
			}
			return 2 * in, nil
		}, dispatcher.WithKey("k"))
		for in := range 3 {
			out, err := double(context.Background(), in)
			require.NoError(t, err)
			assert.Equal(t, 2*in, out)
		}
		assert.Equal(t, seconds(0, 1, 2, 2, 3, 4, 4, 5, 6), line.all())
	})
}

// S-F1: Do stays with its job, however soon its next attempt comes: it returns what the job has come to, and nothing before.
func TestDoStaysWithItsJob(t *testing.T) {
	d := open(t, dispatcher.Config{Workers: 2, Retry: policy.Retry{MaxAttempts: 50, Delay: 1, Backoff: 1, Jitter: policy.NoJitter}})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				n := 0
				value, err := dispatcher.Do(context.Background(), d, func(context.Context) (int, error) {
					if n++; n < 20 {
						return 0, policy.Transient(errBackend)
					}
					return n, nil
				})
				assert.NoError(t, err)
				assert.Equal(t, 20, value)
			}
		})
	}
	group.Wait()
}
