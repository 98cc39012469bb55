package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// EventKind says what has happened.
type EventKind uint8

// The kinds of events.
const (
	AttemptStarted    EventKind = iota + 1 // Job, Key, Attempt; again for one that was called back before its function was called
	AttemptEnded                           // and Err: what the function returned
	JobWaiting                             // Job, Key; Until: for its backoff or delay
	JobSettled                             // Job, Key, Attempt: how many there were; Err: as of its future
	CircuitOpened                          // Key; Until: when it is tested, zero if only Reset can tell; Job: whose attempt did it
	CircuitHalfOpened                      // Key
	CircuitClosed                          // Key
	KeyCooling                             // Key; Until; Job: whose attempt was throttled
)

// String names the kind in lower case.
func (k EventKind) String() string {
	names := [...]string{
		"no event", "attempt started", "attempt ended", "job waiting", "job settled", "circuit opened", "circuit half-opened", "circuit closed",
		"key cooling",
	}
	if int(k) >= len(names) {
		return fmt.Sprintf("EventKind(%d)", uint8(k))
	}
	return names[k]
}

// Event is something that has happened in a dispatcher. Which fields are set depends on Kind.
type Event struct {
	Seq     uint64 // from 1; a gap means that events were dropped
	At      time.Time
	Kind    EventKind
	Job     job.ID
	Key     string
	Attempt int
	Until   time.Time
	Err     error
}

// LogValue returns the fields that are set, as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Uint64("seq", e.Seq), slog.String("event", e.Kind.String())}
	if e.Job != 0 {
		attrs = append(attrs, slog.Uint64("job", uint64(e.Job)))
	}
	if e.Key != "" {
		attrs = append(attrs, slog.String("key", e.Key))
	}
	if e.Attempt != 0 {
		attrs = append(attrs, slog.Int("attempt", e.Attempt))
	}
	if !e.Until.IsZero() {
		attrs = append(attrs, slog.Time("until", e.Until))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return slog.GroupValue(attrs...)
}

// DefaultEventBuffer is how many events may wait for Config.OnEvent.
const DefaultEventBuffer = 4096

// feed takes events from the loop to the listener, in order, on a goroutine of the listener's own. It is bounded: when the
// listener is too slow, events are dropped and counted, and nothing ever waits for it (S-O2).
type feed struct {
	listener func(Event) // immutable; nil: nobody listens
	most     int         // immutable
	bell     chan struct{}

	batch []Event // run's: taken from those that wait
	told  int     // run's: how many of batch the listener has been given

	mu      sync.Mutex
	waiting []Event // guarded by mu
	seq     uint64  // guarded by mu; of the latest event
	latest  uint64  // guarded by mu; of the latest that was not dropped
	heard   uint64  // guarded by mu; of the latest that the listener has returned from
	dropped uint64  // guarded by mu
	ended   bool    // guarded by mu; no more will come
	flushes []flush // guarded by mu; in the order of upTo
}

// flush is somebody who waits until the listener has been told all events up to one.
type flush struct {
	upTo uint64
	done chan struct{}
}

// run is the listener's goroutine. It ends when everything has been told and no more will come. A listener that ends it by
// runtime.Goexit, as a check that fails a test does, gets another.
func (f *feed) run() {
	over := false
	defer func() {
		if !over {
			go f.run()
		}
	}()
	for !over {
		for f.told < len(f.batch) {
			f.told++
			f.listen(f.batch[f.told-1])
		}
		over = f.next()
	}
}

// listen tells the listener of an event, and those who wait for that.
func (f *feed) listen(e Event) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.heard = e.Seq
		for len(f.flushes) > 0 && f.flushes[0].upTo <= e.Seq {
			close(f.flushes[0].done)
			f.flushes = f.flushes[1:]
		}
	}()
	f.listener(e)
}

// next takes what has come in meanwhile, for which it waits if that is nothing. It reports whether nothing will come any more.
func (f *feed) next() (over bool) {
	clear(f.batch)
	f.mu.Lock()
	f.batch, f.waiting, f.told = f.waiting, f.batch[:0], 0
	ended := f.ended
	f.mu.Unlock()
	if len(f.batch) == 0 && !ended {
		<-f.bell
	}
	return len(f.batch) == 0 && ended
}

// tell passes an event on, or drops it. It does not block.
func (f *feed) tell(e Event) {
	f.mu.Lock()
	f.seq++
	e.Seq = f.seq
	if len(f.waiting) < f.most {
		f.waiting, f.latest = append(f.waiting, e), e.Seq
	} else {
		f.dropped++
	}
	f.mu.Unlock()
	ring(f.bell)
}

// flush returns a channel that is closed when the listener has been told what has happened so far.
func (f *feed) flush() <-chan struct{} {
	done := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == f.latest {
		close(done)
	} else {
		f.flushes = append(f.flushes, flush{f.latest, done})
	}
	return done
}

// leave forgets who waits no more.
func (f *feed) leave(done <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushes = slices.DeleteFunc(f.flushes, func(other flush) bool { return other.done == done })
}

func (f *feed) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	ring(f.bell)
}

// FlushEvents waits until Config.OnEvent has returned from all events so far, save for those that were dropped. That includes the end of
// every job whose result somebody has; after a Close or Stop that has returned nil it is all there ever will be. When ctx ends first it
// returns an error with the cause of that; so it does when OnEvent itself calls it, for which it would have to wait.
func (d *Dispatcher) FlushEvents(ctx context.Context) error {
	switch {
	case !d.made():
		return ErrNilDispatcher
	case ctx == nil:
		return ErrNilContext
	}
	done := d.feed.flush()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		select {
		case <-done: // both had come
			return nil
		default:
		}
		d.feed.leave(done)
		return fmt.Errorf("dispatcher %q: not all events are told: %w", d.name, context.Cause(ctx))
	}
}

// EventsDropped returns how many events Config.OnEvent has missed, because it was too slow.
func (d *Dispatcher) EventsDropped() uint64 {
	if !d.made() {
		return 0
	}
	d.feed.mu.Lock()
	defer d.feed.mu.Unlock()
	return d.feed.dropped
}

// tellEffect tells the listener, if there is one, what the core has decided. err is that of a job that is settled. Loop only.
func (d *Dispatcher) tellEffect(e *scheduler.Effect, err error) {
	kinds := [...]EventKind{
		scheduler.Start: AttemptStarted, scheduler.Settle: JobSettled, scheduler.Parked: JobWaiting, scheduler.Opened: CircuitOpened,
		scheduler.HalfOpened: CircuitHalfOpened, scheduler.Closed: CircuitClosed, scheduler.Cooling: KeyCooling, scheduler.Forgotten: 0, scheduler.Deadlock: 0,
	}
	event := Event{Kind: kinds[e.Kind], At: d.moment(d.loop.now), Key: e.Key, Err: err}
	if event.Kind == 0 {
		return
	}
	if e.Entry != nil {
		h := e.Entry.Owner.(jobTask).head()
		event.Job, event.Key = h.id, h.entry.Key
	}
	switch e.Kind {
	case scheduler.Start:
		event.Attempt = e.Entry.Runs()
	case scheduler.Settle:
		event.Attempt = e.Entry.Owner.(jobTask).head().attempts()
	case scheduler.Parked, scheduler.Cooling, scheduler.Opened:
		if e.Until != policy.Never {
			event.Until = d.moment(e.Until)
		}
	default:
	}
	d.feed.tell(event)
}

// tellEnd tells the listener, likewise, that an attempt has ended. Loop only.
func (d *Dispatcher) tellEnd(h *header, n int) {
	var err error
	if h.ending == endedBadly {
		err = h.tell().err
	}
	d.feed.tell(Event{Kind: AttemptEnded, At: d.moment(d.loop.now), Job: h.id, Key: h.entry.Key, Attempt: n, Err: err})
}

// moment is the time of an instant.
func (d *Dispatcher) moment(t policy.Time) time.Time { return d.start.Add(time.Duration(t - 1)) }
