package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// The context of an attempt that was kept has ended, whenever it is asked first: before the next attempt, during it or when
// the job is over. That of the attempt that runs has not.
func TestKeptContexts(t *testing.T) {
	for asked := range 5 { // in which second it is asked first
		for _, options := range [][]dispatcher.Option{nil, {dispatcher.WithTimeout(time.Hour)}, {dispatcher.WithDeadline(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))}} {
			t.Run(fmt.Sprintf("asked after %d s, %d options", asked, len(options)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Retry: exact(3, time.Second)})
					attempts := make(chan context.Context, 3)
					future := submit(t, d, func(ctx context.Context) (int, error) {
						attempts <- ctx
						time.Sleep(time.Second)
						return 0, policy.Transient(errBackend)
					}, options...)
					first := <-attempts // it runs from 0 to 1, the second from 2 to 3, the third from 4 to 5
					time.Sleep(time.Duration(asked)*time.Second + time.Second/2)
					kept := []context.Context{first}
					for len(attempts) > 0 {
						kept = append(kept, <-attempts)
					}
					require.Len(t, kept, 1+asked/2)
					for i, ctx := range kept {
						if i == asked/2 && asked%2 == 0 { // it runs
							assert.NoError(t, ctx.Err())
							assert.NoError(t, context.Cause(ctx))
							assert.False(t, closed(ctx.Done()))
							continue
						}
						assertEnded(ctx, t, context.Canceled, context.Canceled)
					}
					failure(t, future)
					for _, ctx := range kept {
						assertEnded(ctx, t, context.Canceled, context.Canceled)
					}
				})
			})
		}
	}
}

// The deadline of an attempt is the earliest of three: its context's, WithDeadline, and its own timeout; and each of them is
// when it ends, if it is the first.
func TestAttemptDeadlineIsTheEarliest(t *testing.T) {
	const none = 0
	for n := 1; n <= 2; n++ {
		for code := range 4 * 4 * 4 {
			ofCtx, ofOption, timeout := code%4, code/4%4, code/16 // in seconds from the attempt's beginning
			t.Run(fmt.Sprintf("attempt %d, context %d s, WithDeadline %d s, WithTimeout %d s", n, ofCtx, ofOption, timeout), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Retry: exact(n, time.Second)})
					begin := time.Now().Add(time.Duration(n-1) * time.Second)
					moment := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
					var want time.Time
					earlier := func(s int) {
						if s != none && (want.IsZero() || moment(s).Before(want)) {
							want = moment(s)
						}
					}
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					var options []dispatcher.Option
					if earlier(ofCtx); ofCtx != none {
						ctx, cancel = context.WithDeadline(ctx, moment(ofCtx))
						defer cancel()
					}
					if earlier(ofOption); ofOption != none {
						options = append(options, dispatcher.WithDeadline(moment(ofOption)))
					}
					if earlier(timeout); timeout != none {
						options = append(options, dispatcher.WithTimeout(time.Duration(timeout)*time.Second))
					}
					asked := make(chan struct{})
					future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
						if a, _ := job.AttemptFrom(ctx); a.N < n {
							return 0, policy.Transient(errBackend)
						}
						defer close(asked)
						at, ok := ctx.Deadline()
						assert.Equal(t, !want.IsZero(), ok)
						assert.True(t, want.Equal(at), "%v, want %v", at, want)
						select {
						case <-ctx.Done():
							assert.True(t, time.Now().Equal(want))
							assert.Equal(t, context.DeadlineExceeded, ctx.Err())
						case <-time.After(time.Minute):
							assert.Zero(t, want)
						}
						at, _ = ctx.Deadline()
						assert.True(t, want.Equal(at))
						return 0, nil
					}, options...)
					require.NoError(t, err)
					<-future.Done()
					<-asked
				})
			})
		}
	}
}

// An attempt's context has the values of the job's, those of the attempt of another dispatcher from which the job comes
// included; they stay when it has ended, and where it is freed of its end (S-O4).
func TestAttemptContextHasTheValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := open(t, dispatcher.Config{Name: "outer"}), open(t, dispatcher.Config{Name: "inner", Retry: exact(2, time.Second)})
		ctx := context.WithValue(t.Context(), attemptKey{}, "value")
		look := func(ctx context.Context, of string, n int) {
			a, ok := job.AttemptFrom(ctx)
			assert.True(t, ok)
			assert.Equal(t, of, a.Dispatcher)
			assert.Equal(t, n, a.N)
			assert.Equal(t, "value", ctx.Value(attemptKey{}))
			assert.Nil(t, ctx.Value("another"))
			assert.Nil(t, ctx.Value(nil))
			assert.True(t, job.Inside(ctx, "outer"))
			assert.Equal(t, of == "inner", job.Inside(ctx, "inner"))
		}
		var kept []context.Context
		_, err := dispatcher.Do(ctx, outer, func(ctx context.Context) (int, error) {
			look(ctx, "outer", 1)
			look(context.WithoutCancel(ctx), "outer", 1)
			runs := 0
			_, err := dispatcher.Do(ctx, inner, func(ctx context.Context) (int, error) {
				runs++
				kept = append(kept, ctx)
				child, cancel := context.WithCancel(context.WithValue(ctx, attemptKey{}, "value"))
				defer cancel()
				look(ctx, "inner", runs)
				look(child, "inner", runs)
				return 0, policy.Transient(errBackend)
			})
			return 0, err
		})
		require.ErrorIs(t, err, job.ErrMaxRetriesExceeded)
		require.Len(t, kept, 2)
		for i, ctx := range kept {
			look(ctx, "inner", i+1)
			look(context.WithoutCancel(ctx), "inner", i+1)
		}
	})
}

// Whoever asks first, of many at once and while the context is being ended: all get the same channel, an Err is never told
// before that is closed, and never changes (S-F1).
func TestAttemptContextAskedAtOnce(t *testing.T) {
	d := open(t, dispatcher.Config{Workers: 8})
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 0))
		ctx, cancel := context.WithCancelCause(context.Background())
		var options []dispatcher.Option
		if random.IntN(3) == 0 {
			options = append(options, dispatcher.WithTimeout(time.Duration(random.IntN(100))*time.Microsecond+1))
		}
		if random.IntN(3) == 0 {
			options = append(options, dispatcher.WithDeadline(time.Now().Add(time.Duration(100+random.IntN(100))*time.Microsecond)))
		}
		began := make(chan context.Context, 1)
		ends := random.IntN(2) == 0
		over := make(chan struct{})
		future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
			began <- ctx
			if !ends {
				<-over
			}
			return 0, nil
		}, options...)
		require.NoError(t, err)
		var attempt context.Context
		select {
		case attempt = <-began:
		case <-future.Done(): // its deadline was quicker
			close(over)
			cancel(nil)
			continue
		}
		var group sync.WaitGroup
		channels := make([]<-chan struct{}, 4)
		for i := range channels {
			way := random.IntN(4)
			group.Go(func() { channels[i] = askAtOnce(attempt, t, seed, way) })
		}
		first := random.IntN(2) == 0
		group.Go(func() {
			if first {
				future.Cancel()
			}
			cancel(errEnough)
		})
		group.Wait()
		close(over)
		for _, done := range channels {
			assert.Equal(t, channels[0], done, "seed %d", seed)
		}
		<-future.Done()
	}
}

// askAtOnce asks until ctx has ended. It returns its Done.
func askAtOnce(ctx context.Context, t *testing.T, seed uint64, way int) <-chan struct{} {
	switch way {
	case 0:
		<-ctx.Done()
	case 1:
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		<-child.Done()
	case 2:
		for ctx.Value(attemptKey{}) == nil && context.Cause(ctx) == nil {
			_, _ = ctx.Deadline()
		}
	default:
	}
	err := ctx.Err()
	for err == nil {
		err = ctx.Err()
	}
	done := ctx.Done()
	assert.True(t, closed(done), "seed %d: %v before Done is closed", seed, err)
	assert.Equal(t, err, ctx.Err(), "seed %d", seed)
	assert.Error(t, context.Cause(ctx), "seed %d", seed)
	return done
}

// To print a context is to name it, as with those of package context, and not to look at what others are writing.
func TestAttemptContextPrints(t *testing.T) {
	d := open(t, dispatcher.Config{Name: "bank", Retry: exact(2, time.Millisecond)})
	for id := range 100 {
		failure(t, submit(t, d, func(ctx context.Context) (int, error) {
			a, _ := job.AttemptFrom(ctx)
			want := fmt.Sprintf("attempt %d of job %d of dispatcher \"bank\"", a.N, 1+id)
			assert.Equal(t, want, fmt.Sprint(ctx))
			assert.Equal(t, want, fmt.Sprintf("%+v", ctx))
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			assert.Equal(t, want+".WithCancel", fmt.Sprint(child))
			return 0, policy.Transient(errBackend)
		}))
	}
}
