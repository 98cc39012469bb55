package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// The context of an attempt is made of the job, and lazily. Whoever holds it must not see that: it is a context like any of
// package context.

// errEnough is the cause that contexts are canceled with.
var errEnough = errors.New("enough")

// attemptEnd is one way for an attempt's context to end, one second after the attempt began.
type attemptEnd struct {
	name    string
	config  dispatcher.Config
	ctx     func(at time.Time) (context.Context, context.CancelCauseFunc) // nil: one that never ends
	options func(at time.Time) []dispatcher.Option
	act     func(d *dispatcher.Dispatcher, f *job.Future[int], cancel context.CancelCauseFunc) // when a second is over; nil: nothing
	end     func() (int, error)                                                                // then, in the function; nil: it runs on
	err     error
	cause   error
}

// cancelable returns a context with a cancel function, ended by nothing else.
func cancelable(time.Time) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(context.Background())
}

// due returns a context with a deadline, which knows of a cause.
func due(at time.Time) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithDeadlineCause(context.Background(), at, errEnough)
	return ctx, func(error) { cancel() }
}

func attemptEnds() []attemptEnd {
	canceled, late := context.Canceled, context.DeadlineExceeded
	cancel := func(cause error) func(*dispatcher.Dispatcher, *job.Future[int], context.CancelCauseFunc) {
		return func(_ *dispatcher.Dispatcher, _ *job.Future[int], cancel context.CancelCauseFunc) { cancel(cause) }
	}
	option := func(after time.Duration) func(time.Time) []dispatcher.Option {
		return func(at time.Time) []dispatcher.Option {
			return []dispatcher.Option{dispatcher.WithDeadline(at.Add(after))}
		}
	}
	timeout := func(time.Time) []dispatcher.Option { return []dispatcher.Option{dispatcher.WithTimeout(time.Second)} }
	return []attemptEnd{
		{name: "the job's context is canceled", ctx: cancelable, act: cancel(nil), err: canceled, cause: canceled},
		{name: "the job's context is canceled with a cause", ctx: cancelable, act: cancel(errEnough), err: canceled, cause: errEnough},
		{name: "the job's context has a deadline", ctx: due, err: late, cause: errEnough},
		{name: "the job's context has the earlier deadline", ctx: due, options: option(time.Second), err: late, cause: errEnough},
		{
			name: "Cancel", act: func(_ *dispatcher.Dispatcher, f *job.Future[int], _ context.CancelCauseFunc) { f.Cancel() },
			err: canceled, cause: canceled,
		},
		{
			name: "Close gives up", act: func(d *dispatcher.Dispatcher, _ *job.Future[int], _ context.CancelCauseFunc) {
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				_ = d.Close(ended)
			}, err: canceled, cause: job.ErrAborted,
		},
		{name: "WithDeadline", options: option(0), err: late, cause: late},
		{
			name: "WithDeadline is the earlier one", options: option(0), err: late, cause: late,
			ctx: func(at time.Time) (context.Context, context.CancelCauseFunc) { return due(at.Add(time.Second)) },
		},
		{name: "WithTimeout", options: timeout, err: late, cause: job.ErrAttemptTimeout},
		{name: "WithTimeout, of a context that can end", options: timeout, ctx: cancelable, err: late, cause: job.ErrAttemptTimeout},
		{name: "Config.Timeout", config: dispatcher.Config{Timeout: time.Second}, err: late, cause: job.ErrAttemptTimeout},
		{name: "the function returns", end: func() (int, error) { return 7, nil }, err: canceled, cause: canceled},
		{name: "the function fails", end: func() (int, error) { return 0, errBackend }, err: canceled, cause: canceled},
		{name: "the function panics", end: func() (int, error) { panic("oh") }, err: canceled, cause: canceled},
		{name: "the function calls Goexit", end: func() (int, error) { runtime.Goexit(); return 0, nil }, err: canceled, cause: canceled},
		{
			name: "the function is to be called again", end: func() (int, error) { return 0, policy.Transient(errBackend) }, err: canceled, cause: canceled,
		},
		{
			name: "the function returns within its time", end: func() (int, error) { return 7, nil }, ctx: cancelable,
			options: func(at time.Time) []dispatcher.Option {
				return []dispatcher.Option{dispatcher.WithTimeout(time.Hour), dispatcher.WithDeadline(at.Add(time.Hour))}
			}, err: canceled, cause: canceled,
		},
	}
}

type attemptKey struct{}

// askings are what an attempt's context may be asked while all is well. Each returns what is to be looked at once it has
// ended. None of them leaves a goroutine behind: the bubble would find it.
var askings = map[string]func(t *testing.T, ctx context.Context) (afterwards func(err, cause error)){
	"nothing": func(*testing.T, context.Context) func(error, error) { return func(error, error) {} },
	"Err": func(t *testing.T, ctx context.Context) func(error, error) {
		assert.NoError(t, ctx.Err())
		return func(error, error) {}
	},
	"Cause": func(t *testing.T, ctx context.Context) func(error, error) {
		assert.NoError(t, context.Cause(ctx))
		return func(error, error) {}
	},
	"Done": func(t *testing.T, ctx context.Context) func(error, error) {
		done := ctx.Done()
		assert.False(t, closed(done))
		return func(error, error) {
			assert.True(t, closed(done))
			assert.Equal(t, done, ctx.Done(), "always the same channel")
		}
	},
	"Value": func(t *testing.T, ctx context.Context) func(error, error) {
		assert.Nil(t, ctx.Value(attemptKey{}))
		return func(error, error) {}
	},
	"WithCancel": func(t *testing.T, ctx context.Context) func(error, error) {
		child, cancel := context.WithCancel(ctx)
		return func(err, cause error) {
			defer cancel()
			assertEnded(child, t, err, cause)
		}
	},
	"WithTimeout": func(t *testing.T, ctx context.Context) func(error, error) {
		child, cancel := context.WithTimeout(context.WithValue(ctx, attemptKey{}, 1), time.Hour)
		return func(err, cause error) {
			defer cancel()
			assertEnded(child, t, err, cause)
			assert.Equal(t, 1, child.Value(attemptKey{}))
		}
	},
	"AfterFunc": func(t *testing.T, ctx context.Context) func(error, error) {
		line := newTimeline()
		context.AfterFunc(ctx, func() { line.mark() })
		stop := context.AfterFunc(ctx, func() { line.mark() })
		assert.True(t, stop())
		return func(error, error) {
			assert.Equal(t, []time.Duration{line.now()}, line.all(), "at once, and once")
		}
	},
	"WithoutCancel": func(t *testing.T, ctx context.Context) func(error, error) {
		free := context.WithoutCancel(ctx)
		return func(error, error) {
			assert.NoError(t, free.Err())
			assert.Nil(t, free.Done())
			a, ok := job.AttemptFrom(free)
			assert.True(t, ok)
			assert.NotZero(t, a.N)
		}
	},
}

// However an attempt's context ends, and whatever it was asked before: Err and Cause say why, its Done is closed at that very
// moment, and so are those of all contexts made from it. That is so for the first attempt as for any other, for a Do as for a
// Submit (S-R8, S-F1, S-F6).
func TestAttemptContextEnds(t *testing.T) {
	for _, c := range attemptEnds() {
		for asking, ask := range askings {
			for n := 1; n <= 2; n++ {
				for _, do := range []bool{false, true} {
					if do && c.name == "Cancel" {
						continue // nobody has its future
					}
					t.Run(fmt.Sprintf("%s/%s/attempt %d/Do %t", c.name, asking, n, do), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { c.play(t, n, do, ask) })
					})
				}
			}
		}
	}
}

// play has attempt n end.
func (c *attemptEnd) play(t *testing.T, n int, do bool, ask func(*testing.T, context.Context) func(err, cause error)) {
	cfg := c.config
	cfg.Retry = exact(n+1, time.Second)
	d := open(t, cfg)
	at := time.Now().Add(time.Duration(n) * time.Second) // attempts are a second apart
	ctx, cancel := context.Background(), context.CancelCauseFunc(func(error) {})
	if c.ctx != nil {
		ctx, cancel = c.ctx(at)
	}
	defer cancel(nil)
	var options []dispatcher.Option
	if c.options != nil {
		options = c.options(at)
	}
	began := make(chan context.Context, 1)
	checked := make(chan struct{})
	runs := 0
	fn := func(ctx context.Context) (int, error) {
		runs++
		switch {
		case runs < n:
			return 0, policy.Transient(errBackend)
		case runs > n:
			return 7, nil
		}
		began <- ctx
		time.Sleep(time.Second)
		if c.end == nil {
			<-checked // deaf, so that nothing else ends its context
			return 7, nil
		}
		return c.end()
	}
	over := make(chan struct{})
	var future *job.Future[int]
	if do {
		go func() {
			defer close(over)
			_, _ = dispatcher.Do(ctx, d, fn, options...)
		}()
	} else {
		var err error
		future, err = dispatcher.Submit(ctx, d, fn, options...)
		require.NoError(t, err)
		close(over)
	}
	attempt := <-began
	require.Equal(t, at, time.Now().Add(time.Second))
	afterwards := ask(t, attempt)
	time.Sleep(time.Second - time.Nanosecond)
	synctest.Wait()
	later := ask(t, attempt) // until the last moment it is well
	time.Sleep(time.Nanosecond)
	synctest.Wait()
	if c.act != nil {
		c.act(d, future, cancel)
		synctest.Wait()
	}
	assertEnded(attempt, t, c.err, c.cause)
	afterwards(c.err, c.cause)
	later(c.err, c.cause)
	close(checked)
	<-over
	time.Sleep(time.Minute)
	assertEnded(attempt, t, c.err, c.cause) // and stays so, whatever became of the job
}

// assertEnded looks whether ctx has ended as it should have, and whether it says the same in every way of asking.
func assertEnded(ctx context.Context, t *testing.T, err, cause error) {
	t.Helper()
	assert.Equal(t, err, ctx.Err())
	assert.Equal(t, cause, context.Cause(ctx))
	assert.True(t, closed(ctx.Done()))
	assert.Equal(t, err, ctx.Err())
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	assert.Equal(t, err, child.Err(), "a context made of it now has ended as well")
	assert.Equal(t, cause, context.Cause(child))
}

// closed reports whether a channel is closed.
func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
