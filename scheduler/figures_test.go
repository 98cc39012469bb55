package scheduler_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// The figures that SEMANTICS.md promises or that its defects had, compared with ==.

// S-L10: twenty jobs of one key are in flight, and all are told to come back in 600 s. None is early, though a burst of 20 is
// there again by then, and they come one by one over a tenth of the wait.
func TestSleepersDoNotStampede(t *testing.T) {
	const hint = 600 * time.Second
	tenths := make([]int, 10) // how many start in each tenth of the minute after the wait, of all seeds
	for seed := range uint64(100) {
		s := newTimeline(t, scheduler.Config{
			Workers: 20, Seed: seed, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 20}},
			Retry: policy.Retry{MaxAttempts: 2},
		})
		s.at(0, handInMany(20, "job", func() *scheduler.Entry { return &scheduler.Entry{} })...)
		require.Len(t, s.starts, 20)
		s.answer = succeed
		s.at(time.Second, s.endAll(toldToWait(hint))...)

		s.pass(hint + time.Second - 1)
		require.Len(t, s.starts, 20, "seed %d: somebody was early", seed)
		s.pass(hint + time.Second + hint/10)
		require.Len(t, s.starts, 40, "seed %d: somebody is late", seed)
		for _, start := range s.starts[20:] {
			after := time.Duration(start.at) - hint - time.Second
			tenths[min(9, after*10/(hint/10))]++
		}
		require.Equal(t, policy.Never, s.core.NextWake(), "seed %d", seed)
	}
	for i, n := range tenths { // 200 each if chance were even
		assert.InDelta(t, 200, n, 50, "tenth %d of %v", i, tenths)
	}
}

// S-L10: where the spread is shorter than the limit allows, the limit paces them: exactly one each 100 ms, ten each second.
func TestSleepersArePacedByTheLimit(t *testing.T) {
	s := newTimeline(t, scheduler.Config{
		Workers: 20, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(10), Burst: 1}},
		Retry: policy.Retry{MaxAttempts: 2},
	})
	s.at(0, handInMany(20, "job", func() *scheduler.Entry { return &scheduler.Entry{} })...)
	s.pass(1900 * time.Millisecond)
	require.Len(t, s.starts, 20)
	s.answer = succeed
	s.at(10*time.Second, s.endAll(toldToWait(time.Second))...)
	s.pass(time.Minute)

	again := s.starts[20:]
	require.Len(t, again, 20)
	first := time.Duration(again[0].at)
	assert.GreaterOrEqual(t, first, 11*time.Second)
	assert.Less(t, first, 11*time.Second+100*time.Millisecond, "the first comes within the spread")
	perSecond := make(map[time.Duration]int)
	for i, start := range again {
		assert.Equal(t, first+time.Duration(i)*100*time.Millisecond, time.Duration(start.at))
		perSecond[(time.Duration(start.at)-first)/time.Second]++
	}
	assert.Equal(t, map[time.Duration]int{0: 10, 1: 10}, perSecond)
}

// S-A8: a Retry-After of 60 s fails a job with a deadline of 3 s at the instant of the throttle, and everybody of the key who
// waits and has no more time either. The wait is not cut short for anybody, and who has time for it waits.
func TestRetryAfterBeyondDeadlineFailsAtOnce(t *testing.T) {
	s := newTimeline(t, scheduler.Config{Workers: 1, Retry: policy.Retry{MaxAttempts: 3}})
	deadline := func(d time.Duration) *scheduler.Entry {
		return &scheduler.Entry{Terms: &scheduler.Terms{Deadline: policy.Time(d)}}
	}
	refused := deadline(3 * time.Second)
	s.at(0, handIn("refused", refused), handIn("queued", deadline(3*time.Second)), handIn("patient", deadline(62*time.Second)),
		handIn("other key", &scheduler.Entry{Key: "other"}))
	s.at(1500*time.Millisecond, ends(refused, toldToWait(time.Minute)))
	at := policy.Time(1500 * time.Millisecond)
	assert.Equal(t, map[string]ending{
		"refused": {scheduler.DeadlinePassed, at},
		"queued":  {scheduler.DeadlinePassed, at},
	}, s.settled)
	assert.Equal(t, 1500*time.Millisecond, s.startOf("other key"))
	s.at(2*time.Second, handIn("late", deadline(3*time.Second)))
	assert.Equal(t, ending{scheduler.DeadlinePassed, policy.Time(2 * time.Second)}, s.settled["late"])
}

// S-L6: a waiter on an empty bucket at 0.01/s starts exactly 1 ms after the rate has become 1000/s, and half a millisecond after
// if half a token had come in before, at the old rate.
func TestSetRateReplansWaiters(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{0: time.Millisecond, 50 * time.Second: 500 * time.Microsecond} {
		s := newTimeline(t, scheduler.Config{
			Workers: 9, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(.01), Burst: 1, Initial: policy.Empty}},
		})
		s.at(0, handIn("waiter", &scheduler.Entry{}))
		require.Equal(t, policy.Time(100*time.Second), s.core.NextWake())
		s.at(after, scheduler.Event{Kind: scheduler.SetRate, Rate: policy.PerSecond(1000)})
		require.Equal(t, policy.Time(after+want), s.core.NextWake())
		s.pass(time.Hour)
		assert.Equal(t, []moment{{"waiter", policy.Time(after + want)}}, s.starts)
	}
}

// scarce is a limit of 10/s, a tenth of a second for each token, that is empty at first and holds up to 100.
var scarce = policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 100, Initial: policy.Empty}

// S-A5: a cost of 50 that came to an empty bucket before a stream of ones, one each 1/rate, starts after exactly 50/rate, and none
// of the stream before it. It makes no difference whether the stream is of its key or of another, since it came first.
func TestLargeCostBeforeAStream(t *testing.T) {
	for _, key := range []string{"", "other"} {
		s := newTimeline(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{scarce}})
		s.answer = succeed
		s.at(0, handIn("large", priced("", 50)))
		for i := range 100 {
			at := time.Duration(i) * 100 * time.Millisecond
			s.at(at, handIn("small"+strconv.Itoa(i), priced(key, 1)))
		}
		assert.Equal(t, moment{"large", policy.Time(5 * time.Second)}, s.starts[0], "stream of key %q", key)
		for i, start := range s.starts[1:] { // and then they have every token that comes
			want := moment{"small" + strconv.Itoa(i), policy.Time(5*time.Second + time.Duration(i+1)*100*time.Millisecond)}
			require.Equal(t, want, start, "stream of key %q", key)
		}
	}
}

// S-A5: against another key of equal weight that always has ones waiting, a cost of 50 has its turn after 50 of them: the quantum
// is the largest size, 50 tokens or 5 s of the rate. Where it comes just after the other's turn has begun, at 5.05 s, it has to wait
// until the end of that turn at 10 s and for its own tokens, until 15 s: 9.95 s, less than 100/rate.
func TestLargeCostAgainstASaturatedKey(t *testing.T) {
	s := newTimeline(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{scarce}})
	s.answer = succeed
	large := func() *scheduler.Entry { return priced("large", 50) }
	small := func() *scheduler.Entry { return priced("small", 1) }
	s.at(0, append([]scheduler.Event{handIn("first", large())}, handInMany(200, "small", small)...)...)
	s.at(5050*time.Millisecond, handIn("second", large()))
	s.at(15500*time.Millisecond, handIn("third", large()))
	s.pass(25 * time.Second)
	assert.Equal(t, 5*time.Second, s.startOf("first"))
	assert.Equal(t, 15*time.Second, s.startOf("second"))
	assert.Equal(t, 25*time.Second, s.startOf("third"))
	assert.Equal(t, 5100*time.Millisecond, s.startOf("small0"))
	assert.Equal(t, 10*time.Second, s.startOf("small49"))
	assert.Equal(t, 15100*time.Millisecond, s.startOf("small50"))
	assert.Equal(t, 20*time.Second, s.startOf("small99"))
	assert.Len(t, s.starts, 103)
}

// S-A5, S-B1: 10,000 keys share 1000 calls a second, and one key more is dead: its circuit has opened, and its jobs keep coming,
// one each ms, as many as there are calls. The others lose nothing by that. The comparison is with the same story without the
// jobs that come to the dead key after its circuit has opened: the others start at the same instants and in the same order, and
// exactly 1000 of them each second.
func TestDeadKeyCostsTheOthersNothing(t *testing.T) {
	const keys = 10_000
	story := func(flood bool) []moment {
		s := newTimeline(t, scheduler.Config{
			Workers: 100, Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1000), Burst: 1}},
			Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Hour},
		})
		s.answer = func(e *scheduler.Entry) policy.Outcome {
			if e.Key == "dead" {
				return policy.Outcome{Verdict: policy.VerdictFailure}
			}
			return policy.Outcome{}
		}
		s.at(0, handIn("dead", &scheduler.Entry{Key: "dead"}))
		var events []scheduler.Event
		for range 2 {
			for i := range keys {
				key := strconv.Itoa(i)
				events = append(events, handIn(key, &scheduler.Entry{Key: key}))
			}
		}
		s.at(0, events...)
		for i := range 20_000 {
			at := time.Duration(i) * time.Millisecond
			if flood {
				s.at(at, handIn("dead", &scheduler.Entry{Key: "dead", FailFast: i%2 == 0, Priority: 1}))
			}
			s.pass(at)
		}
		s.pass(20 * time.Second)
		require.Equal(t, "dead", s.starts[0].job)
		return s.starts[1:]
	}
	alone, flooded := story(false), story(true)
	require.Len(t, alone, 2*keys)
	for i, start := range alone {
		require.Equal(t, strconv.Itoa(i%keys), start.job, "keys take turns")
		require.Equal(t, policy.Time(i+1)*policy.Time(time.Millisecond), start.at)
	}
	assert.True(t, slices.Equal(alone, flooded), "the dead key changes when or in which order the others start")
}

// S-B6: three outages are three trips. The open time of 10 s doubles with each failed probe, and every outage begins with 10 s
// again, since the one before has ended with a full ramp.
func TestThreeOutages(t *testing.T) {
	s := newTimeline(t, scheduler.Config{
		Workers: 4, Breaker: policy.Breaker{FailureThreshold: 3, RecoveryTimeout: 10 * time.Second, RecoveryBackoff: 2},
	})
	down := func(at policy.Time) bool {
		second := time.Duration(at) / time.Second
		return second < 60 || second >= 100 && second < 105 || second >= 200 && second < 220
	}
	s.answer = func(*scheduler.Entry) policy.Outcome {
		if down(s.now) {
			return policy.Outcome{Verdict: policy.VerdictFailure}
		}
		return policy.Outcome{}
	}
	s.at(0, handIn("last", &scheduler.Entry{Terms: &scheduler.Terms{NotBefore: policy.Time(time.Hour)}})) // or the key is forgotten between outages, and its trips
	for i := range 300 {
		s.at(time.Duration(i)*time.Second, handIn(strconv.Itoa(i), &scheduler.Entry{}))
	}
	// Three failures, one each second, and the circuit opens at 2 s, 102 s and 202 s.
	assert.Equal(t, []policy.Time{
		policy.Time(12 * time.Second), policy.Time(32 * time.Second), policy.Time(72 * time.Second),
		policy.Time(112 * time.Second),
		policy.Time(212 * time.Second), policy.Time(232 * time.Second),
	}, s.probed)
	var probes []policy.Time // while the backend is down, and the first after
	for i, start := range s.starts {
		if down(start.at) || i > 0 && down(s.starts[i-1].at) {
			probes = append(probes, start.at/policy.Time(time.Second))
		}
	}
	assert.Equal(t, []policy.Time{0, 1, 2, 12, 32, 72, 100, 101, 102, 112, 200, 201, 202, 212, 232}, probes)
	assert.Equal(t, 3, s.core.Snapshot().Keys[0].Trips)
	assert.Len(t, s.settled, 300)
}

// S-A5: keys of weights 1, 2 and 5 share a limit that is always short: they start in exactly this proportion, and are never further
// from it than their share of one round of eight.
func TestWeightsShareALimit(t *testing.T) {
	const rounds = 500
	s := newTimeline(t, scheduler.Config{Workers: 9, Limits: []policy.Limit{scarce}})
	s.answer = succeed
	weights := map[string]int{"a": 1, "b": 2, "c": 5}
	var events []scheduler.Event
	for _, key := range []string{"c", "a", "b"} {
		entry := func() *scheduler.Entry {
			return &scheduler.Entry{Key: key, Terms: &scheduler.Terms{Rules: &scheduler.KeyRules{Weight: weights[key]}}}
		}
		events = append(events, handInMany(8*rounds, key, entry)...)
	}
	s.at(0, events...)
	s.pass(8 * rounds * 100 * time.Millisecond)
	require.Len(t, s.starts, 8*rounds)
	counts := make(map[string]int)
	for i, start := range s.starts {
		require.Equal(t, policy.Time(i+1)*policy.Time(100*time.Millisecond), start.at)
		counts[start.job[:1]]++
		for key, weight := range weights {
			ahead := 8*counts[key] - weight*(i+1) // in eighths of a job
			require.LessOrEqual(t, max(ahead, -ahead), 8*weight, "%s after %d starts", key, i+1)
			if (i+1)%8 == 0 {
				require.Zero(t, ahead, "%s after %d starts", key, i+1)
			}
		}
	}
}

// S-L11: one core has a job that costs 50, the other always has ones waiting for the same limit. The large one starts exactly when
// its tokens have come, and then the ones have every token.
func TestNoStarvationAcrossCores(t *testing.T) {
	pool := scheduler.NewShared(scarce)
	tickets := uint64(0)
	config := scheduler.Config{
		Workers: 9, Shared: []scheduler.SharedUse{{Limit: pool}}, Ticket: func() uint64 { tickets++; return tickets },
	}
	one, two := newTimeline(t, config), newTimeline(t, config)
	one.answer, two.answer = succeed, succeed
	small := 0
	lines := []*timeline{one, two}
	pass := func(then time.Duration) { // wakes the cores in order of time, and when they want to look again
		for {
			next := min(one.core.NextWake(), two.core.NextWake())
			if next > policy.Time(then) {
				return
			}
			for _, s := range lines {
				s.pass(time.Duration(next))
			}
			for woken := pool.Woken(); len(woken) > 0; woken = pool.Woken() {
				for _, s := range lines {
					if slices.Contains(woken, s.core) {
						s.turn(next)
					}
				}
			}
		}
	}
	stream := func(at time.Duration) {
		pass(at)
		two.at(at, handIn("small"+strconv.Itoa(small), priced("", 1)))
		small++
	}
	stream(0)
	one.at(50*time.Millisecond, handIn("large", priced("", 50)))
	for i := 1; i <= 200; i++ {
		stream(time.Duration(i) * 50 * time.Millisecond)
	}
	pass(10 * time.Second)
	// small0 came first, and has the token of 100 ms. The next fifty are the large one's.
	assert.Equal(t, 100*time.Millisecond, two.startOf("small0"))
	assert.Equal(t, 5100*time.Millisecond, one.startOf("large"))
	for i, start := range two.starts[1:] {
		require.Equal(t, policy.Time(5200*time.Millisecond+time.Duration(i)*100*time.Millisecond), start.at)
	}
	assert.Len(t, two.starts, 50, "small0, and one each 100 ms until 10 s")
}

// S-R11: 1000 jobs all fail, with a ratio of 0.2 and a floor of 10. The 1000 attempts have 200 retries, those 40 more, those 8 and
// those 1: in all 249 in the first window, and 1249 attempts where without a budget it were ten times as many. Five jobs have the
// ten retries of the floor.
func TestRetryBudgetOfAnOutage(t *testing.T) {
	for _, tt := range []struct{ jobs, retries int }{{1000, 249}, {5, 10}} {
		s := newTimeline(t, scheduler.Config{
			Workers: 1000, Retry: policy.Retry{MaxAttempts: 10, Delay: time.Second, Backoff: 1, Jitter: policy.NoJitter},
			Budget: policy.Budget{Ratio: .2, MinRetries: 10, Window: 10 * time.Second},
		})
		s.answer = func(*scheduler.Entry) policy.Outcome {
			return policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
		}
		s.at(0, handInMany(tt.jobs, "job", func() *scheduler.Entry { return &scheduler.Entry{} })...)
		s.pass(10*time.Second - 1)
		assert.Len(t, s.starts, tt.jobs+tt.retries)
		require.Len(t, s.settled, tt.jobs)
		for job, end := range s.settled {
			require.Equal(t, scheduler.BudgetUsedUp, end.reason, job)
		}
	}
}

// S-C3: with ten in flight a bound is lowered to three. Nothing is pre-empted, and nothing starts until two run; raised, as many
// start at once as there is room for. It is the same with workers, a key's workers and a group.
func TestBoundsLoweredAndRaised(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  scheduler.Config
		kind scheduler.EventKind
	}{
		{"workers", scheduler.Config{Workers: 10}, scheduler.SetWorkers},
		{"key", scheduler.Config{Workers: 99, KeyWorkers: 10}, scheduler.SetKeyWorkers},
		{"group", scheduler.Config{Workers: 99, Groups: []scheduler.Group{{Name: "g", Workers: 10}}}, scheduler.SetGroup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTimeline(t, tt.cfg)
			var jobs []*scheduler.Entry
			var events []scheduler.Event
			for i := range 20 {
				e := &scheduler.Entry{Terms: new(scheduler.Terms)}
				if tt.kind == scheduler.SetGroup {
					e.Groups = 1
				}
				jobs = append(jobs, e)
				events = append(events, handIn(fmt.Sprintf("job%02d", i), e))
			}
			s.at(0, events...)
			require.Len(t, s.starts, 10)
			s.at(time.Second, scheduler.Event{Kind: tt.kind, Workers: 3})
			for i := range 7 {
				s.at(2*time.Second, ends(jobs[i], policy.Outcome{}))
				require.Len(t, s.starts, 10, "%d run", s.core.InFlight())
				require.Equal(t, 9-i, s.core.InFlight())
			}
			s.at(3*time.Second, ends(jobs[7], policy.Outcome{})) // and two run
			require.Equal(t, []moment{{"job10", policy.Time(3 * time.Second)}}, s.starts[10:])
			s.at(4*time.Second, scheduler.Event{Kind: tt.kind, Workers: 5})
			require.Len(t, s.starts, 13)
			assert.Equal(t, policy.Time(4*time.Second), s.starts[12].at)
			assert.Equal(t, 5, s.core.InFlight())
			assert.True(t, slices.IsSortedFunc(s.starts, func(a, b moment) int { return strings.Compare(a.job, b.job) }))
		})
	}
}
