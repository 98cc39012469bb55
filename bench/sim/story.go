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
}

// begin returns the story of a seed.
func begin(seed uint64, cover *coverage) *story {
	r := rand.New(rand.NewPCG(seed, 0))
	return &story{r: r, p: newPlayer(randomWorld(r), cover), at: 10 * time.Second}
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
	if len(w.pools) > 0 && !w.steady && oneIn(s.r, 20) {
		t.pool = s.r.IntN(len(w.pools))
		t.acts = []act{s.changeLimit(act{})}
		return t
	}
	for range 1 + s.r.IntN(3) {
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
	switch s.r.IntN(12) {
	case 0, 1, 2:
		at += s.upTo(500 * time.Millisecond)
	case 3:
		at += s.upTo(time.Minute)
	case 4, 5, 6:
		if next := a.core.NextWake(); next != policy.Never {
			at = max(at, time.Duration(next)+a.spec.ahead)
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

// act returns what happens to a core next. The more numbers it has, the more often it does.
func (s *story) act(core int) (act, bool) {
	a := s.p.cores[core]
	switch n := s.r.IntN(30); n {
	case 0, 1, 2, 3, 4, 5, 6:
		return s.submit(core)
	case 7, 8, 9, 10, 11, 12, 13:
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
		mode := pick(s.r, policy.Automatic, policy.Automatic, policy.ForcedOpen, policy.ForcedClosed, policy.Disabled)
		return act{kind: scheduler.Override, key: s.r.IntN(len(keyNames)), mode: mode}, true
	case 27:
		return s.await(core)
	case 28:
		if oneIn(s.r, 6) {
			return act{kind: pick(s.r, scheduler.Stop, scheduler.Abort)}, true
		}
		return act{kind: scheduler.Tick}, true
	default:
		return s.unawait(core)
	}
}

func (s *story) submit(core int) (act, bool) {
	a := s.p.cores[core]
	if a.stopped || len(s.live) > 80 {
		return act{}, false
	}
	now := s.at - a.spec.ahead
	spec := &jobSpec{key: s.r.IntN(len(keyNames)), failFast: oneIn(s.r, 4)}
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
	number := s.next
	s.next++
	s.live = append(s.live, number)
	return act{kind: scheduler.Submit, job: number, spec: spec}, true
}

// any returns one of a core's jobs, over or not.
func (s *story) any(core int) (int, bool) {
	if len(s.p.jobs) == 0 {
		return 0, false
	}
	n := s.r.IntN(len(s.p.jobs))
	return n, s.p.jobs[n].submitted && s.p.jobs[n].core == core
}

// some returns one of a core's live jobs in one of the states.
func (s *story) some(core int, states ...scheduler.EntryState) (int, bool) {
	if len(s.live) == 0 {
		return 0, false
	}
	first := s.r.IntN(len(s.live))
	for i := range s.live {
		n := s.live[(first+i)%len(s.live)]
		if n < len(s.p.jobs) && s.p.jobs[n].submitted && s.p.jobs[n].core == core && slices.Contains(states, s.p.jobs[n].entry.State()) {
			return n, true
		}
	}
	return 0, false
}

// end ends an attempt that is in flight; the rest hang on.
func (s *story) end(core int, kind scheduler.EventKind) (act, bool) {
	n, ok := s.some(core, scheduler.Running, scheduler.Detached)
	if !ok {
		return act{}, false
	}
	a := act{kind: kind, job: n, attempt: s.p.jobs[n].entry.Runs()}
	if s.p.jobs[n].corrected == a.attempt {
		a.kind = scheduler.Done // it has run
	}
	s.outcome(&a)
	if len(s.ended) < 64 {
		s.ended = append(s.ended, a)
	} else {
		s.ended[s.r.IntN(64)] = a
	}
	return a, true
}

func (s *story) outcome(a *act) {
	a.outcome, a.hint = outcomes[s.r.IntN(len(outcomes))], -1
	if outcomeOf[a.outcome].Retry && oneIn(s.r, 2) {
		a.hint = s.upTo(2 * time.Second)
	}
}

// repeat tells of an attempt that ended long ago, or is yet to come.
func (s *story) repeat(core int) (act, bool) {
	if oneIn(s.r, 2) && len(s.ended) > 0 {
		a := s.ended[s.r.IntN(len(s.ended))]
		if s.p.jobs[a.job].core != core || s.p.jobs[a.job].entry.Runs() == a.attempt && s.p.jobs[a.job].corrected == a.attempt {
			return act{}, false
		}
		return a, true
	}
	n, ok := s.some(core, scheduler.Queued, scheduler.Waiting, scheduler.Running, scheduler.Detached)
	a := act{kind: pick(s.r, scheduler.Done, scheduler.Unstarted), job: n}
	if ok {
		a.attempt = s.p.jobs[n].entry.Runs() + 1
		s.outcome(&a)
	}
	return a, ok
}

func (s *story) correct(core int) (act, bool) {
	a := s.p.cores[core]
	limits := len(a.spec.limits) + len(s.p.pools)
	n, ok := s.some(core, scheduler.Running, scheduler.Detached)
	if !ok || limits == 0 {
		return act{}, false
	}
	if oneIn(s.r, 5) {
		if n, ok = s.any(core); !ok {
			return act{}, false
		}
	}
	attempt := s.p.jobs[n].entry.Runs() + pick(s.r, 0, 0, 0, 1)
	return act{kind: scheduler.Correct, job: n, attempt: attempt, limit: s.r.IntN(limits), amount: pick(s.r, 0.0, 1, 9)}, true
}

// cancel cancels a job, or keeps the owner's word about a deadline that he has announced.
func (s *story) cancel(core int, announced bool) (act, bool) {
	if !announced {
		if oneIn(s.r, 3) {
			n, ok := s.any(core)
			return act{kind: scheduler.Cancel, job: n}, ok
		}
		n, ok := s.some(core, scheduler.Queued, scheduler.Waiting, scheduler.Running, scheduler.Detached)
		return act{kind: scheduler.Cancel, job: n}, ok
	}
	now := policy.Time(0).Add(s.at - s.p.cores[core].spec.ahead)
	for _, n := range s.live {
		if n < len(s.p.jobs) && s.p.jobs[n].submitted && s.p.jobs[n].core == core {
			if e := s.p.jobs[n].entry; e.Announced && e.Deadline <= now && e.State() != scheduler.Detached {
				return act{kind: scheduler.Cancel, job: n}, true
			}
		}
	}
	return act{}, false
}

func (s *story) changeLimit(a act) act {
	switch a.kind = pick(s.r, scheduler.SetRate, scheduler.SetBurst, scheduler.Observe); a.kind {
	case scheduler.SetRate:
		a.rate = pick(s.r, rateSpec{1, "s"}, rateSpec{100, "s"}, rateSpec{7, "h"}, rateSpec{30, "min"}, rateSpec{0, "blocked"}, rateSpec{0, "unlimited"})
	case scheduler.SetBurst:
		a.amount = pick(s.r, 1.0, 3, 20, 100)
	default:
		a.key, a.amount = s.r.IntN(len(keyNames)), pick(s.r, 0.0, 1, 7.5)
	}
	return a
}

func (s *story) changeWorkers(a *actor) (act, bool) {
	switch s.r.IntN(3) {
	case 0:
		return act{kind: scheduler.SetWorkers, workers: pick(s.r, 1, 2, 5, 20)}, true
	case 1:
		return act{kind: scheduler.SetKeyWorkers, workers: s.r.IntN(3)}, true
	default:
		n := len(a.spec.groups)
		if n == 0 {
			return act{}, false
		}
		return act{kind: scheduler.SetGroup, group: s.r.IntN(n), workers: pick(s.r, 1, 3)}, true
	}
}

func (s *story) await(core int) (act, bool) {
	by, ok := s.some(core, scheduler.Running)
	on, too := s.some(core, scheduler.Queued, scheduler.Waiting, scheduler.Running)
	if oneIn(s.r, 3) {
		on, too = s.any(core)
	}
	return act{kind: scheduler.Await, by: by, job: on}, ok && too && by != on
}

func (s *story) unawait(core int) (act, bool) {
	by, ok := s.some(core, scheduler.Running)
	on, too := s.any(core)
	return act{kind: scheduler.Unawait, by: by, job: on}, ok && too
}
