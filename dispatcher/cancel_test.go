package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
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

// S-F4: whenever Cancel comes, what it says is true. "Never ran" means that the function has not been called and never is,
// "between attempts" and "signaled" that it has been; after all three the job is canceled. "Already settled" means that the job has
// ended by itself, and stays as it is.
func TestCancelTellsTheTruth(t *testing.T) {
	const jobs = 4000
	d := open(t, dispatcher.Config{Workers: 3, Queue: 16, Retry: exact(2, time.Microsecond)})
	calls := make([]atomic.Int32, jobs)
	answers := make([]job.Canceled, jobs)
	futures := make([]*job.Future[int], jobs)
	var canceling sync.WaitGroup
	for i := range jobs {
		futures[i] = submit(t, d, func(context.Context) (int, error) {
			if calls[i].Add(1) == 1 && i%3 == 0 {
				return 0, policy.Transient(errBackend)
			}
			runtime.Gosched()
			return i, nil
		})
		canceling.Go(func() {
			for range i % 50 { // sooner or later
				runtime.Gosched()
			}
			answers[i] = futures[i].Cancel()
			assert.NotEqual(t, job.Pending, futures[i].State())
		})
	}
	canceling.Wait()
	require.NoError(t, d.WaitIdle(t.Context()))
	count := make(map[job.Canceled]int)
	for i, answer := range answers {
		count[answer]++
		value, err, ok := futures[i].Result()
		require.True(t, ok)
		attempts := calls[i].Load()
		switch answer {
		case job.AlreadySettled:
			assert.NoError(t, err, "job %d", i)
			assert.Equal(t, i, value)
			assert.Positive(t, attempts)
			continue
		case job.NeverRan:
			assert.Zero(t, attempts, "job %d never ran", i)
		case job.BetweenAttempts, job.Signaled:
			assert.Positive(t, attempts, "job %d: %v", i, answer)
		}
		assert.ErrorIs(t, err, job.ErrCanceled, "job %d: %v", i, answer)
		assert.Zero(t, value)
		assert.EqualValues(t, attempts, asJobError(t, err).Attempts, "job %d: %v", i, answer)
	}
	t.Log(count)
	assert.Positive(t, count[job.NeverRan])
}

// holding is a context that has ended when an attempt looks at it, and then what the attempt has to say comes to the scheduler in
// one turn: that the job is canceled, and that its function has not been called.
type holding struct {
	context.Context
	d     *dispatcher.Dispatcher
	armed atomic.Bool
	ended atomic.Bool
}

func (c *holding) Done() <-chan struct{} { return nil }

func (c *holding) Err() error {
	if c.armed.CompareAndSwap(true, false) {
		time.AfterFunc(time.Second, dispatcher.Hold(c.d))
		c.ended.Store(true)
	}
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}

// S-R9: an error says how often the function was called, also when its job was canceled between admission and start.
func TestCanceledBeforeStartIsNoAttempt(t *testing.T) {
	for _, how := range []string{"Submit", "Do"} {
		for called := range 3 {
			t.Run(fmt.Sprintf("%s, attempt %d", how, called+1), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Retry: exact(5, time.Minute)})
					ctx, line := &holding{Context: context.Background(), d: d}, newTimeline()
					time.AfterFunc(time.Duration(called)*time.Minute+time.Second, func() { ctx.armed.Store(true) })
					delay, fn := dispatcher.WithDelay(time.Minute), script(line, times(5, policy.Transient(errBackend))...)
					var err error
					if how == "Do" {
						_, err = dispatcher.Do(ctx, d, fn, delay)
					} else {
						var future *job.Future[int]
						future, err = dispatcher.Submit(ctx, d, fn, delay)
						require.NoError(t, err)
						_, err = await(t, future)
					}
					failed := asJobError(t, err)
					assert.ErrorIs(t, err, job.ErrCanceled)
					assert.Equal(t, called, failed.Attempts, err)
					assert.Len(t, line.all(), called)
				})
			})
		}
	}
}
