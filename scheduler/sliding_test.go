package scheduler_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// flight is an attempt, and what it is charged: its cost, until it is corrected.
type flight struct {
	entry  *scheduler.Entry
	start  policy.Time
	end    policy.Time
	tokens int64
}

// S-L3, S-L5: three keys have more to do, for an hour, than the 100 a minute of a sliding limit allow. Costs, arrivals and lengths
// are random; of the attempts some turn out to have cost less, and some fail and are not billed. No minute holds more than 100, and
// hardly one less than 97.
func TestSlidingCapForAnHour(t *testing.T) {
	for seed := range uint64(3) {
		flights := slidingHour(t, seed)
		charged := func(from, to policy.Time) (sum int64) { // both ends included
			for _, f := range flights {
				if f.start >= from && f.start <= to {
					sum += f.tokens
				}
			}
			return sum
		}
		for _, f := range flights {
			require.LessOrEqual(t, charged(f.start.Add(-time.Minute), f.start), int64(100), "seed %d, the minute that ends at %v", seed, f.start)
		}
		windows, good := 0, 0
		for end := 2 * time.Minute; end <= time.Hour; end += 500 * time.Millisecond {
			windows++
			if charged(policy.Time(end-time.Minute), policy.Time(end)) >= 97 {
				good++
			}
		}
		assert.Greater(t, good, windows*9/10, "seed %d: of %d windows", seed, windows)
	}
}

// slidingHour plays the hour and returns every attempt of it, in order of their starts.
func slidingHour(t *testing.T, seed uint64) []*flight {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 41))
	s := newTimeline(t, scheduler.Config{Workers: 50, Seed: seed, Limits: []policy.Limit{
		{Name: "tokens", Rate: policy.PerMinute(100), Burst: 100, Sliding: true, Settled: true},
	}})
	var flights, aloft []*flight
	arrival := time.Duration(0)
	for now := time.Duration(0); now < time.Hour; {
		var events []scheduler.Event
		if now == arrival {
			key := []string{"a", "b", "c"}[rng.IntN(3)]
			events = append(events, handIn(strconv.Itoa(len(flights)), priced(key, 1+rng.Int64N(3))))
			arrival += time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))
		}
		next := min(arrival, time.Hour)
		var still []*flight
		for _, f := range aloft {
			if f.end == policy.Time(now) {
				events = append(events, f.land(rng)...)
			} else {
				next = min(next, time.Duration(f.end))
				still = append(still, f)
			}
		}
		aloft = still
		s.at(now, events...)
		for i, e := range s.running {
			start := s.starts[len(s.starts)-len(s.running)+i].at
			f := &flight{e, start, start.Add(1 + time.Duration(rng.Int64N(int64(3*time.Second)))), int64(e.Costs[0].Tokens())}
			flights, aloft = append(flights, f), append(aloft, f)
			next = min(next, time.Duration(f.end))
		}
		s.running = nil
		now = min(next, time.Duration(s.core.NextWake()))
	}
	require.Greater(t, len(flights), 3000, "seed %d", seed)
	return flights
}

// land returns the events that end f: most attempts have cost what they were to, some less, and some nothing.
func (f *flight) land(rng *rand.Rand) []scheduler.Event {
	switch rng.IntN(10) {
	case 0:
		f.tokens = rng.Int64N(f.tokens + 1)
		actual := policy.Amount(f.tokens * 1_000_000)
		return []scheduler.Event{{Kind: scheduler.Correct, Entry: f.entry, Attempt: 1, Amount: actual}, ends(f.entry, policy.Outcome{})}
	case 1:
		f.tokens = 0
		return []scheduler.Event{ends(f.entry, policy.Outcome{Verdict: policy.VerdictFailure, Unbilled: true})}
	default:
		return []scheduler.Event{ends(f.entry, policy.Outcome{})}
	}
}
