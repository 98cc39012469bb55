package dispatcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Breaker is a [policy.Breaker] alone, for code that needs no dispatcher: it guards calls that are made on their callers'
// goroutines. It is the same machine as in a dispatcher: what was begun before the circuit opened decides nothing, a probe
// that hangs, panics or is canceled keeps nobody out, and after closing one call more is let through at once for each that
// succeeds, until it is 64 and then any number. Make one with [NewBreaker]; its methods may be called from any goroutine. It has no
// goroutine of its own, and need not be closed.
type Breaker struct {
	gate *gate          // immutable; nil in a zero Breaker
	rule policy.Breaker // immutable
}

// NewBreaker returns a breaker whose circuit is closed. The error is that of policy.Breaker.Validate.
func NewBreaker(rule policy.Breaker) (*Breaker, error) {
	if err := rule.Validate(); err != nil {
		return nil, err
	}
	return &Breaker{gate: newGate(scheduler.Config{Breaker: rule, Ramp: DefaultWorkers, Seed: rand.Uint64()}, false), rule: rule}, nil
}

// Do calls fn, unless the circuit is open, and returns its error. What that means to the circuit, its mark says:
// policy.Transient and what has none are failures; policy.Fatal, Neutral, Throttled, a panic, and whatever fn returns after ctx
// has ended are none.
//
// While the circuit is open, while it is tested by others, and while it recovers and lets no more through yet, Do returns a
// [*policy.OpenCircuitError] and does not call fn; with policy.Wait as the rule's WhenOpen it waits, until ctx ends. Other errors: the
// cause of ctx if that has ended before, [ErrNilContext], [ErrNilFunc], [ErrNilBreaker].
func (b *Breaker) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	switch {
	case !b.made():
		return ErrNilBreaker
	case ctx == nil:
		return ErrNilContext
	case fn == nil:
		return ErrNilFunc
	}
	p := &passage{entry: scheduler.Entry{FailFast: b.rule.WhenOpen != policy.Wait}}
	if ctx.Err() == nil {
		b.gate.enter(ctx, p, !p.entry.FailFast)
	}
	switch {
	case p.passed:
		return b.guard(ctx, p, fn)
	case p.reason == scheduler.CircuitOpen, p.reason == scheduler.Canceled && p.entry.FailFast:
		return b.open(p) // or it recovers, and as many are in flight as it lets through by now
	default:
		return fmt.Errorf("dispatcher: not called: %w", context.Cause(ctx))
	}
}

// guard calls fn and tells how it ended, come what may: a panic or a Goexit is no answer of the backend.
func (b *Breaker) guard(ctx context.Context, p *passage, fn func(context.Context) error) error {
	outcome := policy.Outcome{Verdict: policy.VerdictNeutral}
	defer func() {
		b.gate.take(scheduler.Event{Kind: scheduler.Done, Entry: &p.entry, Attempt: p.entry.Runs(), Outcome: outcome})
	}()
	p.err = fn(ctx)
	if p.err == nil || ctx.Err() == nil {
		outcome = new(policy.Retry).Classify(p.err)
		outcome.Retry, outcome.Throttled = false, false // to try again, and when, is the caller's affair
	}
	return p.err
}

// open is the error with which a call is turned away.
func (b *Breaker) open(p *passage) error {
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	after := time.Duration(-1)
	if p.until != policy.Never {
		after = max(0, p.until.Sub(b.gate.clock()))
	}
	return &policy.OpenCircuitError{RetryAfter: after, Cause: b.gate.cause}
}

func (b *Breaker) made() bool { return b != nil && b.gate != nil }

// State returns the state of the circuit now.
func (b *Breaker) State() policy.State {
	if !b.made() {
		return policy.Closed
	}
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	b.gate.step(scheduler.Event{Kind: scheduler.Tick})
	for _, key := range b.gate.core.Snapshot().Keys { // there is but one, or it is as new
		return key.Circuit
	}
	return policy.Closed
}

// Reset closes the circuit, forgets what it has counted, and leaves it to its rule. So ForceOpen, ForceClosed and Disable are
// undone.
func (b *Breaker) Reset() { b.override(policy.Automatic) }

// ForceOpen opens the circuit until Reset.
func (b *Breaker) ForceOpen() { b.override(policy.ForcedOpen) }

// ForceClosed closes the circuit and keeps it closed, whatever happens, until Reset.
func (b *Breaker) ForceClosed() { b.override(policy.ForcedClosed) }

// Disable closes the circuit and counts nothing until Reset.
func (b *Breaker) Disable() { b.override(policy.Disabled) }

func (b *Breaker) override(mode policy.Mode) {
	if b.made() {
		b.gate.take(scheduler.Event{Kind: scheduler.Override, Mode: mode})
	}
}
