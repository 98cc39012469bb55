package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// With as many keys in use as are allowed, a job with a new one is refused; a key that is like new again makes room (S-A9).
func TestMaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 1, PerKey: true}
		d := open(t, dispatcher.Config{MaxKeys: 2, Limits: []policy.Limit{limit}})
		for _, key := range []string{"a", "b", "a", ""} {
			submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey(key))
		}
		_, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithKey("c"))
		require.ErrorIs(t, err, dispatcher.ErrTooManyKeys)
		assert.ErrorContains(t, err, `2 are in use, and "c" would be one more`)

		require.NoError(t, d.WaitIdle(t.Context())) // a has run twice: its bucket is full again after 2 s, that of b after 1 s
		_, err = dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithKey("c"))
		require.NoError(t, err, "b is like new by now")
		time.Sleep(5 * time.Second)
		for n := range 100 { // one after the other, each forgotten in time
			submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey(fmt.Sprint(n)))
			time.Sleep(2 * time.Second)
		}
	})
}

// What Config.Keys does when it is asked is its own affair: a panic there leaves nothing behind.
func TestKeysPanics(t *testing.T) {
	d := open(t, dispatcher.Config{Queue: 1, Keys: func(key string) dispatcher.KeyConfig {
		if key == "bad" {
			panic("no such key")
		}
		return dispatcher.KeyConfig{}
	}})
	nothing := func(context.Context) (int, error) { return 0, nil }
	assert.Panics(t, func() { _, _ = dispatcher.Submit(t.Context(), d, nothing, dispatcher.WithKey("bad")) })
	future, err := dispatcher.TrySubmit(t.Context(), d, nothing, dispatcher.WithKey("good"))
	require.NoError(t, err)
	succeed(t, future)
}

// S-A9: keys that only Observe has named count as well.
func TestObservedKeysAreBounded(t *testing.T) {
	d := open(t, dispatcher.Config{MaxKeys: 2, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerHour(1), Burst: 1000, PerKey: true}}})
	for i := range 10 {
		err := d.Observe("calls", fmt.Sprint("key-", i), 0)
		assert.Equal(t, i >= 2, errors.Is(err, dispatcher.ErrTooManyKeys), "%d: %v", i, err)
	}
	assert.Len(t, snapshot(d).Keys, 2)
}

// S-A9: a key that is forgotten and comes back in the same moment is counted all the same.
func TestKeysUnderLoad(t *testing.T) {
	d := open(t, dispatcher.Config{MaxKeys: 4})
	var users sync.WaitGroup
	for i := range 4 {
		users.Go(func() {
			for range 500 {
				_, err := dispatcher.Do(t.Context(), d, func(context.Context) (int, error) { return 0, nil }, dispatcher.WithKey(fmt.Sprint("key-", i)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	assert.Empty(t, snapshot(d).Keys)
}
