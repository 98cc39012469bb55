package dispatcher

import (
	"fmt"
	"slices"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// SetRate changes how fast a limit's bucket fills, from now on. Jobs that wait for it are planned anew at once: none sleeps
// on by the old rate. The buckets keep what they hold, as far as it fits: a burst that was left to its default follows the
// rate, as if by SetBurst, save to Blocked and Unlimited. A key that is idle while the rate of a limit per key is Unlimited
// may be forgotten, and has a full bucket when there is a rate again. The error is a [*policy.FieldError]: there is no such
// limit, or the rate makes no sense.
func (d *Dispatcher) SetRate(limit string, rate policy.Rate) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	if shared := d.sharedLimit(limit); shared != nil {
		return shared.SetRate(rate)
	}
	return d.changeLimit(limit, func(l *policy.Limit) { *l = l.WithRate(rate) }, func(i int) scheduler.Event {
		return scheduler.Event{Kind: scheduler.SetRate, Limit: i, Rate: rate}
	})
}

// SetBurst changes the most that a limit's bucket holds, in tokens. A larger bucket fills at the rate, not at once; what a
// smaller one cannot hold is lost. A job that this makes impossible, because the limit is strict, fails with
// job.ErrCostTooHigh. The error is a [*policy.FieldError]: there is no such limit, or the burst makes no sense.
func (d *Dispatcher) SetBurst(limit string, burst float64) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	if shared := d.sharedLimit(limit); shared != nil {
		return shared.SetBurst(burst)
	}
	return d.changeLimit(limit, func(l *policy.Limit) { *l = l.WithBurst(burst) }, func(i int) scheduler.Event {
		return scheduler.Event{Kind: scheduler.SetBurst, Limit: i, Burst: burst}
	})
}

// Observe takes the server's word for how much is left of a limit, in tokens: no more is in the bucket from now on. It can
// only lower the level. key says whose bucket is meant where the limit is per key. The error is a [*policy.FieldError], or
// [ErrTooManyKeys] for a key that is not in use and would be one too many.
func (d *Dispatcher) Observe(limit, key string, remaining float64) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	i, err := d.limitIndex(limit)
	if err != nil {
		return err
	}
	amount, err := policy.AmountOf(fmt.Sprintf("remaining of limit %q", limit), remaining)
	if err != nil {
		return err
	}
	if limits := *d.limits.Load(); !limits[i].PerKey {
		d.ask(func() {
			d.loop.core.Step(scheduler.Event{Kind: scheduler.Observe, At: d.loop.now, Limit: i, Amount: amount})
		})
		return nil
	}
	rules, err := d.keys.admit(key)
	if err != nil {
		return err
	}
	d.ask(func() {
		d.keys.add(key, rules)
		d.loop.core.Step(scheduler.Event{Kind: scheduler.Observe, At: d.loop.now, Limit: i, Key: key, Rules: rules, Amount: amount})
	})
	return nil
}

// SetWorkers changes how many attempts may be in flight at once. Fewer than are in flight pre-empts nothing: no more are
// started until there are fewer. The error is a [*policy.FieldError]: n is below 1.
func (d *Dispatcher) SetWorkers(n int) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	if n < 1 {
		return &policy.FieldError{Field: "Workers", Value: n, Allowed: "at least 1"}
	}
	d.ask(func() { d.loop.core.Step(scheduler.Event{Kind: scheduler.SetWorkers, At: d.loop.now, Workers: n}) })
	return nil
}

// SetKeyWorkers changes how many attempts of each key may be in flight at once, save for keys that have a bound of their own;
// 0 for no bound. The error is a [*policy.FieldError]: n is negative.
func (d *Dispatcher) SetKeyWorkers(n int) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	if n < 0 {
		return &policy.FieldError{Field: "KeyWorkers", Value: n, Allowed: "positive, or 0 for no bound"}
	}
	d.ask(func() { d.loop.core.Step(scheduler.Event{Kind: scheduler.SetKeyWorkers, At: d.loop.now, Workers: n}) })
	return nil
}

// SetGroupWorkers changes how many attempts of a group's jobs may be in flight at once, like SetWorkers. The error is a
// [*policy.FieldError]: there is no such group, or n is below 1.
func (d *Dispatcher) SetGroupWorkers(group string, n int) error {
	if !d.made() {
		return ErrNilDispatcher
	}
	i, err := d.groupIndex(group)
	if err != nil {
		return err
	}
	if n < 1 {
		return &policy.FieldError{Field: fmt.Sprintf("Groups(%q).Workers", group), Value: n, Allowed: "at least 1"}
	}
	d.ask(func() {
		d.loop.core.Step(scheduler.Event{Kind: scheduler.SetGroup, At: d.loop.now, Group: i, Workers: n})
	})
	return nil
}

// sharedLimit returns the shared limit of this name, or nil.
func (d *Dispatcher) sharedLimit(name string) *SharedLimit {
	i := slices.IndexFunc(*d.limits.Load(), func(l policy.Limit) bool { return l.Name == name })
	if i < len(d.cfg.Limits) {
		return nil
	}
	return d.sharing.limits[i-len(d.cfg.Limits)]
}

// changeLimit makes a change to one limit: first for those who submit, then for those who wait.
func (d *Dispatcher) changeLimit(name string, change func(*policy.Limit), event func(i int) scheduler.Event) error {
	i, err := d.limitIndex(name)
	if err != nil {
		return err
	}
	d.adjusting.Lock() // two changes must reach those who submit and those who wait in the same order
	defer d.adjusting.Unlock()
	limits := slices.Clone(*d.limits.Load())
	change(&limits[i])
	if err := limits[i].Validate(); err != nil {
		return err
	}
	d.limits.Store(&limits)
	ev := event(i)
	d.ask(func() {
		ev.At = d.loop.now
		d.loop.core.Step(ev)
	})
	return nil
}
