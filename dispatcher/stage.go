package dispatcher

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// stage is one [Map] or [Then] that is being ranged over.
type stage[A, In, Out any] struct {
	d       *Dispatcher
	fn      func(context.Context, In) (Out, error)
	per     func(In) Spec // nil: nothing differs
	options []Option
	next    func() (Item[A, In], bool)
	yield   func(Item[A, Out]) bool
	ended   bool // nothing more comes from the source
	tap     *tap // of its own: every item has it, and who keeps one does not keep the stage
	outbox  outbox

	under   map[job.ID]flight[A, Out] // read, and under way
	held    map[int]Item[A, Out]      // by number: over, and waiting for those before them; nil: they are yielded as they come
	read    int                       // elements read
	yielded int                       // elements yielded

	reading  time.Duration // how long the source took for the latest element
	yielding time.Duration // how long the consumer took for the latest item
}

// flight is one element under way.
type flight[A, Out any] struct {
	number int // in the order of reading
	item   Item[A, Out]
	future *job.Future[Out]
	job    *header // nil when it was not accepted
}

// run goes on until everything has been yielded or the loop is left, with which ctx ends. It reads one element for each that it
// yields, so that a slow consumer finds the window full and not, time and again, used up.
func (s *stage[A, In, Out]) run(ctx context.Context, cancel context.CancelCauseFunc, window int) {
	s.under = make(map[job.ID]flight[A, Out])
	var over []job.ID // settled, and not looked at
	for {
		if s.room(window) && (len(over) == 0 || s.sourceKeepsUp()) && !s.launch(ctx) {
			return
		}
		if len(over) == 0 {
			over = s.outbox.take()
		}
		switch {
		case len(over) > 0:
			if !s.finish(over[0]) {
				return
			}
			over = over[1:]
		case s.room(window):
		case len(s.under) > 0:
			over = s.wait(ctx, cancel)
		default:
			return
		}
	}
}

// room reports whether one more element may be read.
func (s *stage[A, In, Out]) room(window int) bool { return s.read-s.yielded < window && !s.ended }

// sourceKeepsUp reports whether the source is no slower than the consumer. Only then does what is there to be yielded wait for
// it: behind a slow source it would be held back for longer than it need be.
func (s *stage[A, In, Out]) sourceKeepsUp() bool { return s.reading <= s.yielding }

// finish emits a job that is settled. It reports false when the loop has been left.
func (s *stage[A, In, Out]) finish(id job.ID) bool {
	f := s.under[id]
	delete(s.under, id)
	f.item.Value, f.item.Err, _ = f.future.Result()
	return s.emit(f.number, f.item)
}

// wait waits for elements to be over. When that would be for ever, all that are under way are canceled.
func (s *stage[A, In, Out]) wait(ctx context.Context, cancel context.CancelCauseFunc) []job.ID {
	var hopeless chan struct{} // holds one: there is a deadlock
	if s.d.place.Inside(ctx) {
		hopeless = make(chan struct{}, 1)
		a := attendance{d: s.d, ctx: ctx, any: new(scheduler.Awaited)}
		for _, f := range s.under {
			a.any.Add(&f.job.entry)
		}
		a.Begin(len(s.under), func() { ring(hopeless) })
		defer a.End()
	}
	for { // every job is settled at some time, so it needs no other way out
		select {
		case <-s.outbox.bell:
			if over := s.outbox.take(); len(over) > 0 { // take may have been quicker than the bell
				return over
			}
		case <-hopeless:
			if over := s.outbox.take(); len(over) > 0 {
				return over // it was told before these came
			}
			cancel(job.ErrDeadlock)
		}
	}
}

// emit yields an element that is over, or holds it back until those before it have been. It reports false when the loop has
// been left.
func (s *stage[A, In, Out]) emit(number int, item Item[A, Out]) bool {
	if s.held == nil {
		return s.hand(item)
	}
	s.held[number] = item
	for {
		item, ok := s.held[s.yielded]
		if !ok {
			return true
		}
		delete(s.held, s.yielded)
		if !s.hand(item) {
			return false
		}
	}
}

// hand yields one item, and reports whether more are wanted.
func (s *stage[A, In, Out]) hand(item Item[A, Out]) bool {
	s.yielded++
	begin := time.Now()
	wanted := s.yield(item)
	s.yielding = time.Since(begin)
	return wanted
}

// launch reads one element and submits it, if there is one. It reports false when the loop has been left.
func (s *stage[A, In, Out]) launch(ctx context.Context) bool {
	if ctx.Err() != nil {
		s.tap.close()
	}
	if s.tap.dry() {
		s.ended = true
		return true
	}
	begin := time.Now()
	from, ok := s.next()
	s.reading = time.Since(begin)
	if !ok {
		s.ended = true
		return true
	}
	s.tap.connect(from.tap)
	f := flight[A, Out]{number: s.read, item: Item[A, Out]{Index: from.Index, In: from.In, Err: from.Err, tap: s.tap}}
	s.read++
	if from.Err == nil {
		f.item.Err = s.submit(ctx, from.Value, &f)
	}
	if errors.Is(f.item.Err, ErrClosed) && from.Err == nil {
		s.tap.close()
	}
	if f.item.Err != nil {
		return s.emit(f.number, f.item)
	}
	s.under[f.future.ID()] = f
	return true
}

func (s *stage[A, In, Out]) submit(ctx context.Context, in In, f *flight[A, Out]) error {
	call := func(ctx context.Context) (Out, error) { return s.fn(ctx, in) }
	options := s.options
	if s.per != nil {
		options = append(slices.Clip(options), s.per(in).options()...)
	}
	t, err := newTask(ctx, s.d, call, policy.Wait, options)
	if err != nil {
		return err
	}
	if t.asked == nil {
		t.ask(asked{})
	}
	t.asked.outbox = &s.outbox
	f.job, f.future = &t.header, t.promise.Future()
	return s.d.accept(&t.header, true)
}

// outbox collects the jobs of one stage that are over, in the order in which they ended.
type outbox struct {
	bell chan struct{} // holds one: there is something to take

	mu   sync.Mutex
	over []job.ID // guarded by mu
}

// add is called by the loop for each job, once it is settled. It does not block.
func (o *outbox) add(id job.ID) {
	o.mu.Lock()
	o.over = append(o.over, id)
	o.mu.Unlock()
	ring(o.bell)
}

// take returns what is over, if anything is.
func (o *outbox) take() []job.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	over := o.over
	o.over = nil
	return over
}
