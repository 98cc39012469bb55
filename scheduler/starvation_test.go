package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/policy"
)

// Nobody starves, and nobody sleeps who could go on, while others keep coming for ever (S-A5, S-L11).

// stream is jobs of one kind, of which some are always waiting.
type stream struct {
	core   *Core
	key    string
	costs  []float64
	groups uint64
	rules  *KeyRules
	takes  time.Duration
	first  policy.Time // when the first of them started; Never if none has
}

// rush lets streams flow until the first of the last one has started, or the time is over, and returns when it did.
func rush(t *testing.T, until time.Duration, pools []*Shared, streams ...*stream) policy.Time {
	t.Helper()
	var now policy.Time
	var ends []flight
	submit := func(s *stream) {
		e := &Entry{Owner: s, Key: s.key, Terms: &Terms{Groups: s.groups, Rules: s.rules}}
		for _, cost := range s.costs {
			e.Costs = append(e.Costs, amountOf(t, cost))
		}
		s.core.Step(Event{Kind: Submit, At: now, Entry: e})
	}
	var turn func(c *Core)
	turn = func(c *Core) {
		c.Step(Event{At: now})
		for effects := slices.Clone(c.Effects()); len(effects) > 0; effects = slices.Clone(c.Effects()) {
			for _, effect := range effects {
				if effect.Kind == Start {
					s := effect.Entry.Owner.(*stream)
					s.first = min(s.first, now)
					ends = append(ends, flight{at: now.Add(s.takes), core: c, entry: effect.Entry})
					submit(s)
				}
			}
		}
		for _, pool := range pools {
			for _, other := range pool.Woken() {
				if other != c {
					turn(other)
				}
			}
		}
	}
	victim := streams[len(streams)-1]
	for _, s := range streams {
		s.first = policy.Never
		submit(s)
		turn(s.core)
	}
	for victim.first == policy.Never && now < policy.Time(until) {
		slices.SortStableFunc(ends, func(a, b flight) int { return int(a.at - b.at) })
		next, at := streams[0].core, policy.Never
		for _, s := range streams {
			if wake := s.core.NextWake(); wake < at {
				next, at = s.core, wake
			}
		}
		if len(ends) > 0 && ends[0].at <= at {
			f := ends[0]
			ends, now = ends[1:], max(now, f.at)
			f.core.Step(Event{Kind: Done, At: now, Entry: f.entry, Attempt: f.entry.Runs()})
			turn(f.core)
			continue
		}
		if at == policy.Never {
			break
		}
		now = max(now, at)
		turn(next)
	}
	return victim.first
}

func emptyLimit(name string, rate policy.Rate, burst float64) policy.Limit {
	return policy.Limit{Name: name, Rate: rate, Burst: burst, Initial: policy.Empty}
}

// S-A5: small jobs of its own key, which has one worker, do not starve a large one.
func TestSmallJobsOfTheKeyStarveNobody(t *testing.T) {
	c := New(Config{Workers: 10, KeyWorkers: 1, Limits: []policy.Limit{emptyLimit("tokens", policy.PerSecond(10), 20)}})
	started := rush(t, time.Minute, nil,
		&stream{core: c, key: "b", costs: []float64{1}, takes: 10 * time.Millisecond},
		&stream{core: c, key: "a", costs: []float64{0}, takes: 700 * time.Millisecond},
		&stream{core: c, key: "a", costs: []float64{20}, takes: time.Second},
	)
	assert.LessOrEqual(t, started, policy.Time(5*time.Second))
}

// S-A5: nor do they starve one that is behind others in the line for a limit or for a place in a group: its key's only worker is kept for
// it, whenever its turn comes.
func TestSmallJobsOfTheKeyStarveNobodyInLine(t *testing.T) {
	own := &KeyRules{Workers: 1}
	for _, takes := range []time.Duration{300 * time.Millisecond, 350 * time.Millisecond, 730 * time.Millisecond, time.Second, 1150 * time.Millisecond} {
		c := New(Config{Workers: 10, Limits: []policy.Limit{emptyLimit("tokens", policy.PerSecond(1), 1)}})
		started := rush(t, time.Minute, nil,
			&stream{core: c, key: "b", costs: []float64{1}, takes: time.Millisecond},
			&stream{core: c, key: "a", rules: own, costs: []float64{0}, takes: takes},
			&stream{core: c, key: "a", rules: own, costs: []float64{1}, takes: time.Second},
		)
		assert.LessOrEqual(t, started, policy.Time(4*time.Second), "for a limit, beside jobs of %v", takes)

		c = New(Config{Workers: 10, Groups: []Group{{"g", 1}}})
		started = rush(t, time.Minute, nil,
			&stream{core: c, key: "b", groups: 1, takes: 100 * time.Millisecond},
			&stream{core: c, key: "a", rules: own, takes: takes},
			&stream{core: c, key: "a", rules: own, groups: 1, takes: time.Second},
		)
		assert.LessOrEqual(t, started, policy.Time(2*takes+200*time.Millisecond), "for a place in a group, beside jobs of %v", takes)
	}
}

// S-A5: what may never come keeps the worker from nobody, as before.
func TestWhoWaitsForEverKeepsNoWorker(t *testing.T) {
	own := &KeyRules{Workers: 1}
	limits := []policy.Limit{emptyLimit("money", policy.Blocked, 1)}
	c := New(Config{Workers: 10, Limits: limits, Groups: []Group{{"g", 1}}})
	started := rush(t, time.Minute, nil,
		&stream{core: c, key: "b", costs: []float64{0}, groups: 1, takes: time.Hour},
		&stream{core: c, key: "a", rules: own, costs: []float64{1}, groups: 1, takes: time.Second},
		&stream{core: c, key: "a", rules: own, costs: []float64{0}, takes: time.Second},
	)
	assert.Zero(t, started)
}

// S-L11: nor do jobs of another core, while those of its own keep its only worker busy.
func TestBusyWorkersStarveNobody(t *testing.T) {
	pool := NewShared(emptyLimit("pool", policy.PerSecond(10), 20))
	tickets := uint64(0)
	core := func(workers int) *Core {
		return New(Config{Workers: workers, Shared: []SharedUse{{Limit: pool}}, Ticket: func() uint64 { tickets++; return tickets }})
	}
	busy, other := core(1), core(10)
	started := rush(t, time.Minute, []*Shared{pool},
		&stream{core: other, key: "b", costs: []float64{1}, takes: 10 * time.Millisecond},
		&stream{core: busy, key: "b", costs: []float64{0}, takes: 700 * time.Millisecond},
		&stream{core: busy, key: "a", costs: []float64{20}, takes: time.Second},
	)
	assert.LessOrEqual(t, started, policy.Time(5*time.Second))
}

// S-A5: who waits for what never comes keeps nothing else from others: neither what it will need besides, nor what it lacks too.
func TestWhoWaitsForEverHoldsNothingElse(t *testing.T) {
	never, soon := emptyLimit("money", policy.Blocked, 1), emptyLimit("calls", policy.PerSecond(1), 1)
	for name, c := range map[string]struct {
		perKey        bool
		groups        []Group
		first, victim stream
		want          time.Duration
	}{
		"a place in its group": {groups: []Group{{"g", 1}}, first: stream{costs: []float64{0, 1}, groups: 1}, victim: stream{costs: []float64{0, 0}, groups: 1}},
		"another limit":        {first: stream{costs: []float64{1, 1}}, victim: stream{costs: []float64{1, 0}}, want: time.Second},
		"another of its key":   {perKey: true, first: stream{costs: []float64{1, 1}}, victim: stream{costs: []float64{1, 0}}, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			soon, never := soon, never
			soon.PerKey, never.PerKey = c.perKey, c.perKey
			core := New(Config{Workers: 10, Groups: c.groups, Limits: []policy.Limit{soon, never}})
			c.first.core, c.first.key, c.victim.core, c.victim.key = core, "a", core, "b"
			if c.perKey {
				c.victim.key = "a"
			}
			assert.Equal(t, policy.Time(c.want), rush(t, time.Minute, nil, &c.first, &c.victim))
		})
	}
}

// S-A5: nor does it stand in the way of the claims of those who wait for what does come; and no more does one that waits for a place in
// its group, for which nobody knows how long that takes.
func TestWhoWaitsForEverTakesNoClaim(t *testing.T) {
	for name, c := range map[string]struct {
		perKey bool
		first  stream
	}{
		"a blocked limit":            {first: stream{costs: []float64{1, 0, 0}}},
		"a place in a group":         {first: stream{costs: []float64{0, 0, 0}, groups: 1}},
		"a blocked limit of the key": {perKey: true, first: stream{costs: []float64{1, 0, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			limits := []policy.Limit{emptyLimit("money", policy.Blocked, 1), emptyLimit("calls", policy.PerSecond(1), 10), emptyLimit("tokens", policy.PerSecond(1), 10)}
			for i := range limits {
				limits[i].PerKey = c.perKey
			}
			core := New(Config{Workers: 10, Limits: limits, Groups: []Group{{"g", 1}}})
			key := func(other string) string {
				if c.perKey {
					return "a"
				}
				return other
			}
			c.first.core, c.first.key = core, key("x")
			started := rush(t, time.Minute, nil,
				&stream{core: core, key: "z", costs: []float64{0, 0, 0}, groups: 1, takes: time.Hour},
				&c.first,
				&stream{core: core, key: key("s"), costs: []float64{0, 1, 0}, takes: time.Millisecond},
				&stream{core: core, key: key("t"), costs: []float64{0, 0, 1}, takes: time.Millisecond},
				&stream{core: core, key: key("b"), costs: []float64{0, 8, 8}, takes: time.Second},
			)
			assert.LessOrEqual(t, started, policy.Time(20*time.Second))
		})
	}
}

// S-L11: nor does it keep its core out of the line for a shared limit.
func TestWhoWaitsForEverStandsInNoLine(t *testing.T) {
	for _, cost := range []float64{0, 1} {
		pool := NewShared(emptyLimit("pool", policy.PerSecond(10), 20))
		tickets := uint64(0)
		core := func() *Core {
			return New(Config{
				Workers: 10, Limits: []policy.Limit{emptyLimit("money", policy.Blocked, 1)},
				Shared: []SharedUse{{Limit: pool}}, Ticket: func() uint64 { tickets++; return tickets },
			})
		}
		one, other := core(), core()
		started := rush(t, time.Minute, []*Shared{pool},
			&stream{core: other, key: "s", costs: []float64{0, 1}, takes: time.Millisecond},
			&stream{core: one, key: "x", costs: []float64{1, cost}},
			&stream{core: one, key: "b", costs: []float64{0, 20}, takes: time.Second},
		)
		assert.LessOrEqual(t, started, policy.Time(5*time.Second), "who waits for money costs %v of the pool", cost)
	}
}

// S-A5: a key's own limit is kept as well for an older job of it that is behind others in the line for what keys share.
func TestSmallJobsOfTheKeyLeaveTheirLimitToWhoIsInLine(t *testing.T) {
	c := New(Config{Workers: 10, Groups: []Group{{"g", 1}}, Limits: []policy.Limit{{Name: "own", Rate: policy.PerSecond(1), Burst: 2, PerKey: true}}})
	started := rush(t, time.Minute, nil,
		&stream{core: c, key: "r", groups: 1, costs: []float64{0}, takes: 700 * time.Millisecond},
		&stream{core: c, key: "q", groups: 1, costs: []float64{0}, takes: 700 * time.Millisecond},
		&stream{core: c, key: "a", costs: []float64{1}, takes: time.Millisecond},
		&stream{core: c, key: "a", groups: 1, costs: []float64{2}, takes: time.Second},
	)
	assert.LessOrEqual(t, started, policy.Time(6*time.Second))
}

// S-A5, S-L11: a key's last worker is kept also for an older job for which there would be enough of a shared limit, were it not another
// core's turn.
func TestSmallJobsOfTheKeyStarveNobodyBehindAnotherCore(t *testing.T) {
	pool := NewShared(emptyLimit("pool", policy.PerSecond(10), 10))
	tickets := uint64(0)
	core := func() *Core {
		return New(Config{Workers: 10, Shared: []SharedUse{{Limit: pool}}, Ticket: func() uint64 { tickets++; return tickets }})
	}
	one, other := core(), core()
	own := &KeyRules{Workers: 1}
	started := rush(t, time.Minute, []*Shared{pool},
		&stream{core: other, key: "c", costs: []float64{10}, takes: time.Millisecond},
		&stream{core: one, key: "b", costs: []float64{10}, takes: time.Millisecond},
		&stream{core: one, key: "a", rules: own, costs: []float64{0}, takes: 730 * time.Millisecond},
		&stream{core: one, key: "a", rules: own, costs: []float64{1}, takes: time.Second},
	)
	assert.LessOrEqual(t, started, policy.Time(10*time.Second))
}

// S-A5: one huge cost, were it canceled at once, does not make everybody's turns long for ever.
func TestOneHugeCostDoesNotEndTurns(t *testing.T) {
	core := New(Config{Workers: 1, Limits: []policy.Limit{{Name: "tokens", Rate: policy.PerSecond(1e6), Burst: 1000}}})
	core.Step(Event{Kind: Pause})
	huge := &Entry{Terms: &Terms{Costs: []policy.Amount{amountOf(t, 1e6)}}}
	core.Step(Event{Kind: Submit, Entry: huge})
	core.Step(Event{Kind: Cancel, Entry: huge})
	core.Step(Event{Kind: Resume})
	started := rush(t, time.Hour, nil,
		&stream{core: core, key: "a", costs: []float64{1}, takes: time.Millisecond},
		&stream{core: core, key: "b", costs: []float64{1}, takes: time.Millisecond},
	)
	assert.LessOrEqual(t, started, policy.Time(4001*time.Millisecond), "four bursts")
}
