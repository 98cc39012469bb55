package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// Of contexts whose jobs are over, the latest stays watched until another comes or the dispatcher is closed. No more.
func TestOneWatchIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 2})
		run := func(ctx context.Context, takes time.Duration) *job.Future[int] {
			future, err := dispatcher.Submit(ctx, d, newTimeline().marking(takes, nil))
			require.NoError(t, err)
			return future
		}
		var contexts []*callingContext
		for range 5 {
			contexts = append(contexts, newCallingContext())
		}
		watched := func(want ...int) {
			t.Helper()
			synctest.Wait()
			var got []int
			for _, c := range contexts {
				got = append(got, c.called())
			}
			assert.Equal(t, want, got)
		}
		// Each job takes a moment: one that is over before its Submit has looked at its context is not watched at all.
		await(t, run(contexts[0], time.Millisecond))
		watched(1, 0, 0, 0, 0)
		await(t, run(contexts[0], time.Millisecond))
		watched(1, 0, 0, 0, 0)
		await(t, run(contexts[1], time.Millisecond))
		watched(0, 1, 0, 0, 0)
		long := run(contexts[2], time.Second)
		watched(0, 0, 2, 0, 0) // itself, and its attempt's Done
		short := run(contexts[3], time.Millisecond)
		await(t, short)
		watched(0, 0, 2, 1, 0)
		await(t, run(contexts[2], time.Millisecond)) // it is the latest again, and the other is nobody's
		watched(0, 0, 2, 0, 0)
		await(t, long)
		watched(0, 0, 1, 0, 0)
		contexts[2].end()
		watched(0, 0, 0, 0, 0)
		await(t, run(contexts[4], time.Millisecond))
		watched(0, 0, 0, 0, 1)
		require.NoError(t, d.Close(context.Background()))
		watched(0, 0, 0, 0, 0)
	})
}

// slowDone is a context that does something when it is asked for its Done for the nth time.
type slowDone struct {
	context.Context
	calls atomic.Int32
	nth   int32
	do    func()
}

func (c *slowDone) Done() <-chan struct{} {
	if c.calls.Add(1) == c.nth {
		c.do()
	}
	return c.Context.Done()
}

// A job may be over, and its dispatcher closed, before its Submit has begun to watch its context. Then nothing stays behind: with a
// context of the caller's own that would be a goroutine, which the bubble finds.
func TestNoWatchAfterClose(t *testing.T) {
	for nth := int32(1); nth <= 4; nth++ {
		for _, another := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d/another job %t", nth, another), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{})
					ctx := &slowDone{Context: newOwnContext(), nth: nth}
					fn := newTimeline().marking(0, nil)
					ctx.do = func() {
						if synctest.Wait(); another {
							_, err := dispatcher.Do(ctx, d, fn)
							assert.NoError(t, err)
						}
						assert.NoError(t, d.Close(context.Background()))
					}
					future, err := dispatcher.Submit(ctx, d, fn)
					if nth == 1 {
						require.ErrorIs(t, err, dispatcher.ErrClosed)
					} else {
						require.NoError(t, err)
						_, err = await(t, future)
						require.NoError(t, err)
					}
					require.NoError(t, d.Close(context.Background()))
					synctest.Wait()
					assert.Zero(t, dispatcher.Watches(d))
				})
			})
		}
	}
}

// A dispatcher holds on to no context, and to nothing that its values refer to, once its jobs are over and another has come, or it
// is closed; however they ended, and though the context may live on.
func TestContextsAreNotRetained(t *testing.T) {
	for _, how := range []string{"succeeds", "is canceled", "ends with its context", "has the Done of its parent"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := dispatcher.New(dispatcher.Config{Workers: 2})
				require.NoError(t, err)
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				var kept []weak.Pointer[[1 << 12]byte]
				for range 3 {
					kept = append(kept, oneContext(parent, t, d, how))
				}
				left := func() (n int) {
					time.Sleep(time.Minute) // the pool's goroutines end
					synctest.Wait()
					runtime.GC()
					runtime.GC() // what the first one has found to be free
					for _, p := range kept {
						if p.Value() != nil {
							n++
						}
					}
					return n
				}
				assert.LessOrEqual(t, left(), 1, "the latest")
				require.NoError(t, d.Close(context.Background()))
				assert.Zero(t, left())
				runtime.KeepAlive(d)
				runtime.KeepAlive(parent)
			})
		})
	}
}

// oneContext has jobs with a context of their own end in the given way, and returns something that the context refers to.
func oneContext(parent context.Context, t *testing.T, d *dispatcher.Dispatcher, how string) weak.Pointer[[1 << 12]byte] {
	value := new([1 << 12]byte)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), attemptKey{}, value))
	switch how {
	case "has the Done of its parent":
		ctx = context.WithValue(parent, attemptKey{}, value)
	case "ends with its context":
		time.AfterFunc(time.Second/2, cancel)
	}
	for range 4 { // two run, two wait
		future, err := dispatcher.Submit(ctx, d, newTimeline().marking(time.Second, nil))
		require.NoError(t, err)
		if synctest.Wait(); how == "is canceled" {
			future.Cancel()
		}
	}
	require.NoError(t, d.WaitIdle(context.Background()))
	_ = cancel // as a rule it is not called: what is free is so for another reason
	return weak.Make(value)
}
