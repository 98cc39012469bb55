package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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
)

// One watch is kept for all jobs whose contexts end together. What follows looks whether each job ends with its own.

// until returns a function that runs until its context ends.
func until(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }

// Jobs with the same context, with contexts made from it and with others end each with its own: at the same moment, with the
// cause that it has, and nobody else does (S-F2).
func TestJobsEndWithTheirContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 10})
		parent, cancelParent := context.WithCancelCause(context.Background())
		child, cancelChild := context.WithCancel(parent)
		defer cancelChild()
		sibling, cancelSibling := context.WithCancelCause(parent)
		other, cancelOther := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancelOther()
		contexts := []context.Context{
			parent, context.WithValue(parent, attemptKey{}, 1), child, context.WithValue(child, attemptKey{}, 2), sibling, other,
			context.WithoutCancel(parent), context.Background(),
		}
		line := newTimeline()
		ends := make([]atomic.Int64, len(contexts))
		counts := make([]atomic.Int32, len(contexts))
		var futures [8][]*job.Future[int]
		for round := range 20 { // some run, most wait
			for i := range contexts {
				i = (i + round) % len(contexts)
				future, err := dispatcher.Submit(contexts[i], d, until)
				require.NoError(t, err)
				futures[i] = append(futures[i], future)
				go func() {
					<-future.Done()
					ends[i].Store(int64(line.now()))
					counts[i].Add(1)
				}()
			}
		}
		synctest.Wait()
		assert.Equal(t, 4, dispatcher.Watches(d), "parent, child, sibling and other")
		time.AfterFunc(time.Second, func() { cancelSibling(errBackend) })
		time.AfterFunc(2*time.Second, func() { cancelParent(errEnough) })
		want := seconds(2, 2, 2, 2, 1, 3, 0, 0)
		for _, at := range seconds(0, 1, 2, 3) {
			time.Sleep(at - line.now())
			synctest.Wait()
			for i := range contexts {
				switch {
				case want[i] == 0 || want[i] > at:
					assert.Zero(t, counts[i].Load(), "context %d at %v", i, at)
				default:
					assert.Equal(t, int32(20), counts[i].Load(), "context %d at %v", i, at)
					assert.Equal(t, int64(want[i]), ends[i].Load(), "context %d", i)
				}
			}
		}
		assert.Zero(t, dispatcher.Watches(d), "all that could end have")
		for i, ctx := range contexts[:6] {
			for _, f := range futures[i] {
				assert.ErrorIs(t, failure(t, f), context.Cause(ctx))
			}
		}
		for _, f := range append(futures[6], futures[7]...) {
			f.Cancel()
		}
	})
}

// endsAtCall is a context that ends when it is asked something for the nth time, and one that never does.
type endsAtCall struct {
	context.Context
	end   func()
	calls atomic.Int32
	nth   int32
}

func (c *endsAtCall) called() {
	if c.calls.Add(1) == c.nth {
		c.end()
	}
}

func (c *endsAtCall) Done() <-chan struct{}       { c.called(); return c.Context.Done() }
func (c *endsAtCall) Err() error                  { c.called(); return c.Context.Err() }
func (c *endsAtCall) Value(key any) any           { c.called(); return c.Context.Value(key) }
func (c *endsAtCall) Deadline() (time.Time, bool) { c.called(); return c.Context.Deadline() }

// A context may end at any moment of a submission: before, between what is asked of it, when the job has been posted and nobody
// watches yet, while the watch begins. The job is refused then, or canceled; whether it is alone or others have the context
// already, whether it runs or waits (S-A7, S-F5).
func TestContextEndsDuringSubmit(t *testing.T) {
	for nth := int32(0); nth <= 12; nth++ {
		for _, watched := range []bool{false, true} {
			for _, busy := range []bool{false, true} {
				t.Run(fmt.Sprintf("call %d/watched %t/busy %t", nth, watched, busy), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := open(t, dispatcher.Config{Workers: 2})
						inner, cancel := context.WithCancelCause(context.Background())
						defer cancel(nil)
						var others []*job.Future[int]
						if watched {
							other, err := dispatcher.Submit(inner, d, until)
							require.NoError(t, err)
							others = append(others, other)
						}
						if busy {
							submit(t, d, newTimeline().marking(time.Minute, nil))
							submit(t, d, newTimeline().marking(time.Minute, nil))
						}
						synctest.Wait()
						if nth == 0 {
							cancel(errEnough)
						}
						line := newTimeline()
						ctx := &endsAtCall{Context: inner, end: func() { cancel(errEnough) }, nth: nth}
						future, err := dispatcher.Submit(ctx, d, until)
						if err != nil {
							assert.ErrorIs(t, err, errEnough)
							assert.Nil(t, future)
						} else {
							others = append(others, future)
						}
						synctest.Wait()
						cancel(errEnough) // if there were fewer calls
						for _, f := range others {
							failed := failure(t, f)
							assert.ErrorIs(t, failed.Reason, job.ErrCanceled)
							assert.ErrorIs(t, failed, errEnough)
						}
						assert.Zero(t, line.now())
						synctest.Wait()
						assert.Zero(t, dispatcher.Watches(d))
					})
				})
			}
		}
	}
}

// Ten thousand jobs of one context end with it: at once, and those that waited have taken nothing (S-A4, S-F1).
func TestManyJobsOfOneContext(t *testing.T) {
	const jobs = 10_000
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 100})
		ctx := newCallingContext()
		line := newTimeline()
		var ran atomic.Int32
		futures := make([]*job.Future[int], jobs)
		for i := range futures {
			var err error
			futures[i], err = dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) { ran.Add(1); return until(ctx) })
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Equal(t, int32(100), ran.Load())
		assert.Equal(t, 1+100, ctx.called(), "the watch, and one for each that waits for its Done")
		time.Sleep(time.Second)
		for _, f := range futures[:jobs/2] { // half of them have left when it ends, in another order than they came
			f.Cancel()
		}
		ctx.end()
		for _, f := range futures {
			_, err := await(t, f)
			assert.ErrorIs(t, err, job.ErrCanceled)
		}
		synctest.Wait()
		assert.Equal(t, time.Second, line.now())
		assert.Zero(t, ctx.called())
		now := snapshot(d)
		assert.Zero(t, now.Queued+now.Running)
	})
}

// Contexts end while their jobs are submitted, run and settle, from several goroutines: every job is settled, canceled ones with
// the cause of their context, and nothing stays watched but the latest (S-F1, S-F4).
func TestContextsEndWhileJobsSettle(t *testing.T) {
	d := open(t, dispatcher.Config{Workers: 4})
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		parent, cancelParent := context.WithCancelCause(context.Background())
		cancels := []context.CancelCauseFunc{cancelParent}
		contexts := []context.Context{parent, context.WithValue(parent, attemptKey{}, 1)}
		for range random.IntN(3) {
			child, cancel := context.WithCancelCause(parent)
			contexts, cancels = append(contexts, child), append(cancels, cancel)
		}
		var group sync.WaitGroup
		for range 3 {
			picks := random.Perm(40)
			group.Go(func() {
				for _, pick := range picks {
					future, err := dispatcher.Submit(contexts[pick%len(contexts)], d, func(ctx context.Context) (int, error) {
						for range pick % 8 {
							runtime.Gosched()
						}
						return pick, ctx.Err()
					})
					if err != nil {
						assert.ErrorIs(t, err, errEnough, "seed %d", seed)
						continue
					}
					if pick%5 == 0 {
						future.Cancel()
					}
					if value, err := future.Await(context.Background()); err == nil {
						assert.Equal(t, pick, value)
					} else if pick%5 != 0 {
						assert.ErrorIs(t, err, errEnough, "seed %d", seed)
					}
				}
			})
		}
		spins := random.IntN(200)
		group.Go(func() {
			for range spins {
				runtime.Gosched()
			}
			for i := range cancels {
				cancels[len(cancels)-1-i](errEnough)
			}
		})
		group.Wait()
	}
	require.NoError(t, d.WaitIdle(context.Background()))
	assert.LessOrEqual(t, dispatcher.Watches(d), 1)
}
