package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

func openMap(t *testing.T, cfg dispatcher.Config) *dispatcher.Dispatcher {
	t.Helper()
	d, err := dispatcher.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close(context.Background())) })
	return d
}

// Results come as they are ready, each once, with the position of its element.
func TestMapYieldsInOrderOfCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 3})
		sleep := func(ctx context.Context, wait time.Duration) (string, error) {
			time.Sleep(wait)
			return wait.String(), nil
		}
		var got []string
		start := time.Now()
		for item := range dispatcher.Map(t.Context(), d, slices.Values([]time.Duration{30, 10, 20}), sleep, nil) {
			require.NoError(t, item.Err)
			got = append(got, fmt.Sprintf("%d: %v at %v", item.Index, item.Value, time.Since(start)))
		}
		require.Equal(t, []string{"1: 10ns at 10ns", "2: 20ns at 20ns", "0: 30ns at 30ns"}, got)
	})
}

// A consumer that stops taking stops the reading: the source is never more than the window ahead.
func TestMapReadsNoFurtherThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 2})
		read, yielded, ahead := 0, 0, 0
		source := func(yield func(int) bool) {
			for yield(read) {
				read++
			}
		}
		identity := func(_ context.Context, n int) (int, error) { return n, nil }
		for item := range dispatcher.Map(t.Context(), d, source, identity, nil, dispatcher.WithWindow(5)) {
			require.Equal(t, item.In, item.Value)
			ahead = max(ahead, read+1-yielded)
			if yielded++; yielded == 1000 {
				break
			}
		}
		require.LessOrEqual(t, ahead, 5)
	})
}

// Failures are results like any other: none is lost, none ends the others.
func TestMapLosesNothingToFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 4, Retry: policy.Retry{MaxAttempts: 2, Delay: time.Second}})
		odd := errors.New("odd")
		fn := func(_ context.Context, n int) (int, error) {
			switch {
			case n%5 == 0:
				panic(n)
			case n%2 == 1:
				return 0, policy.Transient(odd)
			}
			return n * n, nil
		}
		source := func(yield func(int) bool) {
			for n := range 100 {
				if !yield(n) {
					return
				}
			}
		}
		seen := make(map[int]bool)
		for item := range dispatcher.Map(t.Context(), d, source, fn, nil) {
			require.False(t, seen[item.Index], "yielded twice")
			seen[item.Index] = true
			switch {
			case item.In%5 == 0:
				var panicked *job.PanicError
				require.ErrorAs(t, item.Err, &panicked)
			case item.In%2 == 1:
				require.ErrorIs(t, item.Err, job.ErrMaxRetriesExceeded)
				require.ErrorIs(t, item.Err, odd)
			default:
				require.NoError(t, item.Err)
				require.Equal(t, item.In*item.In, item.Value)
			}
		}
		require.Len(t, seen, 100)
	})
}

// Leaving the loop cancels what is under way.
func TestMapBreakCancelsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 4})
		fn := func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}
		for item := range dispatcher.Map(t.Context(), d, slices.Values([]int{0, 1, 2, 3, 4, 5, 6, 7}), fn, nil) {
			require.Equal(t, 0, item.Index)
			break
		}
		require.NoError(t, d.WaitIdle(t.Context()))
	})
}

// A source that waits, when it is stopped, for what is done with its elements, such as one that takes back their buffers, waits no
// longer than it takes to cancel that.
func TestMapBreakCancelsBeforeTheSourceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 2})
		var buffers sync.WaitGroup
		source := func(yield func(int) bool) {
			defer buffers.Wait()
			for n := 0; ; n++ {
				if buffers.Add(1); !yield(n) {
					return
				}
			}
		}
		fn := func(ctx context.Context, n int) (int, error) {
			defer buffers.Done()
			if n == 0 {
				time.Sleep(time.Second)
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}
		start := time.Now()
		for range dispatcher.Map(t.Context(), d, source, fn, nil, dispatcher.WithWindow(2)) {
			break
		}
		require.Equal(t, time.Second, time.Since(start))
	})
}

// When its context ends, what has been read is still yielded, with the reason, and nothing more is read.
func TestMapEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Workers: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		fn := func(ctx context.Context, _ int) (int, error) {
			select {
			case <-time.After(2 * time.Second):
				return 0, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		done, failed := 0, 0
		for item := range dispatcher.Map(ctx, d, slices.Values(make([]int, 100)), fn, nil, dispatcher.WithWindow(10)) {
			if item.Err == nil {
				done++
				continue
			}
			require.ErrorIs(t, item.Err, context.DeadlineExceeded)
			failed++
		}
		require.Equal(t, 2, done)
		require.Equal(t, 10, failed)
	})
}

// What is wrong with a submission comes with each element, and a closed dispatcher ends the sequence.
func TestMapReportsRefusals(t *testing.T) {
	d := openMap(t, dispatcher.Config{})
	identity := func(_ context.Context, n int) (int, error) { return n, nil }
	refused := 0
	for item := range dispatcher.Map(t.Context(), d, slices.Values([]int{1, 2}), identity, nil, dispatcher.WithCost("tokens", 3)) {
		require.ErrorIs(t, item.Err, policy.ErrInvalid)
		refused++
	}
	require.Equal(t, 2, refused)
	require.NoError(t, d.Close(t.Context()))
	for item := range dispatcher.Map(t.Context(), d, slices.Values([]int{1, 2, 3}), identity, nil) {
		require.ErrorIs(t, item.Err, dispatcher.ErrClosed)
		require.Equal(t, 0, item.Index)
	}
}

// Each element may have a key and costs of its own.
func TestMapSpecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openMap(t, dispatcher.Config{Limits: []policy.Limit{{Name: "tokens", Rate: policy.PerSecond(1), Burst: 5, PerKey: true}}})
		keyOf := func(ctx context.Context, _ int) (string, error) {
			attempt, _ := job.AttemptFrom(ctx)
			return attempt.Key, nil
		}
		per := func(n int) dispatcher.Spec {
			return dispatcher.Spec{Key: fmt.Sprint("k", n%2), Costs: []dispatcher.Cost{{Limit: "tokens", Tokens: 5}}}
		}
		start := time.Now()
		var got []string
		for item := range dispatcher.Map(t.Context(), d, slices.Values([]int{0, 1, 2}), keyOf, per) {
			require.NoError(t, item.Err)
			got = append(got, fmt.Sprintf("%d %s %v", item.In, item.Value, time.Since(start)))
		}
		slices.Sort(got)
		require.Equal(t, []string{"0 k0 0s", "1 k1 0s", "2 k0 5s"}, got)
	})
}
