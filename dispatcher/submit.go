package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Submit hands a job in and returns its future. ctx is the job's life: when it ends, so does the job.
//
// While as many jobs are unsettled as Config.Queue allows, Submit waits for room, until ctx ends; called with the context
// of an attempt of the same dispatcher it does not wait but returns [ErrQueueFull], since the room it waits for might be
// its own. (From inside a job, pass on the context that the function was given, or one made from it: without it this cannot
// be told. That context ends with the attempt; for a job that is to outlive it, pass context.WithoutCancel(ctx).)
//
// The error is about the submission, and then there is no future: [ErrClosed], [ErrQueueFull], [ErrTooManyKeys], the cause of
// ctx, a [*policy.FieldError] for an option that makes no sense. Whatever happens later is told by the future.
//
// While the job's circuit is open it waits, without using up attempts, for as long as the backend is down: a context with a
// deadline, [WithDeadline] or [WithWhenOpen] bounds that.
func Submit[T any](ctx context.Context, d *Dispatcher, fn job.Func[T], options ...Option) (*job.Future[T], error) {
	t, err := newTask(ctx, d, fn, policy.Wait, options)
	if err != nil {
		return nil, err
	}
	if err := d.accept(&t.header, true); err != nil {
		return nil, err
	}
	return t.promise.Future(), nil
}

// TrySubmit is [Submit] for a caller who won't wait: a full queue is [ErrQueueFull] at once, and an open circuit fails the
// job at once, through its future, with an error that holds a [*policy.OpenCircuitError].
func TrySubmit[T any](ctx context.Context, d *Dispatcher, fn job.Func[T], options ...Option) (*job.Future[T], error) {
	t, err := newTask(ctx, d, fn, policy.FailFast, options)
	if err != nil {
		return nil, err
	}
	if err := d.accept(&t.header, false); err != nil {
		return nil, err
	}
	return t.promise.Future(), nil
}

// Go is [Submit] for a function that has an error and no other result.
func Go(ctx context.Context, d *Dispatcher, fn func(ctx context.Context) error, options ...Option) (*job.Future[struct{}], error) {
	if fn == nil {
		return nil, ErrNilFunc
	}
	return Submit(ctx, d, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, options...)
}

// newTask makes a task that has not been accepted yet. byCall is what its kind of call does at an open circuit.
func newTask[T any](ctx context.Context, d *Dispatcher, fn job.Func[T], byCall policy.WhenOpen, options []Option) (*task[T], error) {
	switch {
	case !d.made():
		return nil, ErrNilDispatcher
	case ctx == nil:
		return nil, ErrNilContext
	case fn == nil:
		return nil, ErrNilFunc
	case ctx.Err() != nil:
		return nil, fmt.Errorf("dispatcher: not accepted: %w", context.Cause(ctx))
	}
	t := &task[T]{fn: fn}
	t.promise.Init(&t.header)
	t.entry.Owner = t
	return t, t.init(ctx, d, byCall, options)
}

// init fills in the header. Instants are taken here, so that what is said in durations counts from the call.
func (h *header) init(ctx context.Context, d *Dispatcher, byCall policy.WhenOpen, options []Option) error {
	h.d, h.ctx, h.watched = d, ctx, ctx.Done() != nil
	deadline, announced := ctx.Deadline()
	if len(options) == 0 && !announced && !d.costRequired {
		h.choose(d.cfg.Breaker.WhenOpen, byCall, false)
		return nil
	}
	s, err := d.apply(options)
	if err != nil {
		return err
	}
	h.entry.Key, h.entry.Priority = s.key, int8(s.priority)
	h.choose(s.whenOpen, byCall, s.said)
	bound := time.Time{}
	if !s.deadline.IsZero() && (!announced || s.deadline.Before(deadline)) {
		deadline, announced, bound = s.deadline, false, s.deadline
	}
	terms := scheduler.Terms{Costs: s.costs, Groups: s.groups, Retry: s.retry}
	if s.delay > 0 {
		terms.NotBefore = d.clock().Add(s.delay)
	}
	if !deadline.IsZero() {
		terms.Deadline, terms.Announced = d.at(deadline), announced
	}
	if s.asks(d) || !deadline.IsZero() {
		h.ask(asked{terms: terms, timeout: cmp.Or(s.timeout, -1), bound: bound})
	}
	return nil
}

// choose says what becomes of the job at an open circuit. said means that an option has: then the key's own breaker has no say.
func (h *header) choose(choice, byCall policy.WhenOpen, said bool) {
	h.entry.FailFast = cmp.Or(choice, byCall) == policy.FailFast
	if !said {
		h.byCall = byCall
	}
}

// ask notes what a submission has asked for.
func (h *header) ask(a asked) {
	h.asked = &a
	h.entry.Terms = &h.asked.terms
}

// accept takes room for the job and posts it. After that it is bound to be settled. wait says whether to wait for room, save
// inside a job of the same dispatcher, whose own room that might be (S-F8). What its key has of its own is asked before: that is the
// caller's code, which may hand in jobs as well.
func (d *Dispatcher) accept(h *header, wait bool) error {
	rules, known, err := d.keys.rulesOf(h.entry.Key)
	if err != nil {
		return err
	}
	if !d.room.tryTake() {
		known = false // for long, perhaps
		if err := d.room.take(h.ctx, func() bool { return wait && !d.place.Inside(h.ctx) }); err != nil {
			return err
		}
	}
	if !known {
		if rules, err = d.keys.enter(h.entry.Key, rules); err != nil {
			d.room.giveBack()
			return err
		}
	}
	h.follow(rules)
	if !d.submit(h) {
		d.room.giveBack()
		return ErrClosed
	}
	h.startWatch() // not before: the core must know a job that is canceled
	return nil
}

// follow gives the job the rules of its key, if that has some of its own.
func (h *header) follow(rules *scheduler.KeyRules) {
	if rules == nil {
		return
	}
	if h.asked == nil {
		h.ask(asked{})
	}
	h.asked.terms.Rules = rules
	if rules.Breaker != nil && h.byCall != policy.ByCall {
		h.entry.FailFast = cmp.Or(rules.Breaker.WhenOpen, h.byCall) == policy.FailFast
	}
}
