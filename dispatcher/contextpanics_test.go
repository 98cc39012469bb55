package dispatcher_test

import (
	"context"
	"fmt"
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

// touchyContext panics when it is asked for something for the nth time, or from then on.
type touchyContext struct {
	context.Context
	what    string
	calls   atomic.Int32
	nth     atomic.Int32 // 0: never
	forever bool
}

func (c *touchyContext) touch(what string) {
	if what != c.what {
		return
	}
	if n, nth := c.calls.Add(1), c.nth.Load(); nth > 0 && (n == nth || c.forever && n > nth) {
		panic(errOwn)
	}
}

func (c *touchyContext) Err() error { c.touch("Err"); return c.Context.Err() }

func (c *touchyContext) Value(key any) any { c.touch("Value"); return c.Context.Value(key) }

func (c *touchyContext) Done() <-chan struct{} { c.touch("Done"); return c.Context.Done() }

func (c *touchyContext) Deadline() (time.Time, bool) {
	c.touch("Deadline")
	return c.Context.Deadline()
}

// A context that panics harms its own job only, whoever asks it: the one who submits gets the panic, or the job ends with it.
// No worker is lost, and no room (S-F1, S-F7).
func TestContextPanics(t *testing.T) {
	for _, what := range []string{"Err", "Value", "Done", "Deadline"} {
		for nth := int32(1); nth <= 8; nth++ {
			for _, forever := range []bool{false, true} {
				for _, do := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/call %d/forever %t/Do %t", what, nth, forever, do), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							d := open(t, dispatcher.Config{Workers: 1, Queue: 1, Retry: exact(2, time.Second)})
							inner, cancel := context.WithCancel(context.Background())
							defer cancel()
							touchy := &touchyContext{Context: inner, what: what, forever: forever}
							touchy.nth.Store(nth)
							touchContext(t, d, touchy, do)
							idle, cancelIdle := context.WithTimeout(context.Background(), patience)
							defer cancelIdle()
							require.NoError(t, d.WaitIdle(idle), "nothing is left")
							other, err := dispatcher.TrySubmit(context.Background(), d, newTimeline().marking(0, nil))
							require.NoError(t, err, "there is room")
							_, err = await(t, other)
							require.NoError(t, err)
							require.NoError(t, d.Close(idle))
							assert.Zero(t, dispatcher.Watches(d))
						})
					})
				}
			}
		}
	}
}

// What a context panics with when it has ended is for nobody but its job, which is canceled.
func TestContextPanicsWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		inner, cancel := context.WithCancel(context.Background())
		touchy := &touchyContext{Context: inner, what: "Err"}
		deaf := func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil }
		first, err := dispatcher.Submit(touchy, d, deaf)
		require.NoError(t, err)
		second, err := dispatcher.Submit(touchy, d, deaf)
		require.NoError(t, err)
		synctest.Wait()
		touchy.nth.Store(touchy.calls.Load() + 1)
		cancel()
		assert.ErrorIs(t, failure(t, first), job.ErrCanceled)
		assert.ErrorIs(t, failure(t, second), job.ErrCanceled)
	})
}

// A watch that nobody needs any more is ended by whoever submits next: what its context panics with is not for him.
func TestContextPanicsWhenItIsLeft(t *testing.T) {
	for _, what := range []string{"Done", "Value"} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{})
			inner, cancel := context.WithCancel(context.Background())
			defer cancel()
			touchy := &touchyContext{Context: inner, what: what}
			f, err := dispatcher.Submit(touchy, d, newTimeline().marking(0, nil))
			require.NoError(t, err)
			succeed(t, f)
			synctest.Wait()
			touchy.forever = true
			touchy.nth.Store(1)
			ctx, cancelNext := context.WithCancel(context.Background())
			defer cancelNext()
			next, err := dispatcher.Submit(ctx, d, newTimeline().marking(0, nil))
			require.NoError(t, err)
			succeed(t, next)
		})
	}
}

// touchContext has a job of two attempts that asks for everything, with a context that panics sooner or later. The panic may come
// where the job is submitted; otherwise it is the job's end.
func touchContext(t *testing.T, d *dispatcher.Dispatcher, ctx *touchyContext, do bool) {
	fn := func(ctx context.Context) (int, error) {
		_, _ = ctx.Deadline()
		_, _, _ = ctx.Err(), ctx.Value(attemptKey{}), ctx.Done()
		a, _ := job.AttemptFrom(ctx)
		if a.N == 1 {
			return 0, policy.Transient(errBackend)
		}
		return 7, nil
	}
	accepted := false
	defer func() {
		if !accepted {
			assert.Equal(t, any(errOwn), recover())
		}
	}()
	var value int
	var err error
	if do {
		value, err = dispatcher.Do(ctx, d, fn)
		accepted = true
	} else {
		future, refused := dispatcher.Submit(ctx, d, fn)
		accepted = true
		require.NoError(t, refused)
		value, err = await(t, future)
	}
	if err == nil {
		assert.Equal(t, 7, value)
		return
	}
	var panicked *job.PanicError
	require.ErrorAs(t, err, &panicked)
	assert.Equal(t, any(errOwn), panicked.Value)
}

// A context that panics when it is asked to forget one below it does not keep others from being told of their end (S-F6).
func TestContextPanicsWhileOthersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		inner, cancel := context.WithCancel(context.Background())
		defer cancel()
		touchy := &touchyContext{Context: inner, what: "Value", forever: true}
		line := newTimeline()
		told := func(name string) job.Func[int] {
			return func(ctx context.Context) (int, error) { <-ctx.Done(); line.note(name); return 0, ctx.Err() }
		}
		first, err := dispatcher.Submit(touchy, d, told("first"))
		require.NoError(t, err)
		synctest.Wait()
		second := submit(t, d, told("second"))
		synctest.Wait()
		time.Sleep(time.Second)
		touchy.nth.Store(1)
		ended, cancelClose := context.WithCancel(context.Background())
		cancelClose()
		require.ErrorIs(t, d.Close(ended), job.ErrAborted)
		failure(t, first)
		failure(t, second)
		synctest.Wait()
		assert.ElementsMatch(t, []string{"first", "second"}, line.order())
		assert.Equal(t, seconds(1, 1), line.all())
	})
}

// A Submit that waits for room asks its context for its end before it stands in line, so that one that panics leaves no gap.
func TestContextPanicsWhileWaitingForRoom(t *testing.T) {
	for _, what := range []string{"Value", "Done"} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Queue: 1})
			submit(t, d, newTimeline().marking(time.Second, nil))
			inner, cancel := context.WithCancel(context.Background())
			defer cancel()
			touchy := &touchyContext{Context: inner, what: what, forever: true}
			touchy.nth.Store(map[string]int32{"Value": 1, "Done": 2}[what])
			assert.PanicsWithValue(t, errOwn, func() {
				_, _ = dispatcher.Submit(touchy, d, newTimeline().marking(0, nil))
			})
			time.Sleep(2 * time.Second)
			_, err := dispatcher.TrySubmit(context.Background(), d, newTimeline().marking(0, nil))
			assert.NoError(t, err, "there is room")
		})
	}
}

// The context of the first attempt has ended, though the second could not begin because the job's context panicked.
func TestKeptContextWhereTheNextCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(2, time.Second)})
		touchy := &touchyContext{Context: context.Background(), what: "Err", forever: true}
		kept := make(chan context.Context, 1)
		future, err := dispatcher.Submit(touchy, d, func(ctx context.Context) (int, error) {
			kept <- ctx
			return 0, policy.Transient(errBackend)
		})
		require.NoError(t, err)
		first := <-kept
		synctest.Wait()
		touchy.nth.Store(1)
		var panicked *job.PanicError
		require.ErrorAs(t, failure(t, future), &panicked)
		touchy.nth.Store(0)
		assertEnded(first, t, context.Canceled, context.Canceled)
	})
}
