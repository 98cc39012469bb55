package dispatcher_test

import (
	"bytes"
	"context"
	"flag"
	"iter"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
)

var items = flag.Int("items", 50_000, "how many elements TestPipelineMemory sends through its stages")

// A source of any length needs memory for the windows alone: with a hundred times the elements, the heap is at no time more
// than 10 MB larger. -args -items 1000000 is for those who want to see it with a million.
func TestPipelineMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	few := peakHeap(t, *items/100)
	many := peakHeap(t, *items)
	t.Logf("peak heap: %.1f MB with %d elements, %.1f MB with %d", mega(few), *items/100, mega(many), *items)
	assert.Less(t, mega(many), mega(few)+10)
}

func mega(bytes uint64) float64 { return float64(bytes) / 1e6 }

// peakHeap sends so many elements through three stages with windows of 100, and returns the most that was seen on the heap,
// garbage included.
func peakHeap(t *testing.T, elements int) uint64 {
	t.Helper()
	runtime.GC()
	var stats runtime.MemStats
	most, count, sum := uint64(0), 0, 0
	stages, _ := threeStages(t, t.Context(), counting(elements), 0)
	for item := range stages {
		require.NoError(t, item.Err)
		count++
		sum += item.Value - item.In
		if count%(1+elements/1000) == 0 {
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc)
		}
	}
	assert.Equal(t, elements, count)
	assert.Equal(t, 3*elements, sum, "each element has passed each stage once")
	return most
}

// threeStages adds one to each element of source in each of three stages, in dispatchers of their own.
func threeStages(t *testing.T, ctx context.Context, source iter.Seq[int], takes time.Duration) (iter.Seq[dispatcher.Item[int, int]], [3]*dispatcher.Dispatcher) { //nolint:revive // t comes first here
	t.Helper()
	add := func(ctx context.Context, n int) (int, error) { return n + 1, wait(ctx, takes, nil) }
	window := dispatcher.WithWindow(100)
	ds := [3]*dispatcher.Dispatcher{open(t, dispatcher.Config{}), open(t, dispatcher.Config{}), open(t, dispatcher.Config{})}
	first := dispatcher.Map(ctx, ds[0], source, add, nil, window)
	second := dispatcher.Then(ctx, ds[1], first, add, nil, window)
	return dispatcher.Then(ctx, ds[2], second, add, nil, window), ds
}

// counting yields so many numbers, from 0.
func counting(elements int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range elements {
			if !yield(i) {
				return
			}
		}
	}
}

// To leave a pipeline in the middle leaves no goroutine, beyond those of dispatchers that idle; and there is none after Close.
func TestPipelineLeftLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synctest.Wait()
		before := inBubble()
		stages, ds := threeStages(t, t.Context(), counting(1_000_000), time.Second)
		synctest.Wait()
		idle := inBubble()
		count := 0
		for item := range stages {
			require.NoError(t, item.Err)
			if count++; count == 500 {
				break
			}
		}
		assert.Greater(t, inBubble(), idle)
		time.Sleep(time.Minute) // the pools keep goroutines for some seconds
		synctest.Wait()
		assert.Equal(t, idle, inBubble())
		for _, d := range ds {
			require.NoError(t, d.Close(t.Context()))
		}
		synctest.Wait()
		assert.Equal(t, before, inBubble())
	})
}

// inBubble returns how many goroutines there are in bubbles: pools of tests outside may be ending theirs meanwhile.
func inBubble() int {
	stacks := make([]byte, 4<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("synctest bubble"))
}
