package dispatcher

import (
	"fmt"
	"slices"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/scheduler"
)

// ExplainJob says what the job waits for, and how its attempts have failed.
func (h *header) ExplainJob() job.Explanation {
	// When the dispatcher has ended, so has the job.
	e := job.Explanation{ID: h.id, Dispatcher: h.d.name, Key: h.entry.Key, State: scheduler.Settled.String()}
	h.d.ask(func() {}) // a job that has only just come in has been looked at once after this turn
	h.d.ask(func() {
		e.State, e.Attempts = h.entry.State().String(), h.entry.Runs()
		if h.entry.State() == scheduler.Detached {
			e.State = scheduler.Settled.String() // for all who have its future
		}
		history := h.tell().history
		e.History = job.History{First: slices.Clone(history.First), Last: slices.Clone(history.Last)} // ours goes on
		for _, w := range h.d.loop.core.Explain(&h.entry) {
			e.Waits = append(e.Waits, h.explain(w))
		}
	})
	return e
}

// explain puts one thing that the job waits for into words. Loop only.
func (h *header) explain(w scheduler.Wait) job.Wait {
	out := job.Wait{For: w.Kind.String(), Name: w.Name, In: w.In}
	switch w.Kind {
	case scheduler.ForInstant:
		out.Why = "its backoff to be over"
		if h.entry.Runs() == 0 {
			out.Why = "its delay to be over"
		}
	case scheduler.ForResume:
		out.Why, out.Frees = "the dispatcher, which is paused", "Resume"
	case scheduler.ForWorker:
		out.Why, out.Frees = "a worker: all of them are busy", "an attempt that ends, SetWorkers"
	case scheduler.ForCooldown:
		out.Why = fmt.Sprintf("the cooldown of key %q, whose server was sent too much", h.entry.Key)
	case scheduler.ForCircuit:
		out.Why, out.Frees = fmt.Sprintf("the circuit of key %q", h.entry.Key), "a probe that succeeds, Reset, ForceClosed"
	case scheduler.ForKeyWorker:
		out.Why, out.Frees = fmt.Sprintf("a worker of key %q: all that it may have are busy", h.entry.Key), "an attempt of the key that ends, SetKeyWorkers"
	case scheduler.ForGroup:
		out.Why, out.Frees = fmt.Sprintf("group %q: all its workers are busy", w.Name), "an attempt of the group that ends, SetGroupWorkers"
	case scheduler.ForLimit:
		out.Why, out.Frees = fmt.Sprintf("limit %q (%v of the %v it costs)", w.Name, w.Level, w.Cost), "SetRate, SetBurst, a refund"
	case scheduler.ForItsTurn:
		out.Why = "its turn: jobs before it wait for what it needs too"
	}
	return out
}
