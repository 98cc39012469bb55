package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// TestExpressComesAfterWhatWasDue: what a new job finds decided, but not yet carried out, is carried out before it starts (S-T1).
// Here it is that another job's deadline has come in the same instant.
func TestExpressComesAfterWhatWasDue(t *testing.T) {
	c := New(Config{Workers: 9, Groups: []Group{{Name: "g", Workers: 1}}})
	first := &Entry{Key: "a", Terms: &Terms{Groups: 1}}
	second := &Entry{Key: "a", Terms: &Terms{Groups: 1, Deadline: policy.Time(5 * time.Second)}}
	c.Step(Event{Kind: Submit, Entry: first})
	c.Step(Event{Kind: Submit, Entry: second})
	require.Equal(t, []Effect{{Kind: Start, Entry: first}}, c.Effects())

	now, late := policy.Time(5*time.Second), &Entry{Key: "b"}
	require.False(t, c.Express(now, late))
	c.Step(Event{Kind: Submit, At: now, Entry: late})
	require.Equal(t, []Effect{{Kind: Settle, Entry: second, Reason: DeadlinePassed}, {Kind: Start, Entry: late}}, c.Effects())
}
