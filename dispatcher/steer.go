package dispatcher

import (
	"log/slog"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Pause starts no more attempts until Resume is called, and calls back those that are on their way to a worker. What runs goes
// on, and jobs are still accepted. A dispatcher that is being closed is not paused.
func (d *Dispatcher) Pause() {
	d.ask(func() {
		if !d.loop.closing {
			d.step(scheduler.Pause)
		}
	})
}

// Resume undoes Pause.
func (d *Dispatcher) Resume() { d.ask(func() { d.step(scheduler.Resume) }) }

// Reset closes the circuit of a key, forgets what it has counted, and leaves it to its rule. It is how a key is put to use
// again that was called unusable, and how ForceOpen, ForceClosed and Disable are undone.
func (d *Dispatcher) Reset(key string) { d.override(key, policy.Automatic) }

// ForceOpen opens the circuit of a key until Reset.
func (d *Dispatcher) ForceOpen(key string) { d.override(key, policy.ForcedOpen) }

// ForceClosed closes the circuit of a key and keeps it closed, whatever happens, until Reset.
func (d *Dispatcher) ForceClosed(key string) { d.override(key, policy.ForcedClosed) }

// Disable closes the circuit of a key and counts nothing until Reset.
func (d *Dispatcher) Disable(key string) { d.override(key, policy.Disabled) }

func (d *Dispatcher) override(key string, mode policy.Mode) {
	if !d.made() {
		return
	}
	rules, _, err := d.keys.rulesOf(key)
	if err != nil {
		rules = nil // no job of this key is accepted
	}
	d.ask(func() {
		if err == nil {
			d.keys.add(key, rules) // a person's word counts as a key in use, and is not refused
		}
		d.loop.core.Step(scheduler.Event{Kind: scheduler.Override, At: d.loop.now, Key: key, Rules: rules, Mode: mode})
	})
}

// Snapshot is the state of a dispatcher at one moment. Besides its Name it has the fields of [scheduler.Snapshot]: how many jobs are
// Queued, how many are Waiting for an instant, how many attempts are Running, of how many Workers there are; whether it is Paused;
// and a list each of Limits, Groups, and those Keys that are not as new, with what the next of their jobs waits for.
type Snapshot struct {
	Name string
	scheduler.Snapshot
}

// LogValue returns the counts, and a group for each limit and for each key that something is the matter with or that a person has
// taken in hand, for log/slog.
func (s Snapshot) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("dispatcher", s.Name), slog.Int("queued", s.Queued), slog.Int("waiting", s.Waiting), slog.Int("running", s.Running), slog.Bool("paused", s.Paused),
	}
	for _, l := range s.Limits {
		attrs = append(attrs, slog.Group("limit "+l.Name, slog.Float64("level", l.Level), slog.Int("waiting", l.Waiting)))
	}
	for _, k := range s.Keys {
		byHand := k.Mode != policy.Automatic
		if k.Circuit == policy.Closed && k.Cooling == 0 && !byHand {
			continue
		}
		about := []any{slog.String("circuit", k.Circuit.String()), slog.Duration("cooling", k.Cooling), slog.Int("queued", k.Queued)}
		if byHand {
			about = append(about, slog.String("by hand", k.Mode.String()))
		}
		attrs = append(attrs, slog.Group("key "+k.Key, about...))
	}
	return slog.GroupValue(attrs...)
}

// Snapshot returns one consistent cut: all figures are of the same moment. It waits for the scheduler, no longer than a
// turn of its loop.
func (d *Dispatcher) Snapshot() Snapshot {
	if !d.made() {
		return Snapshot{}
	}
	s := Snapshot{Name: d.name}
	d.ask(func() { s.Snapshot = d.loop.core.Snapshot() })
	return s
}

// step is an event about the whole. Loop only.
func (d *Dispatcher) step(kind scheduler.EventKind) {
	d.loop.core.Step(scheduler.Event{Kind: kind, At: d.loop.now})
	d.loop.recall = true // if it was Pause or Stop
}

// cancel cancels a job, and answers at the end of the turn, when its future has been settled. Loop only.
func (d *Dispatcher) cancel(h *header, answer chan<- job.Canceled) {
	found := h.entry.State()
	d.loop.core.Step(scheduler.Event{Kind: scheduler.Cancel, At: d.loop.now, Entry: &h.entry})
	d.loop.after = append(d.loop.after, func() { answer <- h.canceled(found) })
}

// canceled says what a cancellation did to a job that was found in the given state, once it has been carried out. An attempt
// that was admitted and whose function had not been called yet has not run. Loop only.
func (h *header) canceled(found scheduler.EntryState) job.Canceled {
	switch {
	case found == scheduler.Running && !h.idle:
		return job.Signaled
	case found != scheduler.Queued && found != scheduler.Waiting && found != scheduler.Running:
		return job.AlreadySettled
	case h.attempts() == 0:
		return job.NeverRan
	default:
		return job.BetweenAttempts
	}
}

// ask has something done on the loop and waits for the end of the turn in which it was. When the loop has ended, nothing
// is done, nor when there has never been one.
func (d *Dispatcher) ask(do func()) {
	if !d.made() {
		return
	}
	done := make(chan struct{})
	if d.post(&message{do: func() {
		do()
		d.loop.after = append(d.loop.after, func() { close(done) })
	}}) {
		<-done
	}
}
