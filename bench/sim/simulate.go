package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toller-go/toller/bench/sim/oracle"
)

// panicRule is the name of what a panic of the core breaks.
const panicRule = "panic"

// broken is a story in which a rule was broken.
type broken struct {
	seed  uint64
	fault *oracle.Fault
	world *world
	turns []turn
}

// play plays the story of one seed. A panic is a fault like others.
func play(seed uint64, turns int, cover *coverage) (steps int, b *broken) {
	p, fault := tellSafely(seed, turns, cover)
	if fault == nil {
		return p.steps, nil
	}
	return p.steps, &broken{seed, fault, p.world, p.told}
}

// tellSafely tells a story in which the core may panic.
func tellSafely(seed uint64, turns int, cover *coverage) (p *player, fault *oracle.Fault) {
	s := begin(seed, cover)
	p = s.p
	defer func() {
		if r := recover(); r != nil {
			fault = &oracle.Fault{Rule: panicRule, Text: fmt.Sprintf("%v\n%s", r, debug.Stack())}
		}
	}()
	return p, s.tell(turns)
}

// simulation is a run over many seeds.
type simulation struct {
	o     options
	next  atomic.Uint64
	steps atomic.Int64
	busy  atomic.Int64 // nanoseconds in which stories were played

	mu    sync.Mutex
	cover coverage // guarded by mu
	found *broken  // guarded by mu: that of the least seed
}

// simulate plays stories until one is broken or all are told.
func simulate(ctx context.Context, o options, out io.Writer) error {
	began := time.Now()
	s := &simulation{o: o}
	s.next.Store(o.first)
	if o.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.span)
		defer cancel()
	}
	var working sync.WaitGroup
	for range o.workers {
		working.Go(func() { s.work(ctx) })
	}
	done := make(chan struct{})
	go func() {
		working.Wait()
		close(done)
	}()
	for telling := true; telling; {
		select {
		case <-done:
			telling = false
		case <-time.After(10 * time.Second):
			if o.loud {
				say(out, "%v: seed %d, %d steps\n", time.Since(began).Round(time.Second), s.next.Load(), s.steps.Load())
			}
		}
	}
	if s.found != nil {
		return s.found.report(out)
	}
	seeds, perCore := s.next.Load()-o.first, float64(s.steps.Load())/(float64(s.busy.Load())/1e9)
	say(out, "seeds %d to %d: %d steps in %.1f s, %.0f a second and core; no rule was broken\n",
		o.first, o.first+seeds-1, s.steps.Load(), time.Since(began).Seconds(), perCore)
	if o.table {
		s.cover.write(out, o.enough)
	}
	return s.cover.breach()
}

func (s *simulation) work(ctx context.Context) {
	var cover coverage
	began := time.Now()
	defer func() {
		s.busy.Add(int64(time.Since(began)))
		s.mu.Lock()
		s.cover.add(&cover)
		s.mu.Unlock()
	}()
	for ctx.Err() == nil {
		if s.o.steps > 0 && s.steps.Load() >= s.o.steps {
			return
		}
		seed := s.next.Add(1) - 1
		if s.o.seeds > 0 && seed >= s.o.first+s.o.seeds {
			s.next.Add(^uint64(0)) // it was not played
			return
		}
		steps, b := play(seed, s.o.turns, &cover)
		s.steps.Add(int64(steps))
		s.mu.Lock()
		if b != nil && (s.found == nil || b.seed < s.found.seed) {
			s.found = b
		}
		stop := s.found != nil
		s.mu.Unlock()
		if stop {
			return
		}
	}
}

// playOne plays the story of one seed.
func playOne(o options, out io.Writer) error {
	p, fault := tellSafely(o.only, o.turns, nil)
	if o.loud {
		say(out, "%s", p.world.text())
		for i := range p.told {
			say(out, "%s", p.told[i].text(p.world))
		}
	}
	if fault != nil {
		return (&broken{o.only, fault, p.world, p.told}).report(out)
	}
	say(out, "seed %d: %d turns, %d steps; no rule was broken\n", o.only, p.turns, p.steps)
	return nil
}

// report says what was broken, and shows the least of the story that breaks it.
func (b *broken) report(out io.Writer) error {
	say(out, "seed %d: %v\n", b.seed, b.fault)
	if len(b.turns) > 0 {
		w, turns := shrink(b.world, b.turns, b.fault.Rule)
		_, fault := retellSafely(w, turns)
		say(out, "\n# seed %d, %d of %d turns: %s\n%s", b.seed, len(turns), len(b.turns), strings.ReplaceAll(fmt.Sprint(fault), "\n", "\n# "), transcript(w, turns))
	}
	return fmt.Errorf("seed %d broke %s (-seed %d -v shows it)", b.seed, b.fault.Rule, b.seed)
}

func retellSafely(w *world, turns []turn) (p *player, fault *oracle.Fault) {
	defer func() {
		if r := recover(); r != nil {
			fault = &oracle.Fault{Rule: panicRule, Text: fmt.Sprint(r)}
		}
	}()
	return retell(w, turns)
}
