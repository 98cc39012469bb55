package dispatcher

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// gate is a core without a dispatcher: a lock in the place of the loop, and callers who do their work themselves. It has no
// goroutine, and a timer only while somebody waits. A [Limiter] and a [Breaker] are gates.
type gate struct {
	start time.Time // immutable; zero of the clock
	door  bool      // immutable; who has passed is done with the gate at once

	mu      sync.Mutex
	core    *scheduler.Core // guarded by mu
	timer   *time.Timer     // guarded by mu; nil until somebody has to wait
	waiting int             // guarded by mu
	cause   error           // guarded by mu; what opened the circuit
}

// passage is one call that has come to a gate.
type passage struct {
	entry   scheduler.Entry
	waits   bool             // it waits
	decided chan struct{}    // of one that waits: closed when it may go on or has been turned away
	passed  bool             // it may go on
	reason  scheduler.Reason // why it was turned away
	until   policy.Time      // of CircuitOpen: when the circuit is tested next
	lacks   []scheduler.Wait // what it gave up waiting for
	err     error            // in which its work ended
}

func newGate(cfg scheduler.Config, door bool) *gate {
	cfg.Workers = math.MaxInt // who calls brings a goroutine
	return &gate{start: time.Now(), door: door, core: scheduler.New(cfg)}
}

// enter waits until the call may go on or has been turned away, or ctx ends; nobody waits while wait is false.
func (g *gate) enter(ctx context.Context, p *passage, wait bool) {
	ended := ctx.Done() // which may panic, so before there is something to be undone
	g.mu.Lock()
	defer g.mu.Unlock()
	p.entry.Owner = p
	if wait {
		p.waits, p.decided = true, make(chan struct{})
		g.waiting++
	}
	g.step(scheduler.Event{Kind: scheduler.Submit, Entry: &p.entry})
	if p.waits {
		g.mu.Unlock()
		select {
		case <-p.decided:
		case <-ended:
		}
		g.mu.Lock()
	}
	if !p.passed {
		p.lacks = g.core.Explain(&p.entry)
		g.step(scheduler.Event{Kind: scheduler.Cancel, Entry: &p.entry}) // if it is over, this changes nothing
	}
}

// step takes an event, and does what the core says. mu is held.
func (g *gate) step(ev scheduler.Event) {
	ev.At = g.clock()
	g.core.Step(ev)
	for {
		var through []*scheduler.Entry
		for _, effect := range g.core.Effects() {
			g.carryOut(effect)
			if effect.Kind == scheduler.Start && g.door {
				through = append(through, effect.Entry)
			}
		}
		if len(through) == 0 {
			break
		}
		for _, e := range through {
			g.core.Step(scheduler.Event{Kind: scheduler.Done, At: ev.At, Entry: e, Attempt: e.Runs()})
		}
	}
	g.setTimer()
}

func (g *gate) carryOut(effect scheduler.Effect) {
	if effect.Kind == scheduler.Closed {
		g.cause = nil
	}
	if effect.Entry == nil {
		return
	}
	p := effect.Entry.Owner.(*passage)
	switch effect.Kind {
	case scheduler.Start:
		p.passed = true
	case scheduler.Settle:
		p.reason, p.until = effect.Reason, effect.Until
	case scheduler.Opened:
		g.cause = p.err
		return
	default:
		return
	}
	if p.waits {
		p.waits = false
		g.waiting--
		close(p.decided)
	}
}

// setTimer sees to it that those who wait are looked at again. mu is held.
func (g *gate) setTimer() {
	next := g.core.NextWake()
	switch {
	case next == policy.Never || g.waiting == 0:
		if g.timer != nil {
			g.timer.Stop()
		}
	case g.timer == nil:
		g.timer = time.AfterFunc(next.Sub(g.clock()), g.tick)
	default:
		g.timer.Reset(next.Sub(g.clock()))
	}
}

func (g *gate) tick() { g.take(scheduler.Event{Kind: scheduler.Tick}) }

// take is step for those who do not hold mu.
func (g *gate) take(ev scheduler.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.step(ev)
}

// clock reads the monotonic clock. mu is held, so that it never seems to run backwards.
func (g *gate) clock() policy.Time { return 1 + policy.Time(time.Since(g.start)) }
