package dispatcher_test

import (
	"fmt"
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
