package scheduler

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// TestSeatsOfALastingKey: a key that is never idle keeps no seat for each set of groups that its jobs ever had. Jobs whose seats are
// dropped while they run or are parked come back all the same, and before those who are younger (S-A6).
func TestSeatsOfALastingKey(t *testing.T) {
	const groups = 8
	cfg := Config{Workers: 1000, Retry: policy.Retry{MaxAttempts: 2, Delay: 10, Backoff: 1, Jitter: policy.NoJitter}}
	for range groups {
		cfg.Groups = append(cfg.Groups, Group{Workers: 1000})
	}
	c := New(cfg)
	var old, young, started []*Entry
	submit := func(set uint64) *Entry {
		e := &Entry{Terms: &Terms{Groups: set}}
		c.Step(Event{Kind: Submit, Entry: e})
		return e
	}
	start := func() {
		for _, effect := range c.Effects() {
			require.Equal(t, Start, effect.Kind)
			started = append(started, effect.Entry)
		}
	}
	for set := range uint64(1 << groups) {
		old = append(old, submit(set))
		start() // at once: nobody sits there any more
		require.LessOrEqual(t, len(old[0].lane().ready.seats), manySeats)
	}
	failed := policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	for _, e := range old {
		c.Step(Event{Kind: Done, Entry: e, Attempt: 1, Outcome: failed})
		require.Equal(t, Parked, c.Effects()[0].Kind)
	}
	c.Step(Event{Kind: Pause})
	for set := range uint64(1 << groups) {
		young = append(young, submit(set))
	}
	c.Step(Event{Kind: Tick, At: 10})
	require.Empty(t, c.Effects())
	require.Len(t, old[0].lane().ready.seats, 1<<groups, "old and young sit together, and nobody stands")
	c.Step(Event{Kind: Resume, At: 10})
	started = nil
	start()
	require.Equal(t, append(old, young...), started)
}
