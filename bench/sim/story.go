package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/toller-go/toller/bench/sim/oracle"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// story is what chance makes of one seed.
type story struct {
	r     *rand.Rand
	p     *player
	at    time.Duration // of the world's clock: the latest turn's
	live  []int         // jobs that are not over, or still fly
	ended []act         // ends of attempts that have been told
	next  int           // number of the next job
	asked act           // the latest await
	foul  bool          // the backend is down, in a world with weather
	care  []int         // keys that somebody has to see to
	woken bool          // this turn's instant is one for which a core has set a wake-up
}

// begin returns the story of a seed.
func begin(seed uint64, cover *coverage) *story {
	r := rand.New(rand.NewPCG(seed, 0))
	return &story{r: r, p: newPlayer(randomWorld(r), cover), at: 10 * time.Second, foul: oneIn(r, 2)}
}

// tell tells it, of at most so many turns, and returns what it broke.
func (s *story) tell(turns int) *oracle.Fault {
	s.p.keep = true
	for range pick(s.r, turns/10, turns/2, turns) {
		if fault := s.p.play(s.turn()); fault != nil {
			return fault
		}
		s.live = slices.DeleteFunc(s.live, func(i int) bool { return !s.p.unfinished(i) })
	}
	s.p.keep = false // what follows, follows from that
	return s.p.drain()
}

// unfinished reports whether a job was submitted and is not over, or still flies.
func (p *player) unfinished(n int) bool {
	return n < len(p.jobs) && p.jobs[n].submitted && p.jobs[n].entry.State() != scheduler.Settled
}

func (s *story) turn() turn {
	t := turn{core: s.r.IntN(len(s.p.cores)), pool: -1}
	t.at = s.passTime(t.core)
	w := s.p.world
	if oneIn(s.r, 12) {
		s.foul = !s.foul
	}
	if len(w.pools) > 0 && !w.steady && oneIn(s.r, 20) {
		t.pool = s.r.IntN(len(w.pools))
		t.acts = []act{s.changeLimit(act{})}
		return t
	}
	if s.woken && oneIn(s.r, 3) { // somebody acts in the instant in which a circuit may do so by itself
		if a, ok := s.override(); ok {
			t.acts = append(t.acts, a)
		}
	}
	acts := 1 + s.r.IntN(pick2(w.dense, 8, 3))
	if w.express && !oneIn(s.r, 3) {
		acts = 1
	}
	for range acts {
		if a, ok := s.act(t.core); ok {
			t.acts = append(t.acts, a)
		}
	}
	if len(t.acts) == 0 {
		t.acts = []act{{kind: scheduler.Tick}}
	}
	return t
}

// passTime returns the instant of the next turn: often the same, now and then before, as when an owner reads the clock before he
// takes a lock. Of shared limits the lock comes first, and time does not run back.
func (s *story) passTime(core int) time.Duration {
	a := s.p.cores[core]
	at := s.at
	s.woken = false
	switch s.r.IntN(12) {
	case 0, 1, 2:
		at += s.upTo(500 * time.Millisecond)
	case 3:
		at += s.upTo(time.Minute)
	case 4, 5, 6:
		if next := a.core.NextWake(); next != policy.Never {
			at = max(at, time.Duration(next)+a.spec.ahead)
			s.woken = true
		}
	case 7:
		if len(s.p.pools) == 0 {
			return max(0, at-s.upTo(time.Second))
		}
	case 8:
		at += time.Duration(s.r.IntN(3)) // one nanosecond can matter
	default:
	}
	s.at = at
	return at
}

// upTo returns a length of time below d, in whole milliseconds so that instants coincide.
func (s *story) upTo(d time.Duration) time.Duration {
	return time.Duration(s.r.Int64N(d.Milliseconds())) * time.Millisecond
}

// actNumbers is how many numbers story.act knows.
const actNumbers = 31

// act returns what happens to a core next. The more numbers it has, the more often it does. Besides, most worlds have one that
// comes more often.
func (s *story) act(core int) (act, bool) {
	a := s.p.cores[core]
	n := s.r.IntN(actNumbers)
	if s.p.world.often >= 0 && oneIn(s.r, 4) {
		n = s.p.world.often
	}
	switch n {
	case 0, 1, 2, 3, 4, 5, 6:
		return s.submit(core)
	case 7, 8, 9, 10, 11, 12, 13:
		if s.p.world.hangs && oneIn(s.r, 2) {
			return s.submit(core)
		}
		return s.end(core, scheduler.Done)
	case 14, 15:
		return s.end(core, scheduler.Unstarted)
	case 16, 17:
		return s.repeat(core)
	case 18, 19:
		return s.correct(core)
	case 20:
		return s.cancel(core, false)
	case 21:
		return s.cancel(core, true)
	case 22, 23:
		if s.p.world.steady || len(a.spec.limits) == 0 {
			return act{}, false
		}
		return s.changeLimit(act{limit: s.r.IntN(len(a.spec.limits))}), true
	case 24:
		return s.changeWorkers(a)
	case 25:
		return act{kind: pick(s.r, scheduler.Pause, scheduler.Resume, scheduler.Resume, scheduler.Resume)}, true
	case 26:
		return s.override()
	case 27, 30:
		return s.await(core)
	case 28:
		if oneIn(s.r, 40) {
			return act{kind: pick(s.r, scheduler.Stop, scheduler.Abort)}, true
		}
		return act{kind: scheduler.Tick}, true
	default:
		return s.unawait(core)
	}
}

// key returns a key, mostly one of those that are busy.
func (s *story) key() int {
	if oneIn(s.r, 6) {
		return s.r.IntN(len(keyNames))
	}
	return s.r.IntN(s.p.world.busy)
}

func (s *story) submit(core int) (act, bool) {
	a := s.p.cores[core]
	if a.stopped || len(s.live) > 80 {
		return act{}, false
	}
	now := s.at - a.spec.ahead
	spec := &jobSpec{key: s.key(), failFast: oneIn(s.r, 4)}
	if s.p.world.express && !oneIn(s.r, 4) {
		return s.enlist(spec), true
	}
	for g := range a.spec.groups {
		if oneIn(s.r, 4) {
			spec.groups |= 1 << g
		}
	}
	if oneIn(s.r, 3) {
		spec.priority = scheduler.MinPriority + s.r.IntN(scheduler.MaxPriority-scheduler.MinPriority+1)
	}
	if oneIn(s.r, 4) {
		spec.deadline = now + time.Nanosecond + s.upTo(3*time.Second)
		if oneIn(s.r, 3) { // such that it can coincide with the end of a wait, or has passed
			spec.deadline = max(1, now+time.Duration(pick(s.r, -1, 0, 1, 100, 200, 300))*1e6)
		}
		spec.announced = oneIn(s.r, 2)
	}
	if oneIn(s.r, 5) {
		spec.notBefore = now + s.upTo(time.Second)
	}
	if oneIn(s.r, 8) {
		spec.retry = randomRetry(s.r)
	}
	if oneIn(s.r, 2) {
		for range len(a.spec.limits) + len(s.p.pools) {
			spec.costs = append(spec.costs, pick(s.r, 0, .5, 1, 1, 3, 60))
		}
	}
	return s.enlist(spec), true
}

// enlist gives a new job its number.
func (s *story) enlist(spec *jobSpec) act {
	number := s.next
	s.next++
	s.live = append(s.live, number)
	return act{kind: scheduler.Submit, job: number, spec: spec}
}
