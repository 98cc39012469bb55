package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// The context of an attempt costs nothing until somebody wants to know of its end. It answers what is asked of the attempt by
// itself. For all else, Done above all, it makes a context of package context, which knows how to pass on an end, its cause and
// a deadline, and asks that one from then on.

// firstAttempt is the context of a job's first attempt, which is the job itself.
type firstAttempt header

// laterAttempt is the context of any other attempt.
type laterAttempt struct {
	h    *header
	n    uint32
	due  policy.Time  // when its time is up; zero: never
	live *liveContext // guarded by h.mu; nil until somebody wanted to know its end
}

// liveContext is what an attempt's context asks. To cancel it is to end the attempt's context.
type liveContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

func (a *firstAttempt) head() *header { return (*header)(a) }

// due returns when the time of the attempt is up; zero for never.
func (a *firstAttempt) due() policy.Time {
	if h := a.head(); h.timeout() > 0 {
		return h.tell().due
	}
	return 0
}

func (a *firstAttempt) get() *liveContext { return a.head().liveOf(1, a.due(), &a.head().live) }

func (a *firstAttempt) Attempt() job.Attempt        { return a.head().attempt(1) }
func (a *firstAttempt) Deadline() (time.Time, bool) { return a.head().deadline(a.due()) }
func (a *firstAttempt) Done() <-chan struct{}       { return a.get().Done() }

func (a *firstAttempt) Err() error {
	if h := a.head(); h.calm(1, a.due(), &h.live) && h.ctx.Err() == nil {
		return nil
	}
	return a.get().Err() // which comes with its Done, be it later than that of the job's context
}

func (a *firstAttempt) Value(key any) any {
	if a.d.place.Asked(key) {
		return a
	}
	return a.get().Value(key)
}

func (a *laterAttempt) get() *liveContext { return a.h.liveOf(a.n, a.due, &a.live) }

func (a *laterAttempt) Attempt() job.Attempt        { return a.h.attempt(a.n) }
func (a *laterAttempt) Deadline() (time.Time, bool) { return a.h.deadline(a.due) }
func (a *laterAttempt) Done() <-chan struct{}       { return a.get().Done() }

func (a *laterAttempt) Err() error {
	if a.h.calm(a.n, a.due, &a.live) && a.h.ctx.Err() == nil {
		return nil
	}
	return a.get().Err()
}

func (a *laterAttempt) Value(key any) any {
	if a.h.d.place.Asked(key) {
		return a
	}
	return a.get().Value(key)
}

func (a *firstAttempt) String() string { return a.head().attemptName(1) }
func (a *laterAttempt) String() string { return a.h.attemptName(a.n) }

// attemptName is what a context of an attempt prints as, and those of package context that are below it. Printed field by field it
// would be a job, in which others write at the same time.
func (h *header) attemptName(n uint32) string {
	return fmt.Sprintf("attempt %d of job %d of dispatcher %q", n, h.id, h.d.name)
}

func (h *header) attempt(n uint32) job.Attempt {
	return job.Attempt{ID: h.id, N: int(n), Key: h.entry.Key, Dispatcher: h.d.name}.WithSettler(h)
}

// bound returns a deadline of the job that its context does not know of; zero for none.
func (h *header) bound() time.Time {
	if h.asked == nil {
		return time.Time{}
	}
	return h.asked.bound
}

// deadline returns when the context of an attempt ends by itself, if it does.
func (h *header) deadline(due policy.Time) (at time.Time, ok bool) {
	at, ok = h.ctx.Deadline()
	earlier := func(other time.Time) {
		if !other.IsZero() && (!ok || other.Before(at)) {
			at, ok = other, true
		}
	}
	earlier(h.bound())
	if due > 0 {
		earlier(h.d.moment(due))
	}
	return at, ok
}

// calm reports whether attempt n's context ends only with the job's own, as far as can be told.
func (h *header) calm(n uint32, due policy.Time, live **liveContext) bool {
	if due > 0 || !h.bound().IsZero() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	over, _ := h.overFor(n)
	return *live == nil && !over
}

// overFor reports whether attempt n has ended or is not wanted any more, and why. mu is held.
func (h *header) overFor(n uint32) (over bool, why error) {
	switch {
	case n < h.begun || n == h.begun && h.ended && h.turn != goneOn: // see stream.goOn
		return true, nil
	case h.story != nil && h.story.over != nil:
		return true, h.story.over
	default:
		return false, nil
	}
}

// liveOf returns what attempt n's context asks, which it makes if need be.
func (h *header) liveOf(n uint32, due policy.Time, place **liveContext) *liveContext {
	h.mu.Lock()
	live := *place
	h.mu.Unlock()
	if live != nil {
		return live
	}
	made := h.makeLive(due) // calls the caller's context, so mu is not held
	h.mu.Lock()
	if *place == nil {
		*place = made
	}
	live = *place
	over, why := h.overFor(n)
	h.mu.Unlock()
	if live != made {
		made.cancel(nil) // somebody was faster
	}
	if over {
		h.cut(live, why)
	}
	return live
}

// cut ends an attempt's context before the attempt has ended. When it is a deadline that has come, be it the caller's context's or one
// that only we know of, the context has that, too, and ends by itself: then its Err tells a deadline, whoever is quicker.
func (h *header) cut(live *liveContext, why error) {
	if why == context.DeadlineExceeded && !h.bound().IsZero() || h.expired() { //nolint:errorlint // only our own: see signalCause
		return
	}
	live.cancel(why)
}

// expired reports whether the deadline of the caller's context has come. One that panics is not known to have one.
func (h *header) expired() (yes bool) {
	defer func() { _ = recover() }()
	select {
	case <-h.ctx.Done():
		return h.ctx.Err() == context.DeadlineExceeded
	default:
		return false
	}
}

// makeLive makes a context that ends with the job's own and at the deadlines of an attempt.
func (h *header) makeLive(due policy.Time) *liveContext {
	ctx, cancel := context.WithCancelCause(h.ctx)
	live := &liveContext{ctx, cancel}
	if !h.bound().IsZero() { // by our clock, by which the job is settled at the same moment
		live.add(context.WithDeadline(live.Context, h.d.moment(h.asked.terms.Deadline)))
	}
	if due > 0 {
		live.add(context.WithDeadlineCause(live.Context, h.d.moment(due), job.ErrAttemptTimeout))
	}
	return live
}

// add makes ctx, which is one below l's, l's own.
func (l *liveContext) add(ctx context.Context, stop context.CancelFunc) {
	cancel := l.cancel
	l.Context, l.cancel = ctx, func(cause error) { cancel(cause); stop() }
}

// timedOut reports whether the time of attempt n, which has just returned, was up by then.
func (h *header) timedOut(n uint32) bool {
	due := (*firstAttempt)(h).due()
	if n > 1 {
		due = h.tell().later.due
	}
	return due > 0 && h.d.clock() >= due
}
