package scheduler_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// timeline drives one core by its own clock: it wakes the core when the core wants to be woken, never in between, and notes what
// comes out and when. Times on it are exact.
type timeline struct {
	t    *testing.T
	core *scheduler.Core
	now  policy.Time

	// answer says how an attempt ends that takes no time at all; nil lets it run on.
	answer func(e *scheduler.Entry) policy.Outcome

	running []*scheduler.Entry // what has been started and was not answered
	starts  []moment           // of attempts
	settled map[string]ending
	probed  []policy.Time // when circuits became half open
}

// moment is when something happened to a job.
type moment struct {
	job string
	at  policy.Time
}

// ending is when and why a job was settled.
type ending struct {
	reason scheduler.Reason
	at     policy.Time
}

func newTimeline(t *testing.T, cfg scheduler.Config) *timeline {
	t.Helper()
	for _, limit := range cfg.Limits {
		require.NoError(t, limit.Validate())
	}
	require.NoError(t, cfg.Retry.Validate())
	require.NoError(t, cfg.Breaker.Validate())
	require.NoError(t, cfg.Budget.Validate())
	return &timeline{t: t, core: scheduler.New(cfg), settled: make(map[string]ending)}
}

// at lets time pass until then, and takes one turn with these events.
func (s *timeline) at(then time.Duration, events ...scheduler.Event) {
	s.pass(then)
	s.turn(policy.Time(then), events...)
}

// pass lets time pass until then, that instant included.
func (s *timeline) pass(then time.Duration) {
	for left := 1_000_000; s.core.NextWake() <= policy.Time(then); left-- {
		if left == 0 {
			s.t.Fatalf("the core wants to be woken for ever, now at %v", s.now)
		}
		s.turn(s.core.NextWake())
	}
}

func (s *timeline) turn(at policy.Time, events ...scheduler.Event) {
	s.now = max(s.now, at)
	s.core.Step(scheduler.Event{At: s.now})
	for _, ev := range events {
		ev.At = s.now
		s.core.Step(ev)
	}
	for s.takeEffects() {
	}
}

// takeEffects notes the effects of a turn, and answers attempts. It reports whether it has stepped an event.
func (s *timeline) takeEffects() bool {
	var ended []scheduler.Event
	for _, effect := range s.core.Effects() {
		switch effect.Kind {
		case scheduler.Start:
			s.starts = append(s.starts, moment{effect.Entry.Owner.(string), s.now})
			if s.answer == nil {
				s.running = append(s.running, effect.Entry)
				continue
			}
			ev := ends(effect.Entry, s.answer(effect.Entry))
			ev.At = s.now
			ended = append(ended, ev)
		case scheduler.Settle:
			s.settled[effect.Entry.Owner.(string)] = ending{effect.Reason, s.now}
		case scheduler.HalfOpened:
			s.probed = append(s.probed, s.now)
		default:
		}
	}
	for _, ev := range ended {
		s.core.Step(ev)
	}
	return len(ended) > 0
}

// startOf returns when a job was started first.
func (s *timeline) startOf(job string) time.Duration {
	s.t.Helper()
	for _, start := range s.starts {
		if start.job == job {
			return time.Duration(start.at)
		}
	}
	s.t.Fatalf("%s was not started until %v", job, s.now)
	return 0
}

// endAll returns the events that end all those attempts in the same way.
func (s *timeline) endAll(outcome policy.Outcome) []scheduler.Event {
	var events []scheduler.Event
	for _, e := range s.running {
		events = append(events, ends(e, outcome))
	}
	s.running = nil
	return events
}

// succeed ends every attempt at once, and well.
func succeed(*scheduler.Entry) policy.Outcome { return policy.Outcome{} }

// handIn returns the event that hands in e as the job of that name.
func handIn(name string, e *scheduler.Entry) scheduler.Event {
	e.Owner = name
	return scheduler.Event{Kind: scheduler.Submit, Entry: e}
}

// handInMany returns n of them, named name0, name1 and so on.
func handInMany(n int, name string, e func() *scheduler.Entry) []scheduler.Event {
	var events []scheduler.Event
	for i := range n {
		events = append(events, handIn(name+strconv.Itoa(i), e()))
	}
	return events
}

// ends returns the event that ends the latest attempt of e.
func ends(e *scheduler.Entry, outcome policy.Outcome) scheduler.Event {
	return scheduler.Event{Kind: scheduler.Done, Entry: e, Attempt: e.Runs(), Outcome: outcome}
}

// priced returns an entry of a key that costs so much of the first limit.
func priced(key string, tokens int64) *scheduler.Entry {
	return &scheduler.Entry{Key: key, Terms: &scheduler.Terms{Costs: []policy.Amount{policy.Amount(tokens * 1_000_000)}}}
}

// toldToWait is how an attempt ends whose server says when to come back.
func toldToWait(hint time.Duration) policy.Outcome {
	return policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Hinted: true, Hint: hint}
}
