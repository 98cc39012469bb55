package scheduler

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDroppedLanes: of keys that come and go only so many lanes are kept, however many keys there are (S-A9), and each key that
// comes back, the latest included, has one lane, with its own jobs.
func TestDroppedLanes(t *testing.T) {
	c := New(Config{Workers: 1000})
	turn := func(keys ...string) {
		t.Helper()
		var flying []*Entry
		for _, key := range keys {
			c.Step(Event{Kind: Submit, Entry: &Entry{Key: key}})
		}
		for _, effect := range c.Effects() {
			require.Equal(t, Start, effect.Kind)
			flying = append(flying, effect.Entry)
		}
		require.Len(t, flying, len(keys))
		for i, key := range keys {
			require.Equal(t, key, flying[i].Key)
			require.Equal(t, key, flying[i].lane().key)
			require.True(t, c.Has(key), "%s has a job, and is not there", key)
		}
		require.Len(t, c.Snapshot().Keys, len(keys))
		for _, e := range flying {
			c.Step(Event{Kind: Done, Entry: e, Attempt: 1})
		}
		c.Effects()
		require.Empty(t, c.Snapshot().Keys)
		require.LessOrEqual(t, c.lanes.len, spareLanes)
		require.Len(t, c.spare, c.lanes.len)
		for i, l := range c.spare {
			require.Same(t, l, c.lanes.get(l.key))
			require.Equal(t, i, l.spare)
		}
	}
	for _, n := range []int{spareLanes + 1, 3 * spareLanes} {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprint("key ", i))
		}
		latest := keys[n-1] // its lane is not among those that are kept
		turn(keys...)
		turn(latest)
		turn(keys...)
		turn(latest, "key 0")
		turn(keys...)
	}
}
