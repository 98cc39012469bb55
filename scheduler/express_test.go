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

// TestExpressStandsInLine: a job that comes alone does not take what would make one of another core wait longer (S-L11).
func TestExpressStandsInLine(t *testing.T) {
	rule := policy.Limit{Name: "tokens", Rate: policy.PerSecond(1), Burst: 10}
	require.NoError(t, rule.Validate())
	pool, tickets := NewShared(rule), uint64(0)
	cfg := Config{Workers: 9, Shared: []SharedUse{{Limit: pool}}, Ticket: func() uint64 { tickets++; return tickets }}
	one, two := New(cfg), New(cfg)
	small, large := amountOf(t, 6), amountOf(t, 8)
	first := &Entry{Terms: &Terms{Costs: []policy.Amount{small}}}
	one.Step(Event{Kind: Submit, Entry: first})
	require.Equal(t, []Effect{{Kind: Start, Entry: first}}, one.Effects())
	one.Step(Event{Kind: Submit, Entry: &Entry{Terms: &Terms{Costs: []policy.Amount{large}}}})
	require.Empty(t, one.Effects())

	free := &Entry{Terms: &Terms{Costs: []policy.Amount{0}}}
	two.Step(Event{Kind: Submit, Entry: free})
	require.Equal(t, []Effect{{Kind: Start, Entry: free}}, two.Effects())

	late := &Entry{} // costs 1, and there are 4
	require.False(t, two.Express(0, late))
	two.Step(Event{Kind: Submit, Entry: late})
	require.Empty(t, two.Effects())
}
