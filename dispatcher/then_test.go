package dispatcher_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// The source's order, however long each takes; the window counts what is held back.
func TestMapInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 10})
		read := 0
		source := func(yield func(int) bool) {
			for i := range 8 {
				read++
				if !yield(i) {
					return
				}
			}
		}
		slowFirst := func(ctx context.Context, n int) (int, error) {
			return n * n, wait(ctx, time.Duration(8-n)*time.Second, nil)
		}
		start, first := time.Now(), true
		var got []int
		for item := range dispatcher.Map(t.Context(), d, source, slowFirst, nil, dispatcher.InOrder(), dispatcher.WithWindow(4)) {
			require.NoError(t, item.Err)
			if first {
				assert.Equal(t, 8*time.Second, time.Since(start))
				assert.Equal(t, 4, read)
				first = false
			}
			got = append(got, item.Value)
		}
		assert.Equal(t, []int{0, 1, 4, 9, 16, 25, 36, 49}, got)
	})
}

// Two stages, each with limits of its own; what failed in the first is not lost, and does not reach the second.
func TestThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := open(t, dispatcher.Config{Workers: 2})
		second := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1}}})
		double := func(_ context.Context, n int) (int, error) {
			if n == 2 {
				return 0, errBackend
			}
			return 2 * n, nil
		}
		seen := 0
		name := func(_ context.Context, n int) (string, error) {
			seen++
			return string(rune('a' + n)), nil
		}
		start := time.Now()
		got := map[int]string{}
		var failed error
		for item := range dispatcher.Then(t.Context(), second, dispatcher.Map(t.Context(), first, numbers(4), double, nil), name, nil) {
			assert.Equal(t, item.Index, item.In)
			if item.Err != nil {
				failed = item.Err
				continue
			}
			got[item.In] = item.Value
		}
		assert.Equal(t, map[int]string{0: "a", 1: "c", 3: "g"}, got)
		assert.ErrorIs(t, failed, errBackend)
		assert.Equal(t, first.Name(), asJobError(t, failed).Dispatcher)
		assert.Equal(t, 3, seen)
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

// To leave the loop over the last stage cancels what is under way in both, and ends the source.
func TestThenLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := open(t, dispatcher.Config{}), open(t, dispatcher.Config{})
		ended := false
		source := func(yield func(int) bool) {
			defer func() { ended = true }()
			i := 0
			for yield(i) {
				i++
			}
		}
		canceled := make(chan struct{}, 100)
		slow := func(ctx context.Context, n int) (int, error) {
			err := wait(ctx, time.Second+time.Duration(n)*time.Hour, nil) // the second fills the windows
			if err != nil {
				canceled <- struct{}{}
			}
			return n, err
		}
		stages := dispatcher.Then(t.Context(), second, dispatcher.Map(t.Context(), first, source, slow, nil, dispatcher.WithWindow(4)), slow, nil, dispatcher.WithWindow(2))
		for item := range stages {
			assert.Zero(t, item.In)
			synctest.Wait() // until functions run that can be told
			break
		}
		require.NoError(t, first.WaitIdle(t.Context()))
		require.NoError(t, second.WaitIdle(t.Context()))
		assert.True(t, ended)
		assert.NotEmpty(t, canceled)
	})
}

// A long source needs memory for its windows alone.
func TestThenInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	first, second := open(t, dispatcher.Config{Workers: 8}), open(t, dispatcher.Config{Workers: 8})
	same := func(_ context.Context, n int) (int, error) { return n, nil }
	before := heapInUse()
	most, count := uint64(0), 0
	for item := range dispatcher.Then(t.Context(), second, dispatcher.Map(t.Context(), first, numbers(20_000), same, nil, dispatcher.InOrder()), same, nil, dispatcher.InOrder()) {
		if item.Index != count || item.Value != count {
			t.Fatalf("item %d: %+v", count, item)
		}
		if count++; count%5_000 == 0 {
			most = max(most, heapInUse())
		}
	}
	assert.Equal(t, 20_000, count)
	assert.Less(t, most, before+4<<20)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What makes no sense is the only thing that is yielded.
func TestThenMisused(t *testing.T) {
	d := open(t, dispatcher.Config{})
	only := func(seq iter.Seq[dispatcher.Item[int, int]]) error {
		items := slices.Collect(seq)
		require.Len(t, items, 1)
		return items[0].Err
	}
	same := func(_ context.Context, n int) (int, error) { return n, nil }
	assert.ErrorIs(t, only(dispatcher.Then[int, int](t.Context(), d, nil, same, nil)), dispatcher.ErrNilSource)
	assert.ErrorIs(t, only(dispatcher.Map(nil, d, numbers(3), same, nil)), dispatcher.ErrNilContext) //nolint:staticcheck // that is the point
	assert.ErrorIs(t, only(dispatcher.Map[int, int](t.Context(), d, numbers(1), nil, nil)), dispatcher.ErrNilFunc)
	assert.ErrorIs(t, only(dispatcher.Map(t.Context(), nil, numbers(1), same, nil)), dispatcher.ErrNilDispatcher)
}

// The futures of several dispatchers can be awaited together; the error names the job that failed.
func TestAllNamesTheJob(t *testing.T) {
	a, b := open(t, dispatcher.Config{Name: "all-a"}), open(t, dispatcher.Config{Name: "all-b"})
	good := submit(t, a, func(context.Context) (int, error) { return 1, nil })
	bad := submit(t, b, func(context.Context) (int, error) { return 0, errBackend }, dispatcher.WithKey("k"))
	values, err := job.All(t.Context(), good, bad)
	assert.Equal(t, []int{1, 0}, values)
	assert.ErrorContains(t, err, `job 1 (key "k") of dispatcher "all-b"`)
	var failed *job.Error
	assert.True(t, errors.As(err, &failed) && failed.Dispatcher == "all-b")
	winner, err := job.First(t.Context(), bad, good)
	assert.NoError(t, err)
	assert.Equal(t, 1, winner)
}
