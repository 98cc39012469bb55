package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// S-F8: a job that waits, by any of the ways to wait, for jobs of its own dispatcher which cannot run beside it is told so at
// once, and the dispatcher goes on.
func TestAwaitInsideIsToldOfDeadlock(t *testing.T) {
	type waiting func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error
	future := func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) *job.Future[int] {
		f, err := dispatcher.Submit(context.WithoutCancel(ctx), d, line.marking(0, nil))
		if err != nil {
			panic(err)
		}
		return f
	}
	for name, c := range map[string]struct {
		wait waiting
		also error // that the error matches
		runs int   // how many of the inner jobs run in the end
	}{
		"Await": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			_, err := future(ctx, d, line).Await(ctx)
			return err
		}, job.ErrNotSettled, 1},
		"All": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			_, err := job.All(ctx, future(ctx, d, line), future(ctx, d, line))
			return err
		}, job.ErrNotSettled, 2},
		"First": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			_, err := job.First(ctx, future(ctx, d, line), future(ctx, d, line))
			return err
		}, job.ErrNotSettled, 2},
		"Do": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			_, err := dispatcher.Do(ctx, d, line.marking(0, nil))
			return err
		}, job.ErrCanceled, 0},
		"Map": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			var faults []error
			double := func(_ context.Context, n int) (int, error) { line.mark(); return 2 * n, nil }
			for item := range dispatcher.Map(ctx, d, numbers(100), double, nil, dispatcher.WithWindow(3)) {
				faults = append(faults, item.Err)
			}
			if len(faults) != 3 {
				panic(fmt.Sprint(len(faults), " elements came out"))
			}
			return errors.Join(faults...)
		}, job.ErrCanceled, 0},
		"by way of another dispatcher": {func(ctx context.Context, d *dispatcher.Dispatcher, line *timeline) error {
			other, err := dispatcher.New(dispatcher.Config{})
			if err != nil {
				panic(err)
			}
			defer other.Close(context.Background())
			_, err = dispatcher.Do(ctx, other, func(ctx context.Context) (int, error) { return future(ctx, d, line).Await(ctx) })
			return err
		}, job.ErrNotSettled, 1},
		"WaitIdle": {func(ctx context.Context, d *dispatcher.Dispatcher, _ *timeline) error { return d.WaitIdle(ctx) }, nil, 0},
		"Close":    {func(ctx context.Context, d *dispatcher.Dispatcher, _ *timeline) error { return d.Close(ctx) }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Workers: 1})
				line := newTimeline()
				told := submit(t, d, func(ctx context.Context) (error, error) {
					ctx, cancel := context.WithTimeout(ctx, time.Minute) // or a failure of this test would be a hang
					defer cancel()
					return c.wait(ctx, d, line), nil
				})
				err, failed := await(t, told)
				require.NoError(t, failed)
				assert.ErrorIs(t, err, job.ErrDeadlock)
				assert.NotErrorIs(t, err, job.ErrContextEnded)
				if c.also != nil {
					assert.ErrorIs(t, err, c.also)
				}
				assert.Zero(t, line.now(), "it was told at once")
				require.NoError(t, d.WaitIdle(t.Context()))
				assert.Len(t, line.all(), c.runs)
			})
		})
	}
}

// S-F8: nobody is told while there is a worker left to do what is waited for, whatever it waits for itself; and of those that
// wait for each other in the end, one is told, so that the others get what they wait for.
func TestAwaitInsideWithEnoughWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 3, Retry: exact(2, time.Second)})
		line := newTimeline()
		parent := func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			child, err := dispatcher.Submit(ctx, d, script(line, policy.Transient(errBackend)))
			if err != nil {
				return 0, err
			}
			return child.Await(ctx)
		}
		for range 2 { // two parents, and one worker for their children
			two := []*job.Future[int]{submit(t, d, parent), submit(t, d, parent)}
			_, err := job.All(t.Context(), two...)
			require.NoError(t, err)
		}
		three := []*job.Future[int]{submit(t, d, parent), submit(t, d, parent), submit(t, d, parent)}
		deadlocks := 0
		for _, result := range job.Settled(t.Context(), three...) {
			if errors.Is(result.Err, job.ErrDeadlock) {
				deadlocks++
				continue
			}
			require.NoError(t, result.Err)
		}
		assert.Equal(t, 1, deadlocks)
	})
}

// S-F8, S-C3: it is told also when what makes it one is that there are fewer workers from now on.
func TestFewerWorkersAreADeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2})
		line := newTimeline()
		parent := submit(t, d, func(ctx context.Context) (int, error) {
			child, err := dispatcher.Submit(ctx, d, line.marking(0, nil), dispatcher.WithDelay(time.Minute))
			if err != nil {
				return 0, err
			}
			return child.Await(ctx)
		})
		time.Sleep(time.Second)
		assert.False(t, settled(parent))
		require.NoError(t, d.SetWorkers(1))
		_, err := parent.Await(t.Context())
		assert.ErrorIs(t, err, job.ErrDeadlock)
		assert.Equal(t, time.Second, line.now())
	})
}

// S-F8, S-C3: there being fewer workers, it may become one only when something else has ended that made no room.
func TestFewerWorkersAreADeadlockOnceOthersHaveEnded(t *testing.T) {
	for name, fewer := range map[string]func(d *dispatcher.Dispatcher) error{
		"of all":     func(d *dispatcher.Dispatcher) error { return d.SetWorkers(1) },
		"of a key":   func(d *dispatcher.Dispatcher) error { return d.SetKeyWorkers(1) },
		"of a group": func(d *dispatcher.Dispatcher) error { return d.SetGroupWorkers("g", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Workers: 2, KeyWorkers: 2, Groups: []dispatcher.Group{{Name: "g", Workers: 2}}})
				line := newTimeline()
				parent := submit(t, d, func(ctx context.Context) (int, error) {
					time.Sleep(time.Second) // until the other runs, too
					ctx, cancel := context.WithTimeout(ctx, time.Minute)
					defer cancel()
					child, err := dispatcher.Submit(ctx, d, line.marking(0, nil), dispatcher.WithGroup("g"))
					if err != nil {
						return 0, err
					}
					return child.Await(ctx)
				}, dispatcher.WithGroup("g"))
				other := submit(t, d, line.marking(3*time.Second, nil), dispatcher.WithGroup("g"))
				time.Sleep(2 * time.Second)
				require.NoError(t, fewer(d))
				time.Sleep(500 * time.Millisecond)
				assert.False(t, settled(parent), "the other job may make room")
				_, err := parent.Await(t.Context())
				assert.ErrorIs(t, err, job.ErrDeadlock)
				assert.Equal(t, 3*time.Second, line.now())
				assert.True(t, settled(other))
			})
		})
	}
}

// S-F8: a job that has called a Do waits with it for whatever that waits for: the innermost of nested ones is told, at any depth,
// be some of the jobs between them submitted and awaited.
func TestNestedDoIsToldOfDeadlock(t *testing.T) {
	type call func(ctx context.Context, d *dispatcher.Dispatcher, fn job.Func[int]) (int, error)
	do := func(ctx context.Context, d *dispatcher.Dispatcher, fn job.Func[int]) (int, error) {
		return dispatcher.Do(ctx, d, fn)
	}
	await := func(ctx context.Context, d *dispatcher.Dispatcher, fn job.Func[int]) (int, error) {
		f, err := dispatcher.Submit(ctx, d, fn)
		if err != nil {
			return 0, err
		}
		return f.Await(ctx)
	}
	other := func(ctx context.Context, d *dispatcher.Dispatcher, fn job.Func[int]) (int, error) {
		between, err := dispatcher.New(dispatcher.Config{})
		if err != nil {
			return 0, err
		}
		defer between.Close(context.Background())
		return dispatcher.Do(ctx, between, func(ctx context.Context) (int, error) { return dispatcher.Do(ctx, d, fn) })
	}
	for name, calls := range map[string][]call{
		"Do":                            {do},
		"by turns with Submit":          {do, await},
		"by way of another dispatcher":  {other},
		"Do, then Submit all the way":   {do, await, await, await},
		"Submit, then Do all the way":   {await, do, do, do},
		"another dispatcher every time": {other, await, do},
	} {
		for workers := 1; workers <= 4; workers++ {
			t.Run(fmt.Sprint(name, ", ", workers, " workers"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Workers: workers})
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // or a failure of this test would be a hang
					defer cancel()
					line := newTimeline()
					deepest, told := 0, 0
					var nest func(depth int) job.Func[int]
					nest = func(depth int) job.Func[int] {
						return func(ctx context.Context) (int, error) {
							time.Sleep(time.Millisecond) // until who has called waits: the latest to do so is told
							deepest = max(deepest, depth)
							_, err := calls[depth%len(calls)](ctx, d, nest(depth+1))
							if errors.Is(err, job.ErrDeadlock) && depth == workers {
								told++
								return depth, nil
							}
							return depth, err
						}
					}
					_, err := calls[0](ctx, d, nest(1))
					require.NoError(t, err)
					assert.Equal(t, workers, deepest, "as many run as there are workers")
					assert.Equal(t, 1, told, "the innermost")
					assert.Equal(t, time.Duration(workers)*time.Millisecond, line.now(), "at once")
				})
			})
		}
	}
}

// S-F8: where a job has several Dos under way, no more of what they wait for is ended than it takes.
func TestNestedDosSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 3})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		line := newTimeline()
		side := func(ctx context.Context) (int, error) {
			time.Sleep(time.Second) // until the other runs, too
			return dispatcher.Do(ctx, d, line.marking(0, nil))
		}
		errs, err := dispatcher.Do(ctx, d, func(ctx context.Context) ([]error, error) {
			errs := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := dispatcher.Do(ctx, d, side)
					errs <- err
				}()
			}
			return []error{<-errs, <-errs}, nil
		})
		require.NoError(t, err)
		if errs[0] == nil { // whose goroutine is held up is not said
			errs[0], errs[1] = errs[1], errs[0]
		}
		require.ErrorIs(t, errs[0], job.ErrDeadlock)
		require.NoError(t, errs[1])
		assert.Equal(t, []time.Duration{time.Second}, line.all())
	})
}

// S-F8: who has the value of a Stream goes on. It does not wait for what the rest waits for.
func TestStreamDoesNotKeepItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2})
		line := newTimeline()
		told := make(chan error, 1)
		outer := submit(t, d, func(ctx context.Context) (int, error) {
			stream := func(ctx context.Context) (int, func() error, error) {
				return 1, func() error {
					_, err := dispatcher.Do(ctx, d, line.marking(0, nil))
					told <- err
					return err
				}, nil
			}
			value, err := dispatcher.Stream(context.WithoutCancel(ctx), d, stream)
			time.Sleep(time.Second)
			return value, err
		})
		_, err := outer.Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-told)
		assert.Equal(t, []time.Duration{time.Second}, line.all(), "once the outer job has ended")
	})
}

// S-F8: nor does he wait any more for what the function of the Stream waits for when it returns.
func TestStreamReleasesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 3})
		line := newTimeline()
		produced := make(chan error, 1)
		outer := submit(t, d, func(ctx context.Context) (int, error) {
			value, err := dispatcher.Stream(context.WithoutCancel(ctx), d, func(ctx context.Context) (int, func() error, error) {
				go func() {
					_, err := dispatcher.Do(ctx, d, line.marking(0, nil))
					produced <- err
				}()
				time.Sleep(time.Millisecond) // until that waits
				return 1, func() error { return <-produced }, nil
			})
			time.Sleep(time.Second)
			return value, err
		})
		full := submit(t, d, func(ctx context.Context) (int, error) {
			time.Sleep(10 * time.Millisecond)
			f, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
			if err != nil {
				return 0, err
			}
			return f.Await(ctx)
		})
		_, err := await(t, outer)
		require.NoError(t, err)
		_, err = await(t, full)
		require.NoError(t, err)
		require.NoError(t, d.WaitIdle(t.Context()))
		assert.Len(t, line.all(), 2)
	})
}
