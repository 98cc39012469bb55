package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
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

// lasting returns a StreamFunc whose rest takes so long and returns err; it heeds its context.
func lasting(rest time.Duration, err error) dispatcher.StreamFunc[int] {
	return func(ctx context.Context) (int, func() error, error) {
		return 7, func() error { return wait(ctx, rest, err) }, nil
	}
}

// S-C1: the caller has the value at once, and the attempt keeps its worker until the rest is over. WaitIdle and Close wait for that.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		line := newTimeline()
		value, err := dispatcher.Stream(context.Background(), d, lasting(5*time.Second, nil))
		require.NoError(t, err)
		assert.Equal(t, 7, value)
		assert.Zero(t, line.now())
		assert.Equal(t, 1, snapshot(d).Running)

		f := submit(t, d, line.marking(0, nil))
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, seconds(5), line.all())
		assert.True(t, settled(f))

		_, err = dispatcher.Stream(context.Background(), d, lasting(5*time.Second, nil))
		require.NoError(t, err)
		require.NoError(t, d.Close(context.Background()))
		assert.Equal(t, 10*time.Second, line.now())
	})
}

// What fails before the value is tried again by the rules; what fails after it is not, though it counts for the circuit.
func TestStreamFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		d := open(t, dispatcher.Config{Name: "streams", Retry: exact(5, time.Second), Breaker: breaker(3), OnEvent: r.hear})
		value, err := dispatcher.Stream(context.Background(), d, func(ctx context.Context) (int, func() error, error) {
			if a, _ := job.AttemptFrom(ctx); a.N == 1 {
				return 0, func() error { panic("not called") }, policy.Transient(errBackend)
			}
			return lasting(3*time.Second, policy.Transient(errors.New("broke off")))(ctx)
		})
		require.NoError(t, err)
		assert.Equal(t, 7, value)
		require.NoError(t, d.WaitIdle(context.Background()))
		_, err = dispatcher.Stream(context.Background(), d, lasting(0, policy.Transient(errBackend)))
		require.NoError(t, err)
		require.NoError(t, d.WaitIdle(context.Background()))
		synctest.Wait()
		assert.Equal(t, []string{
			`1 0s attempt started job 1 #1`,
			`2 0s attempt ended job 1 #1: backend says no`,
			`3 0s job waiting job 1 #0 until 1s`,
			`4 1s attempt started job 1 #2`,
			`5 4s attempt ended job 1 #2: broke off`,
			`6 4s job settled job 1 #2: job 1 of dispatcher "streams": failed (with an error that is not tried again), after 2 attempts: broke off`,
			`7 4s attempt started job 2 #1`,
			`8 4s attempt ended job 2 #1: backend says no`,
			`9 4s circuit opened job 2 #0 until 34s`,
			`10 4s job settled job 2 #1: job 2 of dispatcher "streams": failed (with an error that is not tried again), after 1 attempt: backend says no`,
		}, r.lines())
	})
}

// Without a rest it is a Do, with its errors. OnResult is asked of such a value only: of another, the caller has the beginning.
func TestStreamThatIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := exact(3, time.Second)
		retry.OnResult = func(v any) bool { return v.(int) < 3 }
		d := open(t, dispatcher.Config{Retry: retry})
		line := newTimeline()
		value, err := dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) { return line.mark(), nil, nil })
		require.NoError(t, err)
		assert.Equal(t, 3, value)
		assert.Equal(t, seconds(0, 1, 2), line.all())

		value, err = dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) {
			return 1, func() error { return nil }, nil
		})
		require.NoError(t, err)
		assert.Equal(t, 1, value)

		_, err = dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) {
			return 0, nil, policy.Fatal(errBackend)
		})
		assert.ErrorIs(t, asJobError(t, err), errBackend)

		_, err = dispatcher.Stream[int](context.Background(), d, nil)
		assert.ErrorIs(t, err, dispatcher.ErrNilFunc)
		_, err = dispatcher.Stream(context.Background(), nil, lasting(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrNilDispatcher)
	})
}

// The context of the attempt is the rest's as well: it ends with the job's, at Stop's end of patience, and when the attempt's time is up.
func TestStreamContext(t *testing.T) {
	ends := func(t *testing.T, cfg dispatcher.Config, ctx context.Context, act func(d *dispatcher.Dispatcher)) error {
		t.Helper()
		cause := make(chan error, 1)
		d := open(t, cfg)
		_, err := dispatcher.Stream(ctx, d, func(ctx context.Context) (int, func() error, error) {
			return 7, func() error { <-ctx.Done(); cause <- context.Cause(ctx); return ctx.Err() }, nil
		})
		require.NoError(t, err)
		act(d)
		defer func() { assert.NoError(t, d.WaitIdle(context.Background())) }()
		return <-cause
	}
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		assert.Equal(t, why, ends(t, dispatcher.Config{}, ctx, func(*dispatcher.Dispatcher) { cancel(why) }))
	})
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		got := ends(t, dispatcher.Config{Timeout: 3 * time.Second, OnEvent: r.hear}, context.Background(), func(*dispatcher.Dispatcher) {})
		assert.Equal(t, job.ErrAttemptTimeout, got)
		assert.Equal(t, 3*time.Second, time.Since(r.start))
		synctest.Wait()
		assert.ErrorIs(t, r.events[1].Err, job.ErrAttemptTimeout, "%v", r.lines())
	})
	synctest.Test(t, func(t *testing.T) {
		got := ends(t, dispatcher.Config{}, context.Background(), func(d *dispatcher.Dispatcher) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			assert.ErrorIs(t, d.Stop(ctx), job.ErrAborted)
		})
		assert.Equal(t, job.ErrAborted, got)
	})
}

// The rest may say what the attempt has really cost (S-L5), and nothing else gets that back.
func TestStreamSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "tokens", Rate: policy.PerDay(1), Burst: 100, Settled: true}}})
		_, err := dispatcher.Stream(context.Background(), d, func(ctx context.Context) (int, func() error, error) {
			return 7, func() error {
				a, _ := job.AttemptFrom(ctx)
				return a.Settle("tokens", 10)
			}, nil
		}, dispatcher.WithCost("tokens", 60))
		require.NoError(t, err)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.InDelta(t, 90, snapshot(d).Limits[0].Level, 0)
	})
}

// S-F7: a panic before the value is its error; one of the rest is told to listeners. Goexit costs nobody a worker.
func TestStreamPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		d := open(t, dispatcher.Config{Workers: 1, OnEvent: r.hear})
		_, err := dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) { panic("oh") })
		var panicked *job.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.Contains(t, string(panicked.Stack), "TestStreamPanics")

		for _, rest := range []func() error{func() error { panic("late") }, func() error { runtime.Goexit(); return nil }} {
			_, err = dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) { return 7, rest, nil })
			require.NoError(t, err)
		}
		ended := make(chan bool, 1)
		go func() {
			returned := false
			defer func() { ended <- returned }()
			_, _ = dispatcher.Stream(context.Background(), d, func(context.Context) (int, func() error, error) { runtime.Goexit(); return 0, nil, nil })
			returned = true
		}()
		assert.False(t, <-ended)
		require.NoError(t, d.WaitIdle(context.Background()))
		synctest.Wait()
		var told []string
		for _, e := range r.events {
			if e.Kind == dispatcher.AttemptEnded {
				told = append(told, e.Err.Error())
			}
		}
		assert.Equal(t, []string{"the function panicked: oh", "the function panicked: late", job.ErrGoexit.Error(), job.ErrGoexit.Error()}, told)
	})
}

// asked is a context that tells when it is asked for its error, once that is wanted.
type asked struct {
	context.Context
	wanted atomic.Bool
	tell   func()
}

func (a *asked) Err() error {
	if a.wanted.CompareAndSwap(true, false) {
		a.tell()
	}
	return a.Context.Err()
}

// The context of an attempt ends when nothing can make it a canceled one any more: it has been seen that the job's own context has not
// ended, and the end has been handed back.
func TestStreamContextEndsLast(t *testing.T) {
	t.Run("asked for at the start", func(t *testing.T) { testStreamContextEndsLast(t, true) })
	t.Run("asked for at the end", func(t *testing.T) { testStreamContextEndsLast(t, false) })
}

func testStreamContextEndsLast(t *testing.T, early bool) {
	d := open(t, dispatcher.Config{})
	closed, seen := make(chan struct{}), make(chan bool)
	var attempt context.Context
	hasEnded := func() bool {
		select {
		case <-attempt.Done():
			return true
		default:
			return false
		}
	}
	ctx := &asked{Context: t.Context(), tell: func() { seen <- hasEnded() }}
	_, err := dispatcher.Stream(ctx, d, func(ctx context.Context) (int, func() error, error) {
		if attempt = ctx; early {
			ctx.Done()
		}
		return 7, func() error { <-closed; return nil }, nil
	})
	require.NoError(t, err)
	release := dispatcher.HoldPosts(d)
	ctx.wanted.Store(true)
	close(closed)
	assert.False(t, <-seen, "before the job's context was asked")
	time.Sleep(10 * time.Millisecond) // enough to be too early in
	assert.False(t, hasEnded(), "before the end was handed back")
	release()
	<-attempt.Done()
}
