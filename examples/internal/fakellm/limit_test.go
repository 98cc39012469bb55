package fakellm

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Each engine against the definition of what it counts: a request is admitted exactly if that keeps to it; and room tells
// the first instant at which it would be.
func TestEnginesAgainstTheirDefinition(t *testing.T) {
	const per, most, burst = 10 * time.Second, 20, 12
	epoch := time.Unix(1_700_000_003, 0) // three seconds into a span of ten
	type entry struct {
		at     time.Duration
		amount uint64
	}
	sum := func(log []entry, from, to time.Duration) (n uint64) {
		for _, e := range log {
			if e.at >= from && e.at < to {
				n += e.amount
			}
		}
		return n
	}
	fits := map[Engine]func(log []entry, at time.Duration, amount uint64) bool{
		SlidingWindow: func(log []entry, at time.Duration, amount uint64) bool {
			return sum(log, at-per+1, at+1)+amount <= most
		},
		FixedWindow: func(log []entry, at time.Duration, amount uint64) bool {
			begin := (at + 3*time.Second).Truncate(per) - 3*time.Second
			return sum(log, begin, begin+per)+amount <= most
		},
		TokenBucket: func(log []entry, at time.Duration, amount uint64) bool {
			level, last := float64(burst), time.Duration(0)
			fill := func(now time.Duration) {
				level = min(burst, level+(now-last).Seconds()*most/per.Seconds())
				last = now
			}
			for _, e := range log {
				fill(e.at)
				level -= float64(e.amount)
			}
			fill(at)
			return level >= float64(amount)-1e-6
		},
	}
	for engine, fit := range fits {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, uint64(engine)))
			m := Limit{Engine: engine, Max: most, Per: per, Burst: burst}.meter(epoch)
			var log []entry
			now := time.Duration(0)
			for range 200 {
				now += time.Duration(rng.IntN(2000)) * time.Millisecond
				amount := 1 + rng.Uint64N(9)
				m.tell(now)
				wait := m.room(amount)
				if got, want := wait == 0, fit(log, now, amount); got != want {
					t.Fatalf("engine %d, seed %d, at %v: %d admitted: %v, want %v", engine, seed, now, amount, got, want)
				}
				if wait > 0 && (!fit(log, now+wait, amount) || fit(log, now+wait-time.Microsecond, amount)) {
					t.Fatalf("engine %d, seed %d, at %v: %v is not the wait for %d", engine, seed, now, wait, amount)
				}
				if wait == 0 {
					m.spend(amount)
					log = append(log, entry{now, amount})
				}
				if l := m.limits(); l.remaining > l.limit || l.reset < 0 || l.reset > per {
					t.Fatalf("engine %d, seed %d, at %v: %+v", engine, seed, now, l)
				}
			}
			if wait := m.room(most + 1); wait >= 0 {
				t.Errorf("engine %d: %v until there is room for more than there ever is", engine, wait)
			}
		}
	}
}

// Max of an engine that is a bucket is what it holds, if it has no burst of its own.
func TestLevelsOfEngines(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		after uint64
		want  limits
	}{
		{Limit{Max: 60, Per: time.Minute, Burst: 60}, 6, limits{true, 60, 54, 6 * time.Second}},
		{Limit{Max: 60, Per: time.Minute, Burst: 5}, 2, limits{true, 5, 3, 2 * time.Second}},
		{Limit{Max: 60, Per: time.Minute, Engine: SlidingWindow}, 6, limits{true, 60, 54, time.Minute}},
		{Limit{Max: 60, Per: time.Minute, Engine: FixedWindow}, 60, limits{true, 60, 0, 15 * time.Second}},
	} {
		m := c.limit.meter(time.Unix(45, 0))
		m.tell(0)
		m.spend(c.after)
		if got := m.limits(); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.limit, got, c.want)
		}
	}
}

// speaks is a desk with limits, asked with an amount of tokens by a caller.
func (d at) speaks(now time.Duration, who string, total int) verdict {
	d.Helper()
	d.arrive(now)
	u := usage{Prompt: total - 1, Completion: 1, Total: total}
	v := d.desk.decide(now, demand{key: promptKey{1}, who: who, usage: u})
	if v.outcome == completed {
		d.finish(v, u, false)
	}
	d.balanced()
	return v
}

// A request passes all limits, or takes from none.
func TestDeskTakesFromAllLimitsOrNone(t *testing.T) {
	d := opened(t, Config{Rate: 10, Burst: 10, Limits: []Limit{
		{Max: 3, Per: time.Minute, Engine: FixedWindow}, {Counts: Tokens, Max: 100, Per: time.Minute, Engine: SlidingWindow},
	}})
	for range 2 {
		d.speaks(0, "", 45)
	}
	if v := d.speaks(0, "", 45); v.outcome != throttledRate || v.retryAfter != time.Minute {
		t.Errorf("no tokens: %+v", v)
	}
	if v := d.speaks(0, "", 10); v.outcome != completed {
		t.Errorf("the refused one took a request: %+v", v)
	}
	if v := d.speaks(0, "", 1); v.outcome != throttledRate || v.retryAfter != time.Minute {
		t.Errorf("no requests: %+v", v)
	}
	if v := d.speaks(0, "", 101); v.outcome != throttledRate || v.retryAfter >= 0 || v.asks != 101 || v.has != 100 {
		t.Errorf("more than there ever is: %+v", v)
	}
	if v := d.speaks(time.Minute, "", 100); v.outcome != completed {
		t.Errorf("after the wait: %+v", v)
	}
}

func TestDeskLimitsOfEachKey(t *testing.T) {
	d := opened(t, Config{Limits: []Limit{{Max: 1, Per: time.Hour, PerKey: true}, {Max: 4, Per: time.Hour, Engine: SlidingWindow, Hidden: true}}})
	if v := d.speaks(0, "x", 2); len(v.levels) != 1 || v.levels[0].remaining != 0 {
		t.Errorf("the hidden one is told of: %+v", v.levels)
	}
	for _, c := range []struct {
		who  string
		want outcome
	}{{"a", completed}, {"a", throttledRate}, {"b", completed}, {"c", completed}, {"d", throttledRate}} {
		if v := d.speaks(0, c.who, 2); v.outcome != c.want {
			t.Errorf("%s: %+v", c.who, v)
		}
	}
}

func TestDeskBoundsWhatIsUnderWay(t *testing.T) {
	d := opened(t, Config{Concurrent: 2, RetryAfter: 3 * time.Second})
	var under []verdict
	for range 2 {
		d.arrive(0)
		under = append(under, d.decide(0, promptKey{1}, completed))
	}
	if v := d.ask(0, 1); v.outcome != throttledRate || v.retryAfter != 3*time.Second {
		t.Errorf("a third: %+v", v)
	}
	d.finish(under[0], usage{}, false)
	if v := d.ask(0, 1); v.outcome != completed {
		t.Errorf("when one is done: %+v", v)
	}
}

func TestDeskPhases(t *testing.T) {
	d := opened(t, Config{
		Rate: 1, Burst: 1, Limits: []Limit{{Max: 1, Per: time.Second, Burst: 1}},
		Phases: []Phase{{At: 10 * time.Second, Speed: 0.5}, {At: 20 * time.Second, Down: true}, {At: 30 * time.Second, Fault: Status502}},
	})
	const start = time.Hour
	for _, c := range []struct {
		after time.Duration
		want  outcome
		wait  time.Duration
	}{
		{0, completed, 0}, {0, throttledRate, time.Second}, {time.Second, completed, 0},
		{10 * time.Second, completed, 0}, {10 * time.Second, throttledRate, 2 * time.Second}, {11 * time.Second, throttledRate, time.Second},
		{20*time.Second - 1, completed, 0}, {20 * time.Second, outage, 0}, {30*time.Second - 1, outage, 0},
		{30 * time.Second, faulted, time.Second},
	} {
		d.arrive(start + c.after)
		v := d.decide(start+c.after, promptKey{1}, completed)
		if v.outcome != c.want || v.retryAfter != c.wait {
			t.Errorf("at %v: %+v", c.after, v)
		}
		if v.outcome == completed || v.outcome == faulted {
			d.finish(v, usage{}, false)
		}
	}
	if l := d.book.ledger(); l.Faults[Status502] != 1 || l.Outage != 2 {
		t.Errorf("%+v", l)
	}
}
