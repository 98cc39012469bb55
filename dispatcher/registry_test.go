package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
)

// Names are unique among the dispatchers that have not been closed, and free again afterwards (S-F9).
func TestNames(t *testing.T) {
	for name, shut := range map[string]func(*dispatcher.Dispatcher, context.Context) error{
		"by Close": (*dispatcher.Dispatcher).Close,
		"by Stop":  (*dispatcher.Dispatcher).Stop,
	} {
		_, found := dispatcher.Lookup(name)
		assert.False(t, found)
		d, err := dispatcher.New(dispatcher.Config{Name: name})
		require.NoError(t, err)
		assert.Equal(t, name, d.Name())
		got, found := dispatcher.Lookup(name)
		assert.True(t, found)
		assert.Same(t, d, got)

		other, err := dispatcher.New(dispatcher.Config{Name: name})
		assert.Nil(t, other)
		assert.ErrorIs(t, err, dispatcher.ErrNameTaken)
		assert.ErrorContains(t, err, name)
		got, _ = dispatcher.Lookup(name)
		assert.Same(t, d, got)

		require.NoError(t, shut(d, context.Background()))
		_, found = dispatcher.Lookup(name)
		assert.False(t, found)
		again, err := dispatcher.New(dispatcher.Config{Name: name})
		require.NoError(t, err)
		require.NoError(t, shut(d, context.Background()), "the former one does not take the name away from the new one")
		got, found = dispatcher.Lookup(name)
		assert.True(t, found)
		assert.Same(t, again, got)
		require.NoError(t, again.Close(context.Background()))
	}
}

// A dispatcher without a name gets one that is not in use (S-F9).
func TestGeneratedNames(t *testing.T) {
	a := open(t, dispatcher.Config{})
	var n int
	_, err := fmt.Sscanf(a.Name(), "dispatcher-%d", &n)
	require.NoError(t, err)
	taken := open(t, dispatcher.Config{Name: fmt.Sprintf("dispatcher-%d", n+1)})
	b := open(t, dispatcher.Config{})
	assert.NotEqual(t, a.Name(), b.Name())
	assert.NotEqual(t, taken.Name(), b.Name())
	for _, d := range []*dispatcher.Dispatcher{a, b, taken} {
		got, found := dispatcher.Lookup(d.Name())
		assert.True(t, found)
		assert.Same(t, d, got)
	}
	_, found := dispatcher.Lookup("")
	assert.False(t, found)
}

// Many may try to take one name; one at a time has it (S-F9).
func TestNamesRace(t *testing.T) {
	var holders, won atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 20 {
				d, err := dispatcher.New(dispatcher.Config{Name: "one at a time"})
				if err != nil {
					assert.ErrorIs(t, err, dispatcher.ErrNameTaken)
					continue
				}
				won.Add(1)
				assert.Equal(t, int32(1), holders.Add(1))
				if found, ok := dispatcher.Lookup("one at a time"); assert.True(t, ok) {
					_, err := dispatcher.Do(context.Background(), found, func(context.Context) (int, error) { return 0, nil })
					assert.NoError(t, err)
				}
				holders.Add(-1)
				assert.NoError(t, d.Close(context.Background()))
			}
		})
	}
	group.Wait()
	assert.Positive(t, won.Load())
}

// S-F9: who finds a dispatcher by its name can use it, be it only just made.
func TestLookupOfANewOne(t *testing.T) {
	for range 300 {
		used := make(chan struct{})
		go func() {
			defer close(used)
			for {
				if d, ok := dispatcher.Lookup("new"); ok {
					_, err := dispatcher.Do(context.Background(), d, func(context.Context) (int, error) { return 1, nil }, dispatcher.WithDelay(time.Microsecond))
					assert.NoError(t, err)
					return
				}
				runtime.Gosched()
			}
		}()
		d, err := dispatcher.New(dispatcher.Config{Name: "new"})
		require.NoError(t, err)
		<-used
		require.NoError(t, d.Close(context.Background()))
	}
}

// S-F9: an attempt that outlives its dispatcher is not within the next of its name: that waits for its own jobs, whoever asks.
func TestAttemptOutlivesItsDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, err := dispatcher.New(dispatcher.Config{Name: "again"})
		require.NoError(t, err)
		begun, release := make(chan context.Context, 1), make(chan struct{})
		submit(t, first, func(ctx context.Context) (int, error) {
			begun <- ctx
			<-release // it heeds nothing
			return 0, nil
		})
		ctx := context.WithoutCancel(<-begun)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, first.Stop(ended), context.Canceled)
		second, err := dispatcher.New(dispatcher.Config{Name: "again"})
		require.NoError(t, err)
		line := newTimeline()
		future := submit(t, second, line.marking(time.Second, nil))
		require.NoError(t, second.WaitIdle(ctx))
		require.Equal(t, time.Second, line.now())
		succeed(t, future)
		future = submit(t, second, line.marking(time.Second, nil))
		require.NoError(t, second.Close(ctx))
		require.Equal(t, 2*time.Second, line.now())
		succeed(t, future)
		close(release)
		require.NoError(t, first.Close(t.Context()))
	})
}
