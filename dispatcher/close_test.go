package dispatcher_test

import (
	"context"
	"errors"
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

// everyState is a dispatcher with one job in each state a job can be in, two seconds after they were submitted.
type everyState struct {
	d       *dispatcher.Dispatcher
	line    *timeline                   // from when they were submitted
	futures map[string]*job.Future[int] // by state
}

func newEveryState(t *testing.T) *everyState {
	limit := perSecond(0.1, 1)
	limit.PerKey = true
	d, err := dispatcher.New(dispatcher.Config{
		Workers: 5, Limits: []policy.Limit{limit}, Breaker: breaker(1), Retry: exact(3, 10*time.Second),
	})
	require.NoError(t, err)
	s := &everyState{d: d, line: newTimeline(), futures: make(map[string]*job.Future[int])}
	trip(t, d, dispatcher.WithKey("open"))
	failure(t, submit(t, d, newTimeline().marking(0, policy.Throttled(errBackend, 20*time.Second)),
		dispatcher.WithKey("cooldown"), dispatcher.WithRetry(policy.Retry{})))

	add := func(name string, fn job.Func[int], options ...dispatcher.Option) {
		s.futures[name] = submit(t, d, fn, append([]dispatcher.Option{dispatcher.WithKey(name)}, options...)...)
	}
	ok := func(context.Context) (int, error) { return 1, nil }
	add("running", func(ctx context.Context) (int, error) { return 1, wait(ctx, 5*time.Second, nil) })
	add("deaf", func(context.Context) (int, error) { time.Sleep(6 * time.Second); return 1, nil })
	add("failing", func(ctx context.Context) (int, error) {
		a, _ := job.AttemptFrom(ctx)
		if a.N == 1 {
			return 0, wait(ctx, 4*time.Second, policy.Transient(errBackend))
		}
		return 1, nil
	}, dispatcher.WithWhenOpen(policy.Wait))
	add("parked", script(newTimeline(), policy.TransientAfter(errBackend, 0)), dispatcher.WithCost("calls", 0.000001))
	submit(t, d, ok, dispatcher.WithKey("limit"))
	add("limit", ok)
	add("cooldown", ok)
	add("open", ok)
	add("delayed", ok, dispatcher.WithDelay(15*time.Second))
	time.Sleep(2 * time.Second)
	synctest.Wait()
	return s
}

// assertAllSettled checks that every job is over.
func (s *everyState) assertAllSettled(t *testing.T) {
	t.Helper()
	for name, f := range s.futures {
		assert.True(t, settled(f), name)
	}
}

// Close finishes everything that has been accepted, retries included, and lifts a pause (S-F6).
func TestCloseFinishesEverything(t *testing.T) {
	for _, paused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newEveryState(t)
			if paused {
				s.d.Pause()
			}
			require.NoError(t, s.d.Close(context.Background()))
			s.assertAllSettled(t)
			for name, f := range s.futures {
				value, err, _ := f.Result()
				if assert.NoError(t, err, name) {
					assert.Positive(t, value, name)
				}
			}
			// The last is the failing one: its circuit has opened at 4 s, and it is the probe 30 s later.
			assert.Equal(t, 34*time.Second, s.line.now())
		})
	}
}

// Stop finishes the attempts that run, and settles all other jobs at once (S-F6).
func TestStopFinishesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newEveryState(t)
		stopped := make(chan error, 1)
		go func() { stopped <- s.d.Stop(context.Background()) }()
		synctest.Wait()
		for name, f := range s.futures {
			running := name == "running" || name == "deaf" || name == "failing"
			assert.Equal(t, !running, settled(f), name)
		}
		require.NoError(t, <-stopped)
		assert.Equal(t, 6*time.Second, s.line.now())
		s.assertAllSettled(t)
		for name, f := range s.futures {
			value, err, _ := f.Result()
			if name == "running" || name == "deaf" {
				assert.NoError(t, err, name)
				assert.Equal(t, 1, value)
				continue
			}
			assert.ErrorIs(t, err, job.ErrNotStarted, name)
			if name == "failing" || name == "parked" {
				assert.ErrorIs(t, err, errBackend, name)
				assert.Equal(t, 1, asJobError(t, err).Attempts)
			} else {
				assert.Zero(t, asJobError(t, err).Attempts)
			}
		}
	})
}

// When their context ends, both abort: every future is settled, and functions are told (S-F6, S-F1).
func TestAbort(t *testing.T) {
	why := errors.New("no more time")
	for name, shut := range map[string]func(*dispatcher.Dispatcher, context.Context) error{
		"Close": (*dispatcher.Dispatcher).Close,
		"Stop":  (*dispatcher.Dispatcher).Stop,
	} {
		byStop := name == "Stop"
		for _, after := range []time.Duration{0, time.Second} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newEveryState(t)
					ctx, cancel := context.WithTimeoutCause(context.Background(), after, why)
					defer cancel()
					err := shut(s.d, ctx)
					assert.ErrorIs(t, err, job.ErrAborted)
					assert.ErrorIs(t, err, why)
					assert.ErrorContains(t, err, s.d.Name())
					assert.Equal(t, 2*time.Second+after, s.line.now())
					s.assertAllSettled(t)
					for name, f := range s.futures {
						value, err, _ := f.Result()
						assert.Zero(t, value, name)
						want := job.ErrAborted
						if byStop && name != "running" && name != "deaf" && name != "failing" {
							want = job.ErrNotStarted // at once, before it came to that
						}
						assert.ErrorIs(t, err, want, name)
					}
					_, err, _ = s.futures["deaf"].Result()
					assert.ErrorIs(t, err, job.ErrAborted)
					assert.Equal(t, 1, asJobError(t, err).Attempts)

					// The name is free, though the deaf one still runs; a second call waits for it.
					_, found := dispatcher.Lookup(s.d.Name())
					assert.False(t, found)
					require.NoError(t, s.d.Close(context.Background()))
					assert.Equal(t, 6*time.Second, s.line.now())
					_, err, _ = s.futures["deaf"].Result()
					assert.ErrorIs(t, err, job.ErrAborted, "its late result is dropped")
				})
			})
		}
	}
}

// Any number of calls, from any number of goroutines, one after the other or together: each waits for what is left (S-F6).
func TestCloseIsIdempotent(t *testing.T) {
	type shut = func(*dispatcher.Dispatcher, context.Context) error
	closing, stopping := (*dispatcher.Dispatcher).Close, (*dispatcher.Dispatcher).Stop
	for _, calls := range [][]shut{{closing, closing}, {stopping, stopping}, {closing, stopping}, {stopping, closing}} {
		synctest.Test(t, func(t *testing.T) {
			d, err := dispatcher.New(dispatcher.Config{})
			require.NoError(t, err)
			line := newTimeline()
			submit(t, d, line.marking(5*time.Second, nil))
			synctest.Wait() // it runs
			var group sync.WaitGroup
			for _, call := range append(calls, calls...) {
				group.Go(func() {
					assert.NoError(t, call(d, context.Background()))
					assert.Equal(t, 5*time.Second, line.now())
				})
				synctest.Wait()
			}
			group.Wait()
			for _, call := range calls {
				assert.NoError(t, call(d, context.Background()))
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				assert.NoError(t, call(d, ended), "it is over: there is nothing to abort")
			}
		})
	}
}

// Stop after Close gives up what Close would have finished (S-F6).
func TestStopAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Workers: 1})
		require.NoError(t, err)
		line := newTimeline()
		running := submit(t, d, line.marking(5*time.Second, nil))
		queued := submit(t, d, line.marking(5*time.Second, nil))
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- d.Close(context.Background()) }()
		synctest.Wait()
		require.NoError(t, d.Stop(context.Background()))
		require.NoError(t, <-closed)
		_, err = await(t, running)
		assert.NoError(t, err)
		assert.ErrorIs(t, failure(t, queued), job.ErrNotStarted)
		assert.Equal(t, 5*time.Second, line.now())
	})
}

// A job that has failed for good while the dispatcher stops has failed; it was not kept from another attempt.
func TestStopDoesNotHideTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Retry: exact(1, time.Second)})
		require.NoError(t, err)
		future := submit(t, d, newTimeline().marking(time.Second, policy.Transient(errBackend)))
		synctest.Wait()
		require.NoError(t, d.Stop(context.Background()))
		failed := failure(t, future)
		assert.ErrorIs(t, failed, job.ErrMaxRetriesExceeded)
		assert.NotErrorIs(t, failed, job.ErrNotStarted)
	})
}

// Closing finishes what was accepted even if somebody pauses in the meantime: nobody else can be meant to resume it (S-F6).
func TestPauseWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Workers: 1})
		require.NoError(t, err)
		line := newTimeline()
		for range 3 {
			submit(t, d, line.marking(time.Second, nil))
		}
		closed := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			closed <- d.Close(ctx)
		}()
		synctest.Wait()
		d.Pause()
		assert.NoError(t, <-closed)
		assert.Equal(t, 3*time.Second, line.now())
	})
}

// After Close everything refuses, or answers, and nothing hangs.
func TestAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Name: "gone"})
		require.NoError(t, err)
		require.NoError(t, d.Close(context.Background()))
		ctx, line := context.Background(), newTimeline()
		_, err = dispatcher.Submit(ctx, d, line.marking(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrClosed)
		_, err = dispatcher.TrySubmit(ctx, d, line.marking(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrClosed)
		_, err = dispatcher.Do(ctx, d, line.marking(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrClosed)
		_, err = dispatcher.Go(ctx, d, func(context.Context) error { return nil })
		assert.ErrorIs(t, err, dispatcher.ErrClosed)
		d.Pause()
		d.Resume()
		d.Reset("")
		assert.NoError(t, d.WaitIdle(ctx))
		assert.Equal(t, "gone", d.Snapshot().Name)
		assert.Equal(t, "gone", d.Name())
		assert.Empty(t, line.all())
	})
}

// While it closes, jobs are refused, its name is taken, and everything else still works (S-F6, S-F9).
func TestWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Name: "closing"})
		line := newTimeline()
		submit(t, d, func(ctx context.Context) (int, error) {
			time.Sleep(5 * time.Second)
			_, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
			assert.ErrorIs(t, err, dispatcher.ErrClosed, "also from inside a job")
			return 0, nil
		})
		go d.Close(context.Background())
		synctest.Wait()
		_, err := dispatcher.Submit(context.Background(), d, line.marking(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrClosed)
		_, found := dispatcher.Lookup("closing")
		assert.True(t, found)
		_, err = dispatcher.New(dispatcher.Config{Name: "closing"})
		assert.ErrorIs(t, err, dispatcher.ErrNameTaken)
		assert.Equal(t, 1, snapshot(d).Running)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, 5*time.Second, line.now())
	})
}

// Close from inside a job waits for that job as well, and so only returns when its context ends.
func TestCloseInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{})
		require.NoError(t, err)
		line := newTimeline()
		future := submit(t, d, func(context.Context) (int, error) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return 0, d.Close(ctx)
		})
		failed := failure(t, future)
		assert.ErrorIs(t, failed, job.ErrAborted)
		assert.Equal(t, time.Second, line.now())
		require.NoError(t, d.Close(context.Background()))
	})
}

// Submit against Close, from many goroutines: ErrClosed, or a future that is settled (S-F6).
func TestCloseAgainstSubmit(t *testing.T) {
	for name, shut := range map[string]func(*dispatcher.Dispatcher, context.Context) error{
		"Close": (*dispatcher.Dispatcher).Close,
		"Stop":  (*dispatcher.Dispatcher).Stop,
		"abort": func(d *dispatcher.Dispatcher, _ context.Context) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = d.Close(ctx)
			return d.Close(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 30 {
				d, err := dispatcher.New(dispatcher.Config{Workers: 4, Queue: 16, Retry: policy.Retry{MaxAttempts: 2, Delay: 1}})
				require.NoError(t, err)
				var accepted, refused, ran atomic.Int64
				var group sync.WaitGroup
				start := make(chan struct{})
				for range 8 {
					group.Go(func() {
						<-start
						for n := 0; ; n++ {
							future, err := dispatcher.Submit(context.Background(), d, func(context.Context) (int, error) {
								ran.Add(1)
								if n%3 == 0 {
									return 0, policy.Transient(errBackend)
								}
								return n, nil
							})
							if err != nil {
								assert.ErrorIs(t, err, dispatcher.ErrClosed)
								assert.Nil(t, future)
								refused.Add(1)
								return
							}
							accepted.Add(1)
							if n%2 == 0 {
								continue // its Close settles it; nobody waits
							}
							if _, err := future.Await(context.Background()); err == nil {
								continue
							}
						}
					})
				}
				close(start)
				runtime.Gosched()
				for accepted.Load() < 50 {
					runtime.Gosched()
				}
				require.NoError(t, shut(d, context.Background()))
				group.Wait()
				assert.Equal(t, int64(8), refused.Load())
				if name == "Close" {
					assert.GreaterOrEqual(t, ran.Load(), accepted.Load(), "all that was accepted has been run")
				}
			}
		})
	}
}

// Where nothing is left when the context ends, nothing is aborted, and there is nothing to report: as when a program that a signal
// ends closes what it has used.
func TestCloseWithAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			d, err := dispatcher.New(dispatcher.Config{})
			require.NoError(t, err)
			_, err = dispatcher.Do(t.Context(), d, newTimeline().marking(0, nil))
			require.NoError(t, err)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, d.Close(ended))
		}
	})
}

// The reason tells why there is no further attempt.
func TestWhyNotAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		retry policy.Retry
		err   error
		want  error
	}{
		"retries are off":         {policy.Retry{}, policy.Transient(errBackend), job.ErrRetriesOff},
		"an error like any other": {policy.Retry{MaxAttempts: 3}, errBackend, job.ErrNotRetried},
		"one that is final":       {policy.Retry{MaxAttempts: 3}, policy.Fatal(errBackend), job.ErrNotRetried},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Retry: tt.retry})
				_, err := dispatcher.Do(t.Context(), d, newTimeline().marking(0, tt.err))
				var ended *job.Error
				require.ErrorAs(t, err, &ended)
				assert.Equal(t, tt.want, ended.Reason)
				assert.ErrorIs(t, err, job.ErrFailed)
				assert.ErrorIs(t, err, errBackend)
			})
		})
	}
}

// Canceled by its context, which is more than that of the call; or by hand.
func TestWhoCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		byContext, err := dispatcher.Submit(ctx, d, newTimeline().marking(time.Second, nil))
		require.NoError(t, err)
		byHand, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(time.Second, nil))
		require.NoError(t, err)
		cancel()
		byHand.Cancel()
		for future, want := range map[*job.Future[int]]error{byContext: job.ErrContextEnded, byHand: job.ErrCanceled} {
			_, err := future.Await(t.Context())
			var ended *job.Error
			require.ErrorAs(t, err, &ended)
			assert.Equal(t, want, ended.Reason)
			assert.ErrorIs(t, err, job.ErrCanceled)
			assert.ErrorIs(t, err, context.Canceled)
		}
	})
}
