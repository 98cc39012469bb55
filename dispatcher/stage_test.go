package dispatcher_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
)

// A slow consumer finds the window full: for each item that it takes one more element is read. Were it used up before more is
// read, the stages before would run and stand still by turns.
func TestMapReadsAsItYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, elements = 5, 20
		d := open(t, dispatcher.Config{})
		read := 0
		source := func(yield func(int) bool) {
			for n := range elements {
				read++
				if !yield(n) {
					return
				}
			}
		}
		quick := func(ctx context.Context, n int) (int, error) { return n, wait(ctx, time.Millisecond, nil) }
		taken := 0
		for item := range dispatcher.Map(t.Context(), d, source, quick, nil, dispatcher.WithWindow(window)) {
			require.NoError(t, item.Err)
			assert.Equal(t, min(taken+window, elements), read, "with %d items taken", taken)
			taken++
			time.Sleep(time.Second)
		}
		assert.Equal(t, elements, taken)
	})
}

// A window or workers as good as unbounded bound nothing.
func TestMapWithoutBound(t *testing.T) {
	for name, c := range map[string]struct {
		workers int
		options []dispatcher.Option
	}{
		"workers":     {workers: math.MaxInt},
		"the window":  {workers: 100, options: []dispatcher.Option{dispatcher.WithWindow(math.MaxInt)}},
		"any of both": {workers: math.MaxInt, options: []dispatcher.Option{dispatcher.WithWindow(math.MaxInt)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Workers: c.workers})
				line := newTimeline()
				slow := func(ctx context.Context, n int) (int, error) {
					line.mark()
					return n, wait(ctx, time.Second, nil)
				}
				for item := range dispatcher.Map(t.Context(), d, slices.Values(make([]int, 100)), slow, nil, c.options...) {
					require.NoError(t, item.Err)
				}
				assert.Equal(t, make([]time.Duration, 100), line.all(), "all at once")
			})
		})
	}
}

// A slow source holds back what is there to be yielded for no more than one read, however much that is.
func TestMapYieldsBetweenSlowReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		source := func(yield func(int) bool) {
			for n := range 6 {
				if n >= 4 {
					time.Sleep(10 * time.Second)
				}
				if !yield(n) {
					return
				}
			}
		}
		line := newTimeline()
		quick := func(ctx context.Context, n int) (int, error) { return n, wait(ctx, time.Second, nil) }
		for item := range dispatcher.Map(t.Context(), d, source, quick, nil) {
			require.NoError(t, item.Err)
			line.mark()
		}
		assert.Equal(t, seconds(10, 10, 10, 10, 20, 21), line.all())
	})
}
