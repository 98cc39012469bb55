package main

import (
	"slices"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// What chance lets happen to jobs, limits, workers and circuits, once it is decided what kind of act comes next.

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

// latest returns the job of a core whose attempt has started last, of those in flight: where a circuit is tested, a probe.
func (s *story) latest(core int) (latest int, ok bool) {
	var since policy.Time
	for _, n := range s.live {
		if s.runs(core, n) && s.p.jobs[n].entry.Started() >= since {
			latest, ok, since = n, true, s.p.jobs[n].entry.Started()
		}
	}
	return latest, ok
}

// end ends an attempt that is in flight; the rest hang on.
func (s *story) end(core int, kind scheduler.EventKind) (act, bool) {
	n, ok := s.some(core, scheduler.Running, scheduler.Detached)
	if last, runs := s.latest(core); runs && oneIn(s.r, 2) {
		n = last
	}
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
	w := s.p.world
	a.outcome, a.hint = outcomes[s.r.IntN(len(outcomes))], -1
	switch {
	case w.apt != "" && oneIn(s.r, 4):
		a.outcome = w.apt
	case !w.weather || oneIn(s.r, 2):
	case s.foul:
		a.outcome = pick(s.r, "transient", "failed")
	default:
		a.outcome = "ok"
	}
	if a.outcome == "unusable" {
		s.care = append(s.care, int(s.p.jobs[a.job].entry.Key[0]-'a'))
	}
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
	switch a.kind = pick(s.r, scheduler.SetRate, scheduler.SetBurst, scheduler.Observe, scheduler.Observe); a.kind {
	case scheduler.SetRate:
		a.rate = pick(s.r, rateSpec{1, "s"}, rateSpec{100, "s"}, rateSpec{7, "h"}, rateSpec{30, "min"}, rateSpec{0, "blocked"}, rateSpec{0, "unlimited"})
	case scheduler.SetBurst:
		a.amount = pick(s.r, 1.0, 3, 20, 100)
	default:
		a.key, a.amount = s.key(), pick(s.r, 0.0, 1, 7.5)
	}
	return a
}

func (s *story) changeWorkers(a *actor) (act, bool) {
	if s.p.world.staffed {
		return act{}, false
	}
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

// override hands the circuit of a key to a person, or back: often of one that somebody has to see to, since it was called unusable
// or is held by hand.
func (s *story) override() (act, bool) {
	if n := len(s.care); n > 0 && oneIn(s.r, 2) {
		i := s.r.IntN(n)
		key := s.care[i]
		s.care = slices.Delete(s.care, i, i+1)
		return act{kind: scheduler.Override, key: key, mode: policy.Automatic}, true
	}
	a := act{kind: scheduler.Override, key: s.key()}
	if !s.p.world.handsOff {
		a.mode = pick(s.r, policy.Automatic, policy.ForcedOpen, policy.ForcedClosed, policy.Disabled)
	}
	if a.mode != policy.Automatic {
		s.care = append(s.care, a.key)
	}
	return a, !s.p.world.handsOff || oneIn(s.r, 4)
}

// await has an attempt wait for another job; now and then for one that waits for it, or for its own.
func (s *story) await(core int) (act, bool) {
	by, ok := s.some(core, scheduler.Running)
	on, too := by, ok
	switch s.r.IntN(6) {
	case 0, 1:
		on, too = s.any(core)
	case 2:
	case 3, 4:
		if s.runs(core, s.asked.by) && s.runs(core, s.asked.job) {
			by, on = s.asked.job, s.asked.by
			break
		}
		fallthrough
	default:
		on, too = s.some(core, scheduler.Queued, scheduler.Waiting, scheduler.Running, scheduler.Detached)
	}
	s.asked = act{kind: scheduler.Await, by: by, job: on}
	return s.asked, ok && too
}

func (s *story) runs(core, n int) bool {
	return n < len(s.p.jobs) && s.p.jobs[n].submitted && s.p.jobs[n].core == core && s.p.jobs[n].entry.State() == scheduler.Running
}

func (s *story) unawait(core int) (act, bool) {
	if oneIn(s.r, 3) && s.runs(core, s.asked.by) {
		return act{kind: scheduler.Unawait, by: s.asked.by, job: s.asked.job}, s.asked.kind == scheduler.Await
	}
	by, ok := s.some(core, scheduler.Running)
	on, too := s.any(core)
	return act{kind: scheduler.Unawait, by: by, job: on}, ok && too
}
