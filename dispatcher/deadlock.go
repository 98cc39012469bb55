package dispatcher

import (
	"context"
	"slices"
	"sync"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// vigil is an attempt that waits for another job of its dispatcher, or for any one of several (S-F8).
type vigil struct {
	by       *header
	attempt  int
	on       *header            // nil: any
	any      *scheduler.Awaited // in place of on
	left     int                // of any: how many it has not taken the result of
	hopeless func()             // tells it that what it waits for will never be over; does not block
}

// event is that the vigil begins or ends.
func (v *vigil) event(kind scheduler.EventKind, at policy.Time) scheduler.Event {
	ev := scheduler.Event{Kind: kind, At: at, By: &v.by.entry, Attempt: v.attempt, Any: v.any, Left: v.left}
	if v.on != nil {
		ev.Entry = &v.on.entry
	}
	return ev
}

// Place returns that of the job's dispatcher.
func (h *header) Place() job.Place { return h.d.place }

// AttendJobs returns the wait of the attempt that ctx belongs to for any one of jobs. Those of a dispatcher of the same name, which has
// been closed, are over.
func (h *header) AttendJobs(ctx context.Context, jobs []job.Owner) job.Attendance {
	a := &attendance{d: h.d, ctx: ctx, any: new(scheduler.Awaited)}
	for _, other := range jobs {
		if mine, ok := other.(*header); ok && mine.d == h.d {
			a.any.Add(&mine.entry)
		}
	}
	return a
}

// attend notes that the attempt to which ctx belongs waits for the job, until leave is called.
func (h *header) attend(ctx context.Context, hopeless func()) (leave func()) {
	a := &attendance{d: h.d, ctx: ctx, on: h}
	a.Begin(1, hopeless)
	return a.End
}

// attendance is the wait of ctx's attempt for a job, or any one of several, and of all that wait with it.
type attendance struct {
	d      *Dispatcher
	ctx    context.Context //nolint:containedctx // the attempt's, which calls Begin and End
	on     *header
	any    *scheduler.Awaited
	vigils []*vigil // since Begin
}

// Begin posts the vigils.
func (a *attendance) Begin(left int, hopeless func()) {
	a.vigils = a.begun(left, sync.OnceFunc(hopeless))
	a.each(a.d.beginVigil)
}

// End ends them.
func (a *attendance) End() { a.each(a.d.endVigil) }

func (a *attendance) each(do func(*vigil)) {
	vigils := a.vigils
	if len(vigils) == 0 { // no attempt of this dispatcher is known to wait
		return
	}
	a.d.post(&message{do: func() {
		for _, v := range vigils {
			do(v)
		}
	}})
}

// begun returns the vigil of the attempt that waits, and those of all that wait with it: an attempt that is run within a Do keeps the
// one that has called it, and so on. All tell the same one, who waits in the end; that he is the latest matters where an attempt has
// called several, for the latest is told first. The attempts between may be of other dispatchers. A job that was submitted, even there,
// ends the row: what waits for it is not known to wait.
func (a *attendance) begun(left int, hopeless func()) (vigils []*vigil) {
	on, anyOf := a.on, a.any
	for n, by := attemptOf(a.ctx); by != nil; n, by = by.caller() {
		if by.d == a.d {
			vigils = append(vigils, &vigil{by: by, attempt: n, on: on, any: anyOf, left: left, hopeless: hopeless})
			on, anyOf = by, nil
		}
	}
	slices.Reverse(vigils)
	return vigils
}

// attemptOf returns the number and the job of the attempt that ctx belongs to, of whichever dispatcher; nil if there is none.
func attemptOf(ctx context.Context) (int, *header) {
	attempt, _ := job.AttemptFrom(ctx)
	by, _ := attempt.Settler().(*header)
	return attempt.N, by
}

// caller returns the attempt that has handed h in, and does nothing else until it is over; nil if there is none.
func (h *header) caller() (int, *header) {
	h.mu.Lock()
	keeps := h.keeps()
	if keeps {
		h.told().callerWaits = true
	}
	h.mu.Unlock()
	if !keeps {
		return 0, nil
	}
	return attemptOf(h.ctx)
}

// cancelHopeless cancels a job for whose end nobody can wait.
func (h *header) cancelHopeless() {
	h.d.post(&message{kind: scheduler.Cancel, job: h, err: job.ErrDeadlock})
}

// beginVigil, endVigil, endVigilsOn and tellHopeless are for the loop only.
func (d *Dispatcher) beginVigil(v *vigil) {
	if v.on != nil && !v.on.keepsCaller() {
		return // he has been released meanwhile
	}
	d.loop.vigils = append(d.loop.vigils, v)
	d.loop.core.Step(v.event(scheduler.Await, d.loop.now))
}

func (d *Dispatcher) endVigil(v *vigil) {
	for i, other := range slices.Backward(d.loop.vigils) { // the latest is most often the first to end
		if other == v {
			d.loop.vigils = slices.Delete(d.loop.vigils, i, i+1)
			d.loop.core.Step(v.event(scheduler.Unawait, d.loop.now))
			return
		}
	}
}

// endVigilsOn ends those of who has handed h in.
func (d *Dispatcher) endVigilsOn(h *header) {
	for _, v := range slices.Clone(d.loop.vigils) {
		if v.on == h {
			d.endVigil(v)
		}
	}
}

// tellHopeless ends all vigils of one attempt, which the core has forgotten.
func (d *Dispatcher) tellHopeless(by *header) {
	d.loop.vigils = slices.DeleteFunc(d.loop.vigils, func(v *vigil) bool {
		if v.by == by {
			v.hopeless()
		}
		return v.by == by
	})
}
