package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
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

// Contexts are an interface, and jobs may have any: of types that package context does not know, and of some that misbehave.

// errOwn is what a context of the caller's own making ends with.
var errOwn = errors.New("own")

// ownContext is a context of the caller's own making, with nothing of package context in it.
type ownContext struct {
	done chan struct{}
	mu   sync.Mutex
	err  error // guarded by mu
}

func newOwnContext() *ownContext { return &ownContext{done: make(chan struct{})} }

func (c *ownContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *ownContext) Done() <-chan struct{}       { return c.done }
func (c *ownContext) Value(any) any               { return nil }

func (c *ownContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *ownContext) end() { c.endWith(errOwn) }

func (c *ownContext) endWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// callingContext is an ownContext that calls those who want to know of its end, so that package context needs no goroutine.
type callingContext struct {
	*ownContext
	after map[int]func() // guarded by mu
	count int            // guarded by mu
}

func newCallingContext() *callingContext {
	return &callingContext{ownContext: newOwnContext(), after: make(map[int]func())}
}

func (c *callingContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.count
	c.count++
	c.after[i] = f
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[i]
		delete(c.after, i)
		return ok
	}
}

func (c *callingContext) end() { c.endWith(errOwn) }

func (c *callingContext) endWith(err error) {
	c.ownContext.endWith(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.after {
		go f()
	}
	clear(c.after)
}

// called returns how many functions wait for its end.
func (c *callingContext) called() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.after)
}

// ownDone is a context of package context with an end of the caller's own.
type ownDone struct {
	context.Context
	own *ownContext
}

func (c ownDone) Done() <-chan struct{} { return c.own.Done() }
func (c ownDone) Err() error            { return c.own.Err() }

// ownContexts makes contexts of all these types, and what ends them.
var ownContexts = map[string]func(t *testing.T) (ctx context.Context, end func()){
	"own": func(*testing.T) (context.Context, func()) { c := newOwnContext(); return c, c.end },
	"calling": func(*testing.T) (context.Context, func()) {
		c := newCallingContext()
		return c, c.end
	},
	"own Done of one that never ends": func(*testing.T) (context.Context, func()) {
		c := newOwnContext()
		return ownDone{context.Background(), c}, c.end
	},
	"own Done of one that could end": func(t *testing.T) (context.Context, func()) {
		c := newOwnContext()
		return ownDone{t.Context(), c}, c.end
	},
}

// An attempt that ends because the deadline of the caller's context has come is told of a deadline, whoever is quicker to end it: what
// passes that on, or the dispatcher, which is told at the same moment.
func TestDeadlineOfACallersOwnContext(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{})
			ctx, ends := newCallingContext(), make(chan error, 1)
			future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				ends <- ctx.Err()
				return 0, nil
			})
			require.NoError(t, err)
			synctest.Wait()
			ctx.endWith(context.DeadlineExceeded)
			require.Equal(t, context.DeadlineExceeded, <-ends)
			<-future.Done()
		})
	}
}

// An attempt's context ends with the job's, whatever type that has, and of the same cause; and nothing is left behind: the
// bubble would find a goroutine that waits.
func TestAttemptOfACallersOwnContext(t *testing.T) {
	for name, newContext := range ownContexts {
		for asking, ask := range askings {
			for _, ends := range []string{"the context", "the attempt", "both at once"} {
				t.Run(fmt.Sprintf("%s/%s/%s ends", name, asking, ends), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := open(t, dispatcher.Config{})
						ctx, end := newContext(t)
						began, returned := make(chan context.Context, 1), make(chan struct{})
						future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
							began <- ctx
							time.Sleep(time.Second)
							if ends == "the context" {
								<-returned
							}
							return 7, nil
						})
						require.NoError(t, err)
						attempt := <-began
						afterwards := ask(t, attempt)
						time.Sleep(time.Second)
						switch ends {
						case "the context":
							end()
							synctest.Wait()
							err := attempt.Err() // whoever is quicker: package context, which passes it on, or the dispatcher
							assert.Contains(t, []error{errOwn, context.Canceled}, err)
							assertEnded(attempt, t, err, errOwn)
							afterwards(err, errOwn)
						case "the attempt":
							synctest.Wait()
							assertEnded(attempt, t, context.Canceled, context.Canceled)
							afterwards(context.Canceled, context.Canceled)
						default:
							end()
						}
						close(returned)
						value, err := await(t, future)
						switch ends {
						case "the context":
							assert.ErrorIs(t, err, job.ErrCanceled)
							assert.ErrorIs(t, err, errOwn)
						case "the attempt":
							assert.NoError(t, err)
							assert.Equal(t, 7, value)
						default:
							assert.Equal(t, err == nil, value == 7)
						}
					})
				})
			}
		}
	}
}

// hastyContext ends while it is asked for its Err, and after somebody has asked the attempt's context for something: whoever
// asked has an answer that others cannot have yet.
type hastyContext struct {
	*ownContext
	meanwhile atomic.Pointer[func()]
}

func (c *hastyContext) Err() error {
	if do := c.meanwhile.Swap(nil); do != nil {
		(*do)()
		c.end()
	}
	return c.ownContext.Err()
}

// Err is nil as long as Done is not closed, as package context has it, though the job's context has ended a moment ago.
func TestAttemptErrComesWithDone(t *testing.T) {
	d := open(t, dispatcher.Config{Retry: exact(2, time.Millisecond)})
	for range 100 {
		ctx := &hastyContext{ownContext: newOwnContext()}
		future, err := dispatcher.Submit(ctx, d, func(attempt context.Context) (int, error) {
			if a, _ := job.AttemptFrom(attempt); a.ID%2 == 0 && a.N == 1 {
				return 0, policy.Transient(errBackend)
			}
			ask := func() { attempt.Done() }
			ctx.meanwhile.Store(&ask)
			if err := attempt.Err(); err != nil {
				assert.True(t, closed(attempt.Done()), "Err is %v", err)
			}
			<-attempt.Done()
			assert.Error(t, attempt.Err())
			assert.Equal(t, errOwn, context.Cause(attempt))
			return 0, nil
		})
		require.NoError(t, err)
		failure(t, future)
	}
}
