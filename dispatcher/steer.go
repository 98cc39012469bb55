package dispatcher

import (
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/scheduler"
)

// Pause starts no more attempts until Resume is called. What runs goes on, and jobs are still accepted.
func (d *Dispatcher) Pause() { d.ask(func() { d.step(scheduler.Pause) }) }

// Resume undoes Pause.
func (d *Dispatcher) Resume() { d.ask(func() { d.step(scheduler.Resume) }) }

// Reset closes the circuit of a key, and forgets what it has counted, as if the key were new. It is how a key is put to
// use again that was called unusable.
func (d *Dispatcher) Reset(key string) {
	d.ask(func() {
		d.loop.core.Step(scheduler.Event{Kind: scheduler.Reset, At: d.loop.now, Key: key})
	})
}

// Snapshot is the state of a dispatcher at one moment.
type Snapshot struct {
	Name string
	scheduler.Snapshot
}

// Snapshot returns one consistent cut: all figures are of the same moment. It waits for the scheduler, no longer than a
// turn of its loop.
func (d *Dispatcher) Snapshot() Snapshot {
	s := Snapshot{Name: d.name}
	d.ask(func() { s.Snapshot = d.loop.core.Snapshot() })
	return s
}

// step is an event about the whole. Loop only.
func (d *Dispatcher) step(kind scheduler.EventKind) {
	d.loop.core.Step(scheduler.Event{Kind: kind, At: d.loop.now})
}

// cancel cancels a job, and answers at the end of the turn, when its future has been settled. Loop only.
func (d *Dispatcher) cancel(h *header, answer chan<- job.Canceled) {
	result := job.AlreadySettled
	switch h.entry.State() {
	case scheduler.Queued, scheduler.Waiting:
		result = job.BetweenAttempts
		if h.entry.Runs() == 0 {
			result = job.NeverRan
		}
	case scheduler.Running:
		result = job.Signaled
	case scheduler.Unknown, scheduler.Detached, scheduler.Settled:
	}
	d.loop.core.Step(scheduler.Event{Kind: scheduler.Cancel, At: d.loop.now, Entry: &h.entry})
	d.loop.after = append(d.loop.after, func() { answer <- result })
}

// ask has something done on the loop and waits for the end of the turn in which it was. When the loop has ended, nothing
// is done.
func (d *Dispatcher) ask(do func()) {
	done := make(chan struct{})
	if d.mail.post(message{do: func() {
		do()
		d.loop.after = append(d.loop.after, func() { close(done) })
	}}) {
		<-done
	}
}
