package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// S-F8: who waits for jobs of several dispatchers is told of a deadlock only when those of the others are through.
func TestDeadlockWaitsForOtherDispatchers(t *testing.T) {
	type futures = []*job.Future[int]
	for name, c := range map[string]struct {
		wait func(ctx context.Context, of futures) []job.Result[int]
		want []error
	}{
		"First": {func(ctx context.Context, of futures) []job.Result[int] {
			value, err := job.First(ctx, of...)
			return []job.Result[int]{{Value: value, Err: err}}
		}, []error{nil}},
		"Settled": {func(ctx context.Context, of futures) []job.Result[int] {
			return job.Settled(ctx, of...)
		}, []error{job.ErrDeadlock, nil}},
		"Settled, the other first": {func(ctx context.Context, of futures) []job.Result[int] {
			return job.Settled(ctx, of[1], of[0])
		}, []error{nil, job.ErrDeadlock}},
	} {
		for place, inside := range map[string]bool{"the other is elsewhere": false, "the attempt is of both": true} {
			t.Run(name+", "+place, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one, other := open(t, dispatcher.Config{Workers: 1}), open(t, dispatcher.Config{Workers: 2})
					line := newTimeline()
					body := func(ctx context.Context) ([]job.Result[int], error) {
						behind, err := dispatcher.Submit(context.WithoutCancel(ctx), one, line.marking(0, nil))
						if err != nil {
							return nil, err
						}
						beside, err := dispatcher.Submit(ctx, other, line.marking(time.Second, nil))
						if err != nil {
							return nil, err
						}
						return c.wait(ctx, futures{behind, beside}), nil
					}
					results, err := dispatcher.Do(t.Context(), one, func(ctx context.Context) ([]job.Result[int], error) {
						if inside {
							return dispatcher.Do(ctx, other, body)
						}
						return body(ctx)
					})
					require.NoError(t, err)
					require.Len(t, results, len(c.want))
					for i, want := range c.want {
						require.ErrorIs(t, results[i].Err, want)
						if want == nil {
							assert.Equal(t, 1, results[i].Value)
						}
					}
					assert.Equal(t, time.Second, line.now())
				})
			})
		}
	}
}

// S-F8: who waits for any one of several, one of which is over, is about to go on, though he has not looked at it yet: nobody is told of a
// deadlock because of him.
func TestDeadlockIsNotToldBecauseOfOneWhoGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2})
		line := newTimeline()
		begin := make(chan struct{})
		other := submit(t, d, func(ctx context.Context) (int, error) {
			<-begin
			last := submit(t, d, line.marking(time.Second, nil))
			return last.Await(ctx)
		})
		synctest.Wait() // it has one of the workers
		futures := make(chan *job.Future[int], 2)
		waits := submit(t, d, func(ctx context.Context) (int, error) {
			var queued []*job.Future[int]
			for range cap(futures) {
				future, err := dispatcher.Submit(context.WithoutCancel(ctx), d, line.marking(0, nil))
				if err != nil {
					return 0, err
				}
				futures <- future
				queued = append(queued, future)
			}
			for i, result := range job.Completed(ctx, queued...) {
				assert.ErrorIs(t, result.Err, job.ErrCanceled)
				return i, nil
			}
			return 0, nil
		})
		synctest.Wait()
		release := dispatcher.Hold(d)
		go (<-futures).Cancel()
		synctest.Wait()
		close(begin)
		synctest.Wait()
		release()
		first, err := await(t, waits)
		require.NoError(t, err)
		assert.Zero(t, first)
		_, err = await(t, other)
		require.NoError(t, err)
	})
}

// S-F8: who has submitted a job to another dispatcher does not wait for what that waits for, nor does who has the value of a Stream.
func TestOnlyWhoWaitsIsInADeadlock(t *testing.T) {
	for name, hand := range map[string]func(ctx context.Context, other *dispatcher.Dispatcher, fn job.Func[int]) error{
		"Submit": func(ctx context.Context, other *dispatcher.Dispatcher, fn job.Func[int]) error {
			_, err := dispatcher.Submit(context.WithoutCancel(ctx), other, fn)
			return err
		},
		"Stream": func(ctx context.Context, other *dispatcher.Dispatcher, fn job.Func[int]) error {
			_, err := dispatcher.Stream(context.WithoutCancel(ctx), other, func(ctx context.Context) (int, func() error, error) {
				return 0, func() error { _, err := fn(ctx); return err }, nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, other := open(t, dispatcher.Config{Workers: 1}), open(t, dispatcher.Config{Workers: 1})
				line := newTimeline()
				told := make(chan error, 1)
				_, err := dispatcher.Do(t.Context(), d, func(ctx context.Context) (int, error) {
					err := hand(ctx, other, func(ctx context.Context) (int, error) {
						_, err := dispatcher.Do(ctx, d, line.marking(0, nil))
						told <- err
						return 0, err
					})
					time.Sleep(time.Second) // other work
					return 0, err
				})
				require.NoError(t, err)
				require.NoError(t, <-told)
				assert.Equal(t, seconds(1), line.all())
			})
		})
	}
}
