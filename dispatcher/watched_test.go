package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// S-O3: all figures of a snapshot are of one moment, however fast things change: what has been taken from a limit is what has
// been started, and the keys' jobs are all jobs.
func TestSnapshotIsOneCut(t *testing.T) {
	const jobs = 3000
	end := make(chan struct{})
	d := open(t, dispatcher.Config{Workers: 5, Limits: []policy.Limit{{Name: "all", Rate: policy.Blocked, Burst: jobs}}})
	d.Pause()
	for i := range jobs {
		delay := time.Duration(i%3) * time.Millisecond
		submit(t, d, func(context.Context) (int, error) { <-end; return 0, nil }, dispatcher.WithKey(fmt.Sprint("k", i%7)), dispatcher.WithDelay(delay))
	}
	check := func() (left int) {
		s := d.Snapshot()
		var queued, waiting, running int
		for _, k := range s.Keys {
			queued += k.Queued
			waiting += k.Waiting
			running += k.Running
		}
		assert.Equal(t, []int{queued, waiting, running}, []int{s.Queued, s.Waiting, s.Running}, "all, and those of all keys")
		assert.EqualValues(t, s.Queued+s.Waiting, s.Limits[0].Level, "what has not started, and what is left for it")
		assert.LessOrEqual(t, s.Running, s.Workers)
		return s.Queued + s.Waiting
	}
	assert.Equal(t, jobs, check())
	d.Resume()
	var watching sync.WaitGroup
	for range 3 {
		watching.Go(func() {
			for left, before := check(), jobs; left > 0 && !t.Failed(); left, before = check(), left {
				assert.LessOrEqual(t, left, before, "it goes forwards")
				select {
				case end <- struct{}{}: // so that something happens while the next snapshot is taken
				default:
				}
			}
		})
	}
	watching.Wait()
	close(end)
	require.NoError(t, d.WaitIdle(t.Context()))
	assert.Zero(t, check())
}

// S-O2: events come from one goroutine, which is none of the dispatcher's others, one at a time and in the order of their
// numbers, whatever there is going on. What is not heard is counted as dropped, to the last one.
func TestEventsComeFromOneGoroutine(t *testing.T) {
	const jobs = 500
	var inside, last, heard atomic.Int64
	var goroutines sync.Map
	d, err := dispatcher.New(dispatcher.Config{Workers: 8, EventBuffer: 50, OnEvent: func(e dispatcher.Event) {
		assert.EqualValues(t, 1, inside.Add(1), "one at a time")
		assert.Less(t, last.Swap(int64(e.Seq)), int64(e.Seq)) //nolint:gosec // there are not that many
		stack := make([]byte, 4096)
		stack = stack[:runtime.Stack(stack, false)]
		name, _, _ := strings.Cut(string(stack), "[")
		goroutines.Store(name, true)
		assert.NotContains(t, string(stack), schedulerFrame)
		inside.Add(-1)
		heard.Add(1)
	}})
	require.NoError(t, err)
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for range jobs / 4 {
				_, err := dispatcher.Do(t.Context(), d, func(context.Context) (int, error) { return 0, nil })
				assert.NoError(t, err)
			}
		})
	}
	busy.Wait()
	require.NoError(t, d.Close(t.Context()))
	require.Eventually(t, func() bool { return heard.Load()+int64(d.EventsDropped()) == 3*jobs }, time.Minute, time.Millisecond, //nolint:gosec // likewise
		"three of each job; the last ones may come after Close")
	count := 0
	goroutines.Range(func(any, any) bool { count++; return true })
	assert.Equal(t, 1, count)
}

// S-O2: nothing is counted by events, which may be dropped: with a listener that hears almost nothing the snapshot is right, a
// circuit opens and closes, and a key is forgotten.
func TestCountsDoNotFeedOnEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		d := open(t, dispatcher.Config{EventBuffer: 1, Breaker: breaker(2), OnEvent: func(dispatcher.Event) { <-deaf }})
		for range 2 {
			trip(t, d, dispatcher.WithKey("k"))
		}
		waiting := submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey("k"))
		synctest.Wait()
		s := snapshot(d)
		assert.Equal(t, 1, s.Queued)
		require.Len(t, s.Keys, 1)
		assert.Equal(t, policy.Open, s.Keys[0].Circuit)
		assert.Equal(t, 1, s.Keys[0].Trips)
		assert.Greater(t, d.EventsDropped(), uint64(3))
		succeed(t, waiting)
		d.Reset("k")
		assert.Empty(t, snapshot(d).Keys)
		close(deaf)
	})
}

// S-O1: whatever code of the caller's there is to call, none of it is called by the scheduler, so it may ask the dispatcher.
func TestNoCallbackOnTheScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		onScheduler := new(atomic.Bool)
		var d *dispatcher.Dispatcher
		var ready atomic.Bool
		var mu sync.Mutex
		called := make(map[string]bool)
		look := func(what string) {
			nosy{onScheduler}.look()
			mu.Lock()
			called[what] = true
			mu.Unlock()
			if ready.Load() {
				d.Snapshot()
				d.Resume()
			}
		}
		d = open(t, dispatcher.Config{
			Retry: policy.Retry{
				MaxAttempts: 3, Delay: time.Second,
				On:       func(error) bool { look("On"); return true },
				StopOn:   func(error) bool { look("StopOn"); return false },
				OnResult: func(any) bool { look("OnResult"); return false },
			},
			Keys:    func(string) dispatcher.KeyConfig { look("Keys"); return dispatcher.KeyConfig{} },
			OnEvent: func(dispatcher.Event) { look("OnEvent") },
		})
		ready.Store(true)
		fn := func(_ context.Context, n int) (int, error) {
			look("function")
			if n%2 == 1 {
				return 0, errors.New("odd")
			}
			return n, nil
		}
		source := func(yield func(int) bool) {
			for n := range 10 {
				look("source")
				if !yield(n) {
					return
				}
			}
		}
		per := func(n int) dispatcher.Spec { look("per"); return dispatcher.Spec{Key: fmt.Sprint(n)} }
		for range dispatcher.Map(t.Context(), d, source, fn, per) {
			look("body")
		}
		_, err := dispatcher.Do(t.Context(), d, func(ctx context.Context) (int, error) { return fn(ctx, 1) })
		assert.Error(t, err)
		require.NoError(t, d.WaitIdle(t.Context()))
		synctest.Wait()
		assert.False(t, onScheduler.Load())
		mu.Lock()
		defer mu.Unlock()
		assert.ElementsMatch(t, []string{"On", "StopOn", "OnResult", "Keys", "OnEvent", "function", "source", "per", "body"}, slices.Collect(maps.Keys(called)))
	})
}
