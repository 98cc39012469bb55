package scheduler

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAwaitedDropsWhatIsOver: S-F8: who waits again and again for any one of many jobs, of which the latest are over first, has the
// core look at each of those once, and is told of a deadlock as before.
func TestAwaitedDropsWhatIsOver(t *testing.T) {
	const n = 100
	c := New(Config{Workers: n + 1})
	by := &Entry{}
	jobs := []*Entry{by}
	c.Step(Event{Kind: Submit, Entry: by})
	several := new(Awaited)
	for range n {
		e := &Entry{}
		c.Step(Event{Kind: Submit, Entry: e})
		several.Add(e)
		jobs = append(jobs, e)
	}
	require.Len(t, c.Effects(), n+1)
	for left := n; left > 1; left-- {
		wait := Event{Kind: Await, By: by, Attempt: 1, Any: several, Left: left}
		c.Step(wait)
		require.Empty(t, c.Effects())
		require.Len(t, several.jobs, left)
		c.Step(Event{Kind: Done, Entry: jobs[left], Attempt: 1})
		wait.Kind = Unawait
		c.Step(wait)
		c.Effects()
	}
	c.Step(Event{Kind: Await, By: jobs[1], Attempt: 1, Entry: by})
	require.Empty(t, c.Effects())
	c.Step(Event{Kind: Await, By: by, Attempt: 1, Any: several, Left: 1})
	require.Equal(t, []Effect{{Kind: Deadlock, Entry: by}}, c.Effects())
}
