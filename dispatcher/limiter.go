package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Limiter is a [policy.Limit] alone, for code that needs no dispatcher: who wants tokens takes them, or waits for them on his own
// goroutine. It is the same machine as in a dispatcher: those who wait are served in the order in which they came, a large
// amount is not starved by small ones, and who gives up has taken nothing. Make one with [NewLimiter]; its methods may be
// called from any goroutine. It has no goroutine of its own, and need not be closed.
type Limiter struct {
	gate *gate        // immutable; nil in a zero Limiter
	rule policy.Limit // guarded by gate.mu
}

// NewLimiter returns a limiter. The error is that of Limit.Validate; besides, PerKey and Settled are refused, for there are
// neither keys nor attempts.
func NewLimiter(limit policy.Limit) (*Limiter, error) {
	if err := limit.Validate(); err != nil {
		return nil, err
	}
	if limit.PerKey {
		return nil, &policy.FieldError{Field: fmt.Sprintf("Limit(%q).PerKey", limit.Name), Value: true, Allowed: "false, because a Limiter knows no keys"}
	}
	if limit.Settled {
		return nil, &policy.FieldError{Field: fmt.Sprintf("Limit(%q).Settled", limit.Name), Value: true, Allowed: "false, because a Limiter knows no attempts"}
	}
	return &Limiter{gate: newGate(scheduler.Config{Limits: []policy.Limit{limit}}, true), rule: limit}, nil
}

// Acquire takes so many tokens, and waits until they are there. Fractions are allowed, and kept to a millionth. When ctx ends
// first it takes nothing, and the error matches the cause of ctx. Other errors: [ErrNilContext], [ErrNilLimiter], and a
// [*policy.FieldError] for an amount that makes no sense or that the limit does not admit, or does not any more.
func (l *Limiter) Acquire(ctx context.Context, tokens float64) error {
	if ctx == nil {
		return ErrNilContext
	}
	for {
		p, err := l.passage(tokens)
		if err != nil {
			return err
		}
		if ctx.Err() == nil {
			l.gate.enter(ctx, p, true)
		}
		switch {
		case p.passed:
			return nil
		case p.reason == scheduler.CostTooHigh:
			// The limit was changed meanwhile. If it admits so much again by now, the wait begins anew.
		default:
			return fmt.Errorf("limit %q: took none of %g tokens: %w", l.Limit().Name, tokens, context.Cause(ctx))
		}
	}
}

// LimitedError is what [Limiter.TryAcquire] returns when it would have to wait.
type LimitedError struct {
	Limit      string        // its name
	RetryAfter time.Duration // until there is enough if nobody takes any; negative if no time can tell, since others wait too
}

// Error names the limit and says when to try again.
func (e *LimitedError) Error() string {
	if e.RetryAfter < 0 {
		return fmt.Sprintf("limit %q: not now", e.Limit)
	}
	return fmt.Sprintf("limit %q: not now, retry after %v", e.Limit, e.RetryAfter)
}

// TryAcquire is [Limiter.Acquire] for those who won't wait: then it takes nothing, and the error is a [*LimitedError].
func (l *Limiter) TryAcquire(tokens float64) error {
	p, err := l.passage(tokens)
	if err != nil {
		return err
	}
	l.gate.enter(context.Background(), p, false)
	if p.passed {
		return nil
	}
	limited := &LimitedError{Limit: l.Limit().Name, RetryAfter: -1}
	for _, lack := range p.lacks {
		limited.RetryAfter = max(limited.RetryAfter, lack.In)
	}
	return limited
}

// passage returns a call that has not come yet.
func (l *Limiter) passage(tokens float64) (*passage, error) {
	if !l.made() {
		return nil, ErrNilLimiter
	}
	rule := l.Limit()
	cost, err := policy.AmountOf(fmt.Sprintf("cost of limit %q", rule.Name), tokens)
	if err == nil {
		err = rule.Admits(cost)
	}
	if err != nil {
		return nil, err
	}
	return &passage{entry: scheduler.Entry{Terms: &scheduler.Terms{Costs: []policy.Amount{cost}}}}, nil
}

func (l *Limiter) made() bool { return l != nil && l.gate != nil }

// Limit returns the limit as it is now.
func (l *Limiter) Limit() policy.Limit {
	if !l.made() {
		return policy.Limit{}
	}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return l.rule
}

// Level returns what the bucket holds now, in tokens; negative while it is in debt.
func (l *Limiter) Level() float64 {
	if !l.made() {
		return 0
	}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	l.gate.step(scheduler.Event{Kind: scheduler.Tick})
	return l.gate.core.Snapshot().Limits[0].Level
}

// SetRate changes how fast the bucket fills, from now on, as [Dispatcher.SetRate] does.
func (l *Limiter) SetRate(rate policy.Rate) error {
	return l.change(func(rule policy.Limit) policy.Limit { return rule.WithRate(rate) }, scheduler.Event{Kind: scheduler.SetRate, Rate: rate})
}

// SetBurst changes the most that the bucket holds, in tokens, as [Dispatcher.SetBurst] does.
func (l *Limiter) SetBurst(tokens float64) error {
	return l.change(func(rule policy.Limit) policy.Limit { return rule.WithBurst(tokens) }, scheduler.Event{Kind: scheduler.SetBurst, Burst: tokens})
}

func (l *Limiter) change(how func(policy.Limit) policy.Limit, ev scheduler.Event) error {
	if !l.made() {
		return ErrNilLimiter
	}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	changed := how(l.rule)
	if err := changed.Validate(); err != nil {
		return err
	}
	l.rule = changed
	l.gate.step(ev)
	return nil
}

// Observe takes the server's word for how much is left, in tokens. It can only lower the level.
func (l *Limiter) Observe(remaining float64) error {
	if !l.made() {
		return ErrNilLimiter
	}
	amount, err := policy.AmountOf(fmt.Sprintf("remaining of limit %q", l.Limit().Name), remaining)
	if err != nil {
		return err
	}
	l.gate.take(scheduler.Event{Kind: scheduler.Observe, Amount: amount})
	return nil
}
