package dispatcher

import (
	"context"
	"slices"
	"sync"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/scheduler"
)

// vigil is an attempt that waits for another job of its dispatcher (S-F8).
type vigil struct {
	by       *header
	attempt  int
	on       *header
	hopeless func() // tells it that the job will never be over; does not block
}

// Beside reports whether ctx belongs to an attempt of the job's dispatcher.
func (h *header) Beside(ctx context.Context) bool { return h.d.place.Inside(ctx) }

// AttendJob notes that the attempt to which ctx belongs waits for the job, until leave is called.
func (h *header) AttendJob(ctx context.Context, hopeless func()) (leave func()) {
	vigils := h.vigils(ctx, hopeless)
	if len(vigils) == 0 { // ctx is of a dispatcher of the same name, which has been closed
		return func() {}
	}
	each := func(do func(*vigil)) {
		h.d.post(&message{do: func() {
			for _, v := range vigils {
				do(v)
			}
		}})
	}
	each(h.d.beginVigil)
	return func() { each(h.d.endVigil) }
}

// vigils returns that of the attempt which waits for the job, and those of all that wait with it: an attempt that is run within a Do
// keeps the one that has called it, and so on. All tell the same one, who waits in the end; that he is the latest matters where an
// attempt has called several, for the latest is told first.
func (h *header) vigils(ctx context.Context, hopeless func()) (vigils []*vigil) {
	hopeless = sync.OnceFunc(hopeless)
	for on, waits := h, true; waits; {
		attempt, settler := h.d.place.Attempt(ctx)
		by, ok := settler.(*header)
		if !ok || by.d != h.d {
			break
		}
		vigils = append(vigils, &vigil{by: by, attempt: attempt.N, on: on, hopeless: hopeless})
		on, ctx, waits = by, by.ctx, by.keepsCaller()
	}
	slices.Reverse(vigils)
	return vigils
}

// cancelHopeless cancels a job for whose end nobody can wait.
func (h *header) cancelHopeless() {
	h.d.post(&message{kind: scheduler.Cancel, job: h, err: job.ErrDeadlock})
}

// beginVigil, endVigil and tellHopeless are for the loop only.
func (d *Dispatcher) beginVigil(v *vigil) {
	d.loop.vigils = append(d.loop.vigils, v)
	d.loop.core.Step(scheduler.Event{Kind: scheduler.Await, At: d.loop.now, Entry: &v.on.entry, By: &v.by.entry, Attempt: v.attempt})
}

func (d *Dispatcher) endVigil(v *vigil) {
	if i := slices.Index(d.loop.vigils, v); i >= 0 {
		d.loop.vigils = slices.Delete(d.loop.vigils, i, i+1)
		d.loop.core.Step(scheduler.Event{Kind: scheduler.Unawait, At: d.loop.now, Entry: &v.on.entry, By: &v.by.entry, Attempt: v.attempt})
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
