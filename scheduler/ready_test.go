package scheduler

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// seatTest is a core whose jobs, all of one key, may belong to any of ten groups.
type seatTest struct {
	*Core
	t *testing.T
}

func newSeatTest(t *testing.T, workers ...int) seatTest {
	t.Helper()
	cfg := Config{Workers: 1000}
	for i := range 10 {
		group := Group{Workers: 1000}
		if i < len(workers) {
			group.Workers = workers[i]
		}
		cfg.Groups = append(cfg.Groups, group)
	}
	return seatTest{New(cfg), t}
}

func (c seatTest) submit(groups uint64, terms Terms, priority int8) *Entry {
	terms.Groups = groups
	e := &Entry{Terms: &terms, Priority: priority}
	c.Step(Event{Kind: Submit, Entry: e})
	return e
}

func (c seatTest) start(groups uint64) *Entry {
	c.t.Helper()
	e := c.submit(groups, Terms{}, 0)
	require.Equal(c.t, []Effect{{Kind: Start, Entry: e}}, c.Effects())
	return e
}

func (c seatTest) finish(e *Entry) {
	c.Step(Event{Kind: Done, At: c.now, Entry: e, Attempt: e.Runs()})
}

func (c seatTest) pass(groups uint64) {
	c.t.Helper()
	c.finish(c.start(groups))
	require.Len(c.t, c.Effects(), 1)
}

// TestSeatsOfALastingKey: a key that is never idle keeps no seat for each set of groups that its jobs ever had, and needs no memory
// to give one to others; jobs that are parked or run keep theirs, one for all that have the same groups.
func TestSeatsOfALastingKey(t *testing.T) {
	c := newSeatTest(t)
	l := c.start(0).lane()
	for set := range uint64(1 << 10) {
		c.pass(set)
		require.LessOrEqual(t, len(l.ready.seats), manySeats)
	}
	var parked, running, young []*Entry
	for range 3 {
		for set := range uint64(50) {
			parked = append(parked, c.submit(set, Terms{NotBefore: 10}, 0))
			require.Equal(t, Parked, c.Effects()[0].Kind)
		}
	}
	for set := range uint64(100) {
		running = append(running, c.start(set))
	}
	require.Len(t, l.ready.seats, 100)
	for set := range uint64(100) {
		young = append(young, c.submit(set, Terms{}, 0))
	}
	c.Step(Event{Kind: Tick, At: 10})
	started := starts(c.Effects())
	require.True(t, slices.Equal(append(parked, young...), started), "those who were parked are older (S-A6)")
	require.Len(t, l.ready.seats, 100)
	for _, e := range append(started, running...) {
		c.finish(e)
	}
	c.Effects()
	for set := range uint64(1 << 10) {
		c.pass(set)
		require.Len(t, l.ready.seats, 100, "as many as were ever needed at once")
	}
	for _, s := range l.ready.seats {
		require.Zero(t, s.len)
		require.LessOrEqual(t, s.jobs, 1)
	}
}

func starts(effects []Effect) (entries []*Entry) {
	for _, effect := range effects {
		if effect.Kind == Start {
			entries = append(entries, effect.Entry)
		}
	}
	return entries
}

// TestSeatsOfARetiredKey: a key that has come to rest is taken up again with few seats.
func TestSeatsOfARetiredKey(t *testing.T) {
	c := newSeatTest(t)
	var jobs []*Entry
	for set := range uint64(100) {
		jobs = append(jobs, c.start(set))
	}
	for _, e := range jobs {
		c.finish(e)
	}
	c.Effects()
	require.Len(t, c.start(0).lane().ready.seats, 1)
}

// TestSeatGivenToOthersHoldsNoLine: S-F8: an attempt waits for a job that another holds back, who waits for the attempt to end. The seat
// of the one that holds the line was, until this very turn, another's who held it as well.
func TestSeatGivenToOthersHoldsNoLine(t *testing.T) {
	const a, b, other = 1, 2, 4
	c := newSeatTest(t, 1, 1)
	last := c.start(b)
	c.pass(a | other)
	by := c.start(a)
	for set := uint64(8); len(last.lane().ready.seats) < manySeats; set += 8 {
		c.pass(set)
	}
	wanted := c.submit(b, Terms{}, 0)
	c.Step(Event{Kind: Await, By: by, Attempt: 1, Entry: wanted})
	held := c.submit(a|other, Terms{}, 0)
	require.Empty(t, c.Effects(), "the last of group b may end")
	seat := held.seat
	c.Step(Event{Kind: Cancel, Entry: held})
	holds := c.submit(a|b, Terms{}, 1)
	c.finish(last)
	effects := c.Effects()
	require.Same(t, seat, holds.seat)
	require.Equal(t, Effect{Kind: Deadlock, Entry: by}, effects[len(effects)-1])
}

// TestSeatIsLeftOnce: however a job ends, its seat has one fewer.
func TestSeatIsLeftOnce(t *testing.T) {
	failed := policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	retry := &policy.Retry{MaxAttempts: 2, Delay: 10, Backoff: 1, Jitter: policy.NoJitter}
	for name, end := range map[string]func(c seatTest, e *Entry){
		"done":     func(c seatTest, e *Entry) { c.finish(e) },
		"canceled": func(c seatTest, e *Entry) { c.Step(Event{Kind: Cancel, Entry: e}); c.finish(e) },
		"canceled, unborn": func(c seatTest, e *Entry) {
			c.Step(Event{Kind: Cancel, Entry: e})
			c.Step(Event{Kind: Unstarted, Entry: e, Attempt: 1})
		},
		"stopped, unborn": func(c seatTest, e *Entry) {
			c.Step(Event{Kind: Stop})
			c.Step(Event{Kind: Unstarted, Entry: e, Attempt: 1})
		},
		"unborn, too late": func(c seatTest, e *Entry) { c.Step(Event{Kind: Unstarted, At: 20, Entry: e, Attempt: 1}) },
		"unborn, canceled": func(c seatTest, e *Entry) {
			c.Step(Event{Kind: Pause})
			c.Step(Event{Kind: Unstarted, Entry: e, Attempt: 1})
			c.Step(Event{Kind: Cancel, Entry: e})
		},
		"failed, too late": func(c seatTest, e *Entry) { c.Step(Event{Kind: Done, At: 15, Entry: e, Attempt: 1, Outcome: failed}) },
		"parked, canceled": func(c seatTest, e *Entry) {
			c.Step(Event{Kind: Done, Entry: e, Attempt: 1, Outcome: failed})
			c.Step(Event{Kind: Cancel, Entry: e})
		},
		"aborted": func(c seatTest, e *Entry) { c.Step(Event{Kind: Abort}); c.finish(e) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newSeatTest(t)
			e := c.submit(1, Terms{Deadline: 20, Retry: retry}, 0)
			require.Len(t, c.Effects(), 1)
			require.Equal(t, 1, e.seat.jobs)
			end(c, e)
			c.Effects()
			require.Equal(t, Settled, e.State())
			require.Zero(t, e.seat.jobs)
		})
	}
}
