package dispatcher_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
)

// endless is a source without end that counts what is read.
type endless struct{ count atomic.Int64 }

func (e *endless) read() int { return int(e.count.Load()) }

func (e *endless) numbers(yield func(int) bool) {
	for yield(int(e.count.Add(1)) - 1) {
	}
}

// Whatever ends a stage, the source is read no further from then on, and every element that has been read comes out of the last
// stage, once: with its result, or with its error.
func TestThenLosesNothingWhenItEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(shared, own context.CancelCauseFunc, last *dispatcher.Dispatcher)
		want error
	}{
		"the context of all":          {func(shared, _ context.CancelCauseFunc, _ *dispatcher.Dispatcher) { shared(errBackend) }, errBackend},
		"the last stage's own":        {func(_, own context.CancelCauseFunc, _ *dispatcher.Dispatcher) { own(errBackend) }, errBackend},
		"the last stage's dispatcher": {func(_, _ context.CancelCauseFunc, last *dispatcher.Dispatcher) { go last.Close(context.Background()) }, dispatcher.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, last := open(t, dispatcher.Config{}), open(t, dispatcher.Config{Workers: 10})
				shared, endShared := context.WithCancelCause(t.Context())
				own, endOwn := context.WithCancelCause(shared)
				defer endOwn(nil)
				slow := func(ctx context.Context, n int) (int, error) { return n, wait(ctx, time.Second, nil) }
				var source endless
				stage := dispatcher.Map(shared, first, source.numbers, slow, nil, dispatcher.WithWindow(50))
				var readAtTheEnd int
				time.AfterFunc(9500*time.Millisecond, func() {
					readAtTheEnd = source.read()
					c.end(endShared, endOwn, last)
				})
				seen, failed := make(map[int]bool), 0
				for item := range dispatcher.Then(own, last, stage, slow, nil, dispatcher.WithWindow(10)) {
					require.False(t, seen[item.In], "twice")
					require.Less(t, len(seen), 1000, "there is no end to it")
					seen[item.In] = true
					if item.Err != nil {
						assert.ErrorIs(t, item.Err, c.want)
						failed++
					}
				}
				assert.Positive(t, failed)
				assert.Less(t, failed, len(seen))
				assert.Len(t, seen, source.read())
				assert.LessOrEqual(t, source.read(), readAtTheEnd+1, "the one that finds it closed")
			})
		})
	}
}

// A stage that ends before anything has come to it stops the one before as soon as something does.
func TestThenEndsBeforeTheFirstItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		slow := func(ctx context.Context, n int) (int, error) { return n, wait(ctx, time.Second, nil) }
		var source endless
		stage := dispatcher.Map(t.Context(), d, source.numbers, slow, nil, dispatcher.WithWindow(5))
		count := 0
		for item := range dispatcher.Then(ctx, d, stage, slow, nil) {
			assert.ErrorIs(t, item.Err, context.DeadlineExceeded)
			count++
			require.Less(t, count, 1000, "there is no end to it")
		}
		assert.Equal(t, 5, count)
		assert.Equal(t, 5, source.read())

		before := source.read()
		for range dispatcher.Then(ctx, d, stage, slow, nil) {
			t.Error("it had ended before it began")
		}
		assert.Equal(t, before, source.read())
	})
}

// All that holds for stages that come together, side by side or one after the other.
func TestThenAfterSeveral(t *testing.T) {
	type items = iter.Seq[dispatcher.Item[int, int]]
	for name, join := range map[string]func(a, b items) items{
		"side by side": func(a, b items) items { return alternating(a, b) },
		"one after the other": func(a, b items) items {
			return func(yield func(dispatcher.Item[int, int]) bool) {
				for _, part := range []items{a, b} {
					for item := range part {
						if !yield(item) {
							return
						}
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				same := func(ctx context.Context, n int) (int, error) { return n, wait(ctx, time.Second, nil) }
				var a, b endless
				window := dispatcher.WithWindow(5)
				one := dispatcher.Map(t.Context(), d, a.numbers, same, nil, window)
				two := dispatcher.Then(t.Context(), d, dispatcher.Map(t.Context(), d, b.numbers, same, nil, window), same, nil, window)
				count := 0
				for range dispatcher.Then(ctx, d, join(one, two), same, nil) {
					if count++; count == 30 {
						cancel()
					}
					require.Less(t, count, 1000, "there is no end to it")
				}
				assert.Positive(t, b.read())
				assert.Equal(t, a.read()+b.read(), count)
			})
		})
	}
}

// alternating yields an item of each sequence in turn, until all have ended.
func alternating(sequences ...iter.Seq[dispatcher.Item[int, int]]) iter.Seq[dispatcher.Item[int, int]] {
	return func(yield func(dispatcher.Item[int, int]) bool) {
		var pulls []func() (dispatcher.Item[int, int], bool)
		for _, sequence := range sequences {
			next, stop := iter.Pull(sequence)
			defer stop()
			pulls = append(pulls, next)
		}
		for open := len(pulls); open > 0; {
			open = 0
			for _, next := range pulls {
				item, ok := next()
				if !ok {
					continue
				}
				open++
				if !yield(item) {
					return
				}
			}
		}
	}
}

// Of a source that is no stage no more is read either.
func TestThenEndsAtAForeignSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		var source endless
		items := func(yield func(dispatcher.Item[int, int]) bool) {
			for n := range source.numbers {
				if !yield(dispatcher.Item[int, int]{Index: n, In: n, Value: n}) {
					return
				}
			}
		}
		same := func(_ context.Context, n int) (int, error) { return n, nil }
		require.NoError(t, d.Close(t.Context()))
		for item := range dispatcher.Then(t.Context(), d, items, same, nil) {
			assert.ErrorIs(t, item.Err, dispatcher.ErrClosed)
		}
		assert.Equal(t, 1, source.read())
	})
}
