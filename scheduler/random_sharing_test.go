package scheduler

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
)

// TestRandomSharing drives several cores that have limits in common (S-L11). At every instant, what was taken of a limit is
// within its rate and burst; no core sleeps while it could go on; and in the end every job has run, whatever the others did.
func TestRandomSharing(t *testing.T) {
	for seed := range uint64(300) {
		if !playSharing(t, seed) {
			t.Fatalf("seed %d", seed)
		}
	}
}

// sharers is several cores, and what their owners know.
type sharers struct {
	t        *testing.T
	random   *rand.Rand
	now      policy.Time
	pools    []*Shared
	promises []promise // to the first at each pool
	cores    []*Core
	ends     []flight // attempts in flight, in order of their ends
	left     int      // jobs to be submitted
	turns    int      // since time last passed
}

// flight is an attempt that will end.
type flight struct {
	at      policy.Time
	core    *Core
	entry   *Entry
	started bool // or it comes back unstarted
}

const sharedRate, sharedBurst = 10, 20 // tokens, of every pool

func playSharing(t *testing.T, seed uint64) bool {
	s := &sharers{t: t, random: rand.New(rand.NewPCG(seed, 1)), left: 60}
	for range 1 + s.random.IntN(3) {
		rule := policy.Limit{Name: "pool", Rate: policy.PerSecond(sharedRate), Burst: sharedBurst}
		s.pools = append(s.pools, NewShared(rule))
		s.promises = append(s.promises, promise{})
	}
	tickets := uint64(0)
	for range 2 + s.random.IntN(3) {
		cfg := Config{Workers: pick(s.random, 1, 3, 100), Ticket: func() uint64 { tickets++; return tickets }}
		if oneIn(s.random, 2) {
			cfg.Limits = []policy.Limit{{Name: "own", Rate: policy.PerSecond(5), Burst: 2, PerKey: oneIn(s.random, 2)}}
		}
		for _, pool := range s.pools {
			cfg.Shared = append(cfg.Shared, SharedUse{Limit: pool})
		}
		s.cores = append(s.cores, New(cfg))
	}
	for s.left > 0 || s.pending() {
		if !s.next() {
			return false
		}
	}
	return true
}

func (s *sharers) pending() bool {
	return slices.ContainsFunc(s.cores, func(c *Core) bool { return !c.Quiet() })
}

// next lets something happen, or time pass until something does.
func (s *sharers) next() bool {
	if s.turns++; s.turns > 1000 {
		s.t.Errorf("at %v somebody spins", s.now)
		return false
	}
	for _, c := range s.cores {
		if c.NextWake() <= s.now {
			return s.turn(c)
		}
	}
	if len(s.ends) > 0 && s.ends[0].at <= s.now {
		f := s.ends[0]
		s.ends = s.ends[1:]
		kind := Done
		if !f.started {
			kind = Unstarted
		}
		f.core.Step(Event{Kind: kind, At: s.now, Entry: f.entry, Attempt: f.entry.Runs()})
		return s.turn(f.core)
	}
	if s.left > 0 && oneIn(s.random, 2) {
		return s.submit()
	}
	return s.sleep()
}

func (s *sharers) submit() bool {
	s.left--
	c := pick(s.random, s.cores...)
	e := &Entry{Key: pick(s.random, "a", "b"), Terms: new(Terms)}
	for range c.limits.rules {
		e.Costs = append(e.Costs, amountOf(s.t, pick(s.random, 0, .5, 1, 1, 3, sharedBurst)))
	}
	c.Step(Event{Kind: Submit, At: s.now, Entry: e})
	return s.turn(c)
}

// sleep passes the time until something is due, or a little if jobs are still to come.
func (s *sharers) sleep() bool {
	at := policy.Never
	for _, c := range s.cores {
		at = min(at, c.NextWake())
	}
	if len(s.ends) > 0 {
		at = min(at, s.ends[0].at)
	}
	if s.left > 0 {
		at = min(at, s.now.Add(time.Duration(s.random.IntN(500))*time.Millisecond))
	}
	if at == policy.Never {
		s.t.Errorf("at %v everybody sleeps, and there are jobs left", s.now)
		return false
	}
	if at > s.now {
		s.now, s.turns = at, 0
	}
	return true
}

// turn takes the effects of a core, and lets those look again who should.
func (s *sharers) turn(c *Core) bool {
	ticket := c.ticket
	c.Step(Event{At: s.now})
	for _, effect := range c.Effects() {
		if effect.Kind != Start {
			continue
		}
		s.ends = append(s.ends, flight{s.now.Add(time.Duration(s.random.IntN(300)) * time.Millisecond), c, effect.Entry, !oneIn(s.random, 8)})
		slices.SortStableFunc(s.ends, func(a, b flight) int { return int(a.at - b.at) })
	}
	if !s.within() || !s.nobodyIsDelayed(c, ticket) {
		return false
	}
	for _, pool := range s.pools {
		for _, other := range pool.Woken() {
			if other != c && !s.turn(other) {
				return false
			}
		}
	}
	return true
}

// within looks whether no more has been taken of any pool than there was.
func (s *sharers) within() bool {
	for i, pool := range s.pools {
		if level := pool.Level(s.now); level < 0 {
			s.t.Errorf("at %v pool %d holds %v: more was taken than there was", s.now, i, level)
			return false
		}
	}
	return true
}

// promise is when the first in a line was told that it can start, when it last looked.
type promise struct {
	ticket uint64 // of the core's place in line
	cost   policy.Amount
	at     policy.Time
}

// nobodyIsDelayed looks whether those who are first in line can still start when they were told, after a turn of a core that had
// the given ticket before.
func (s *sharers) nobodyIsDelayed(looked *Core, ticket uint64) bool {
	for i, pool := range s.pools {
		if len(pool.line) == 0 {
			continue
		}
		first, told := pool.line[0], &s.promises[i]
		if first.core == looked || ticket < first.core.ticket {
			// Jobs of its own that came before it may have made it later, and those of a core with an older ticket that had
			// to leave the line.
			*told = promise{first.core.ticket, first.cost, max(first.at, pool.bucket.ReadyAt(first.cost))}
		}
		if told.ticket != first.core.ticket || told.at < s.now || told.at == policy.Never {
			continue
		}
		if at := pool.bucket.ReadyAt(told.cost); at > told.at {
			s.t.Errorf("at %v the first in line at pool %d was to start at %v, and now finds enough at %v", s.now, i, told.at, at)
			return false
		}
	}
	return true
}
