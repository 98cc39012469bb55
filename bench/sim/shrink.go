package main

import (
	"slices"
	"strings"

	"github.com/toller-go/toller/bench/sim/oracle"
)

// retell plays turns in a world, and then to the end.
func retell(w *world, turns []turn) (*player, *oracle.Fault) {
	p := newPlayer(w, nil)
	p.look = 1
	for _, t := range turns {
		if fault := p.play(t); fault != nil {
			return p, fault
		}
	}
	return p, p.drain()
}

// shrink leaves out of a story whatever it breaks the same rule without: turns, acts, then what jobs and world have besides.
func shrink(w *world, turns []turn, rule string) (*world, []turn) {
	breaks := func(w *world, turns []turn) (broken bool) {
		defer func() {
			if recover() != nil {
				broken = rule == panicRule
			}
		}()
		_, fault := retell(w, turns)
		return fault != nil && fault.Rule == rule
	}
	for size := 0; size != storySize(turns); {
		size = storySize(turns)
		turns = without(turns, func(t []turn) bool { return breaks(w, t) })
		for i := range turns {
			turns[i].acts = without(turns[i].acts, func(acts []act) bool {
				fewer := slices.Clone(turns)
				fewer[i].acts = acts
				return breaks(w, fewer)
			})
		}
		w = simpler(w, func(w *world) bool { return breaks(w, turns) })
		plain(turns, func(t []turn) bool { return breaks(w, t) })
	}
	return w, turns
}

func storySize(turns []turn) (n int) {
	for _, t := range turns {
		n += 1 + len(t.acts)
	}
	return n
}

// without is delta debugging (Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", 2002): it takes out ever
// smaller pieces as long as what is left still fails.
func without[T any](list []T, fails func([]T) bool) []T {
	for piece := (len(list) + 1) / 2; piece > 0; piece /= 2 {
		for at := 0; at < len(list); {
			rest := slices.Concat(list[:at], list[min(at+piece, len(list)):])
			if fails(rest) {
				list = rest
			} else {
				at += piece
			}
		}
		if piece == 1 {
			break
		}
	}
	return list
}

// simpler takes out of a world what it can do without.
func simpler(w *world, fails func(*world) bool) *world {
	try := func(change func(*world)) {
		copied := *w
		copied.cores, copied.keys = slices.Clone(w.cores), slices.Clone(w.keys)
		if change(&copied); fails(&copied) {
			w = &copied
		}
	}
	try(func(w *world) { w.express = false })
	for i := range w.cores {
		try(func(w *world) { w.cores[i].breaker = nil })
		try(func(w *world) { w.cores[i].retry = nil })
		try(func(w *world) { w.cores[i].budget = nil })
		try(func(w *world) { w.cores[i].age = 0 })
		try(func(w *world) { w.cores[i].keyWorkers = 0 })
		try(func(w *world) { w.cores[i].ahead = 0 })
		for k := range w.cores[i].limits {
			try(func(w *world) {
				w.cores[i].limits = slices.Clone(w.cores[i].limits)
				l := &w.cores[i].limits[k]
				*l = limitSpec{name: l.name, rate: l.rate, burst: l.burst, perKey: l.perKey}
			})
		}
	}
	for i := range w.keys {
		try(func(w *world) { w.keys[i] = keySpec{} })
	}
	return w
}

// plain takes from jobs what they ask for in vain, in place.
func plain(turns []turn, fails func([]turn) bool) {
	for i := range turns {
		for k := range turns[i].acts {
			spec := turns[i].acts[k].spec
			if spec == nil {
				continue
			}
			for _, change := range []func(*jobSpec){
				func(s *jobSpec) { s.retry = nil },
				func(s *jobSpec) { s.groups = 0 },
				func(s *jobSpec) { s.priority = 0 },
				func(s *jobSpec) { s.failFast = false },
				func(s *jobSpec) { s.deadline, s.announced = 0, false },
				func(s *jobSpec) { s.notBefore = 0 },
				func(s *jobSpec) { s.costs = nil },
			} {
				kept := *spec
				if change(spec); !fails(turns) {
					*spec = kept
				}
			}
		}
	}
}

// transcript returns a story in the grammar of scheduler/testdata, without what comes out: the end is told only if it is broken.
func transcript(w *world, turns []turn) string {
	p := newPlayer(w, nil)
	p.keep, p.look = true, 1
	func() {
		defer func() { _ = recover() }() // a panic of the core is what may be shown
		for _, t := range turns {
			if p.play(t) != nil {
				return
			}
		}
		_ = p.drain()
	}()
	var b strings.Builder
	b.WriteString(w.text())
	for i := range p.told {
		b.WriteString(p.told[i].text(w))
	}
	return b.String()
}
