package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
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

// Await's context is the waiter's patience: giving up does not cancel the job, and others go on waiting (S-F2, S-F3).
func TestAwaitGivesUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		future := submit(t, d, line.marking(10*time.Second, nil))
		why := errors.New("out of patience")
		impatient, cancel := context.WithTimeoutCause(context.Background(), time.Second, why)
		defer cancel()
		_, err := future.Await(impatient)
		assert.ErrorIs(t, err, job.ErrNotSettled)
		assert.ErrorIs(t, err, why)
		var failed *job.Error
		assert.NotErrorAs(t, err, &failed)
		assert.Equal(t, time.Second, line.now())
		assert.False(t, settled(future))

		var group sync.WaitGroup
		for range 5 { // any number of waiters, any number of times
			group.Go(func() {
				for range 3 {
					value, err := future.Await(context.Background())
					assert.NoError(t, err)
					assert.Equal(t, 1, value)
				}
			})
		}
		group.Wait()
		assert.Equal(t, 10*time.Second, line.now())

		value, err := future.Await(impatient)
		assert.NoError(t, err, "a settled job wins over a context that has ended")
		assert.Equal(t, 1, value)
	})
}

// Submit's context is the job's life, in whatever state it is (S-F1, S-F2), and Cancel says in which (S-F4).
func TestContextEndsTheJob(t *testing.T) {
	busy := func(t *testing.T, d *dispatcher.Dispatcher) {
		submit(t, d, newTimeline().marking(time.Minute, nil), dispatcher.WithRetry(policy.Retry{}), dispatcher.WithKey("busy"))
		synctest.Wait()
	}
	for _, c := range []struct {
		name     string
		prepare  func(t *testing.T, d *dispatcher.Dispatcher)
		fn       job.Func[int]
		attempts int
		cancel   job.Canceled
	}{
		{"waiting for a worker", busy, func(context.Context) (int, error) { return 0, nil }, 0, job.NeverRan},
		{
			"waiting for a limit", func(t *testing.T, d *dispatcher.Dispatcher) {
				submit(t, d, newTimeline().marking(0, nil), dispatcher.WithCost("calls", 100))
			}, func(context.Context) (int, error) { return 0, nil }, 0, job.NeverRan,
		},
		{
			"waiting for a circuit", func(t *testing.T, d *dispatcher.Dispatcher) { trip(t, d) },
			func(context.Context) (int, error) { return 0, nil }, 0, job.NeverRan,
		},
		{
			"in cooldown", func(t *testing.T, d *dispatcher.Dispatcher) {
				submit(t, d, newTimeline().marking(0, policy.Throttled(errBackend, time.Minute)), dispatcher.WithRetry(policy.Retry{}))
			}, func(context.Context) (int, error) { return 0, nil }, 0, job.NeverRan,
		},
		{"between attempts", nil, func(context.Context) (int, error) { return 0, policy.Throttled(errBackend, time.Minute) }, 1, job.BetweenAttempts},
		{"running", nil, func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, errBackend }, 1, job.Signaled},
		{"running, and deaf", nil, func(context.Context) (int, error) { time.Sleep(5 * time.Second); return 7, nil }, 1, job.Signaled},
	} {
		setup := func(t *testing.T) *dispatcher.Dispatcher {
			d := open(t, dispatcher.Config{
				Workers: 1, Limits: []policy.Limit{perSecond(1, 10)}, Breaker: breaker(1), Retry: exact(5, time.Minute),
			})
			if c.prepare != nil {
				c.prepare(t, d)
			}
			return d
		}
		why := errors.New("enough")
		for _, how := range []struct {
			name  string
			ctx   func() (context.Context, context.CancelFunc)
			match []error
		}{
			{"timeout", func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), time.Second)
			}, []error{context.DeadlineExceeded, job.ErrDeadline}},
			{"cancel", func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, []error{context.Canceled, job.ErrCanceled}},
			{"cancel with a cause", func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(context.Background())
				time.AfterFunc(time.Second, func() { cancel(why) })
				return ctx, func() { cancel(nil) }
			}, []error{why, job.ErrCanceled}},
		} {
			t.Run(c.name+", "+how.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if c.name == "between attempts" && how.name == "timeout" {
						t.Skip("it ends at once: the wait goes beyond the deadline (S-A8)")
					}
					if c.name == "in cooldown" && how.name == "timeout" {
						t.Skip("likewise")
					}
					d := setup(t)
					ctx, cancel := how.ctx()
					defer cancel()
					line := newTimeline()
					future, err := dispatcher.Submit(ctx, d, c.fn)
					require.NoError(t, err)
					value, err := await(t, future)
					assert.Zero(t, value, "whatever the function made of it")
					assert.Equal(t, time.Second, line.now(), "at once, whatever the function does")
					failed := asJobError(t, err)
					for _, want := range how.match {
						assert.ErrorIs(t, err, want)
					}
					assert.Equal(t, c.attempts, failed.Attempts)
					assert.Equal(t, job.AlreadySettled, future.Cancel())
				})
			})
		}
		t.Run(c.name+", Future.Cancel", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := setup(t)
				line := newTimeline()
				future := submit(t, d, c.fn)
				synctest.Wait()
				time.Sleep(time.Second)
				assert.Equal(t, c.cancel, future.Cancel())
				value, err, ok := future.Result()
				require.True(t, ok, "it is settled when Cancel returns")
				assert.Zero(t, value)
				assert.Equal(t, time.Second, line.now())
				failed := asJobError(t, err)
				assert.ErrorIs(t, err, job.ErrCanceled)
				assert.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, c.attempts, failed.Attempts)
				assert.Equal(t, job.AlreadySettled, future.Cancel())
			})
		})
	}
}

// A context whose deadline passes is a deadline, whatever cause it was given; and the cause can be found as well (S-R9).
func TestDeadlineWithCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the batch window is over")
		for range 50 { // the core's own deadline and the watch on the context may come in either order
			d := open(t, dispatcher.Config{})
			ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, why)
			future, err := dispatcher.Submit(ctx, d, newTimeline().marking(time.Minute, nil))
			require.NoError(t, err)
			failed := failure(t, future)
			cancel()
			assert.ErrorIs(t, failed.Reason, job.ErrDeadline)
			assert.ErrorIs(t, failed, context.DeadlineExceeded)
			assert.ErrorIs(t, failed, why)
		}
	})
}

// Canceled work is never a success, though the function may see the end of its context, and return, before the loop has
// heard of it (S-F4).
func TestCanceledIsNeverASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		for range 200 {
			ctx, cancel := context.WithCancel(context.Background())
			future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, nil })
			require.NoError(t, err)
			synctest.Wait()
			cancel()
			value, err := await(t, future)
			assert.Zero(t, value)
			assert.ErrorIs(t, err, job.ErrCanceled)
		}
	})
}

// A function that ignores its cancellation keeps its worker until it returns, and what it returns is dropped (S-C1, S-F1).
func TestCanceledKeepsItsWorker(t *testing.T) {
	for _, how := range []string{"Future.Cancel", "context", "deadline"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Workers: 1, Breaker: breaker(1)})
				line := newTimeline()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				options := []dispatcher.Option{}
				if how == "deadline" {
					options = append(options, dispatcher.WithDeadline(time.Now().Add(time.Second)))
				}
				deaf, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
					line.note("deaf")
					time.Sleep(10 * time.Second)
					assert.Error(t, ctx.Err(), "it was told")
					return 7, errBackend
				}, options...)
				require.NoError(t, err)
				other := submit(t, d, line.naming("other", 0, nil))
				time.Sleep(time.Second)
				switch how {
				case "Future.Cancel":
					assert.Equal(t, job.Signaled, deaf.Cancel())
				case "context":
					cancel()
				}
				value, err := await(t, deaf)
				assert.Zero(t, value)
				assert.Error(t, err)
				assert.NotErrorIs(t, err, errBackend)
				assert.Equal(t, time.Second, line.now())
				assert.Equal(t, 1, snapshot(d).Running)
				_, err = await(t, other)
				require.NoError(t, err)
				assert.Equal(t, seconds(0, 10), line.all())
				state, _ := circuit(d, "")
				assert.Equal(t, policy.Closed, state, "we stopped asking: its failure says nothing (S-B2)")
				_, again := await(t, deaf)
				assert.NotErrorIs(t, again, errBackend)
			})
		})
	}
}

// Cancel of a job that has ended tells so, and changes nothing (S-F4).
func TestCancelAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		future := submit(t, d, newTimeline().marking(0, nil))
		_, err := await(t, future)
		require.NoError(t, err)
		assert.Equal(t, job.AlreadySettled, future.Cancel())
		value, err := await(t, future)
		assert.NoError(t, err)
		assert.Equal(t, 1, value)
		require.NoError(t, d.Close(context.Background()))
		assert.Equal(t, job.AlreadySettled, future.Cancel())
	})
}

// The contexts of attempts: the attempt that runs, counted from 1, and why it ended (S-O4).
func TestAttemptInContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		d := open(t, dispatcher.Config{Name: "bank", Retry: exact(3, time.Second)})
		ctx := context.WithValue(context.Background(), key{}, "value")
		var seen []job.Attempt
		var former context.Context
		future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
			a, ok := job.AttemptFrom(ctx)
			assert.True(t, ok)
			assert.Equal(t, "value", ctx.Value(key{}))
			assert.True(t, job.Inside(ctx, "bank"))
			assert.False(t, job.Inside(ctx, "other"))
			assert.NoError(t, ctx.Err(), "each attempt has a context of its own")
			if former != nil {
				assert.Error(t, former.Err(), "and the one before has ended")
			}
			former = ctx //nolint:fatcontext // it is kept to be looked at later
			seen = append(seen, job.Attempt{ID: a.ID, N: a.N, Key: a.Key, Dispatcher: a.Dispatcher})
			return 0, policy.Transient(errBackend)
		}, dispatcher.WithKey("eu"))
		require.NoError(t, err)
		failure(t, future)
		var want []job.Attempt
		for n := 1; n <= 3; n++ {
			want = append(want, job.Attempt{ID: future.ID(), N: n, Key: "eu", Dispatcher: "bank"})
		}
		assert.Equal(t, want, seen)
		_, ok := job.AttemptFrom(ctx)
		assert.False(t, ok)
	})
}

// IDs count up from 1.
func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		for n := 1; n <= 3; n++ {
			assert.Equal(t, job.ID(n), submit(t, d, newTimeline().marking(0, nil)).ID())
		}
	})
}

// A panic becomes an error with its value and the stack of who panicked; it is not tried again (S-F7).
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3, On: func(error) bool { return true }}})
		for _, value := range []any{"oh", errBackend, fmt.Errorf("wrapped: %w", policy.Transient(errBackend)), nil} {
			line := newTimeline()
			failed := failure(t, submit(t, d, func(context.Context) (int, error) {
				line.mark()
				panicsHere(value)
				return 0, nil
			}))
			assert.Len(t, line.all(), 1)
			var panicked *job.PanicError
			require.ErrorAs(t, failed.Reason, &panicked)
			assert.Contains(t, string(panicked.Stack), "panicsHere")
			if value != nil {
				assert.Equal(t, value, panicked.Value)
			}
			if err, ok := value.(error); ok {
				assert.ErrorIs(t, failed, err)
			}
		}
		_, err := await(t, submit(t, d, newTimeline().marking(0, nil)))
		assert.NoError(t, err, "the worker lives on")
	})
}

//go:noinline
func panicsHere(value any) { panic(value) }

// Goexit becomes an error as well, and the one worker that there is lives on (S-F7).
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3, On: func(error) bool { return true }}})
		line := newTimeline()
		var all []*job.Future[int]
		for range 10 {
			all = append(all, submit(t, d, func(context.Context) (int, error) { line.mark(); runtime.Goexit(); return 0, nil }))
		}
		for _, f := range all {
			failed := failure(t, f)
			assert.Equal(t, job.ErrGoexit, failed.Reason)
			assert.Equal(t, 1, failed.Attempts)
		}
		assert.Len(t, line.all(), 10)
		_, err := await(t, submit(t, d, newTimeline().marking(0, nil)))
		assert.NoError(t, err)
	})
}

// A predicate that panics, or ends its goroutine, ends the job that it was asked about, and nothing else.
func TestPredicatePanics(t *testing.T) {
	for name, c := range map[string]struct {
		on   func(error) bool
		want func(t *testing.T, failed *job.Error)
	}{
		"panic": {func(error) bool { panic("oh") }, func(t *testing.T, failed *job.Error) {
			var panicked *job.PanicError
			assert.ErrorAs(t, failed, &panicked)
		}},
		"Goexit": {func(error) bool { runtime.Goexit(); return true }, func(t *testing.T, failed *job.Error) {
			assert.ErrorIs(t, failed, job.ErrGoexit)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3, On: c.on}})
				c.want(t, failure(t, submit(t, d, newTimeline().marking(0, errBackend))))
				_, err := await(t, submit(t, d, newTimeline().marking(0, nil)))
				assert.NoError(t, err)
			})
		})
	}
}

// Predicates run where the attempt ran, not on the scheduler goroutine, and may call any method (S-O1).
func TestPredicatesMayAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *dispatcher.Dispatcher
		var asked atomic.Int32
		ask := func(error) bool {
			asked.Add(1)
			assert.Equal(t, 1, d.Snapshot().Running)
			d.Pause()
			d.Resume()
			d.Reset("")
			assert.NotContains(t, string(debug.Stack()), schedulerFrame)
			return true
		}
		d = open(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 3, On: ask, StopOn: func(err error) bool { return !ask(err) }}})
		failed := failure(t, submit(t, d, newTimeline().marking(0, errBackend)))
		assert.ErrorIs(t, failed, job.ErrMaxRetriesExceeded)
		assert.Equal(t, int32(6), asked.Load())
	})
}

// schedulerFrame is in the stack of whatever runs on the scheduler goroutine.
const schedulerFrame = "dispatcher.(*Dispatcher).turn("

// nosy is an error that looks where its methods are called.
type nosy struct{ onScheduler *atomic.Bool }

func (e nosy) look() {
	if strings.Contains(string(debug.Stack()), schedulerFrame) {
		e.onScheduler.Store(true)
	}
}
func (e nosy) Error() string { e.look(); return "nosy" }
func (e nosy) Is(error) bool { e.look(); return false }
func (e nosy) Unwrap() error { e.look(); return nil }

// An error is user code, too: its methods may ask the dispatcher, so they are not called on the scheduler goroutine (S-O1).
func TestErrorsAreNotAskedOnTheScheduler(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, d *dispatcher.Dispatcher, err error){
		"of the function": func(t *testing.T, d *dispatcher.Dispatcher, err error) {
			failure(t, submit(t, d, newTimeline().marking(0, err)))
		},
		"marked": func(t *testing.T, d *dispatcher.Dispatcher, err error) {
			failure(t, submit(t, d, newTimeline().marking(0, policy.Throttled(err, time.Second))))
		},
		"after a timeout": func(t *testing.T, d *dispatcher.Dispatcher, err error) {
			failure(t, submit(t, d, func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, err }, dispatcher.WithTimeout(time.Second)))
		},
		"panicked": func(t *testing.T, d *dispatcher.Dispatcher, err error) {
			failure(t, submit(t, d, func(context.Context) (int, error) { panic(err) }))
		},
		"cause of a context": func(t *testing.T, d *dispatcher.Dispatcher, err error) {
			ctx, cancel := context.WithCancelCause(context.Background())
			future, refused := dispatcher.Submit(ctx, d, newTimeline().marking(time.Minute, nil))
			require.NoError(t, refused)
			synctest.Wait()
			cancel(err)
			failure(t, future)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Breaker: breaker(1)})
				onScheduler := new(atomic.Bool)
				run(t, d, nosy{onScheduler})
				require.NoError(t, d.WaitIdle(context.Background()))
				assert.False(t, onScheduler.Load())
			})
		})
	}
}

// nosyContext is a context that looks where its methods are called.
type nosyContext struct { //nolint:errname // it has an Err, and is a context
	context.Context
	nosy
}

func (c nosyContext) Err() error { c.look(); return c.Context.Err() }

func (c nosyContext) Value(key any) any { c.look(); return c.Context.Value(key) }

// The code behind contexts is not called on the scheduler goroutine either (S-O1).
func TestContextsAreNotAskedOnTheScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		onScheduler := new(atomic.Bool)
		for _, end := range []func(cancel context.CancelFunc, f *job.Future[int]){
			func(context.CancelFunc, *job.Future[int]) {},
			func(cancel context.CancelFunc, _ *job.Future[int]) { cancel() },
			func(_ context.CancelFunc, f *job.Future[int]) { f.Cancel() },
		} {
			ctx, cancel := context.WithCancel(context.Background())
			future, err := dispatcher.Submit(nosyContext{ctx, nosy{onScheduler}}, d, newTimeline().marking(time.Minute, errBackend))
			require.NoError(t, err)
			synctest.Wait()
			end(cancel, future)
			failure(t, future)
			cancel()
		}
		assert.False(t, onScheduler.Load())
	})
}
