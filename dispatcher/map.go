package dispatcher

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Item is one element that has come out of [Map].
type Item[In, Out any] struct {
	Index int // position in the source, from 0
	In    In
	Value Out
	Err   error // nil, or why there is no Value: a [*job.Error], or the error of the submission
}

// Spec is what may differ from element to element of a [Map]. The zero Spec says nothing; what it says beats the
// options of the Map.
type Spec struct {
	Key      string    // see [WithKey]
	Costs    []Cost    // see [WithCost]
	Groups   []string  // see [WithGroup]
	Priority int       // see [WithPriority]
	Deadline time.Time // see [WithDeadline]
}

// Cost is what each attempt of a job costs of the limit of that name, in tokens.
type Cost struct {
	Limit  string
	Tokens float64
}

// options returns s in the form that every other submission has.
func (s Spec) options() []Option {
	var options []Option
	if s.Key != "" {
		options = append(options, WithKey(s.Key))
	}
	for _, cost := range s.Costs {
		options = append(options, WithCost(cost.Limit, cost.Tokens))
	}
	for _, name := range s.Groups {
		options = append(options, WithGroup(name))
	}
	if s.Priority != 0 {
		options = append(options, WithPriority(s.Priority))
	}
	if !s.Deadline.IsZero() {
		options = append(options, WithDeadline(s.Deadline))
	}
	return options
}

// Map runs fn for each element of in and yields the results as they come, each as soon as it is there. It is a bounded
// stage of a pipeline: at most a window of elements has been read from the source and not been yielded, so a slow consumer
// holds the source back, and a source without end needs memory for the window alone. The window is twice the dispatcher's
// workers unless [WithWindow] says otherwise.
//
// Nothing happens before the sequence is ranged over, and it is meant to be ranged over once. Every element that has been
// read is yielded exactly once, with its result or its error, unless the loop is left: break cancels what is under way. When
// ctx ends, or the dispatcher is closed, no more is read from the source, and what has been read ends with an error.
//
// per says what is particular to one element, such as its key; nil when nothing is. The source is read, and per and the
// loop's body run, on the goroutine that ranges: while the source keeps it waiting, nothing is yielded. While a job's circuit is open it waits, as
// with [Submit].
func Map[In, Out any](ctx context.Context, d *Dispatcher, in iter.Seq[In], fn func(ctx context.Context, in In) (Out, error), per func(In) Spec, options ...Option) iter.Seq[Item[In, Out]] {
	return func(yield func(Item[In, Out]) bool) {
		if err := misuse(ctx, in == nil); err != nil {
			yield(Item[In, Out]{Err: err})
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		next, stop := iter.Pull(in)
		defer stop()
		s := stage[In, Out]{d: d, fn: fn, per: per, options: options, next: next}
		s.outbox.bell = make(chan struct{}, 1)
		s.run(ctx, windowOf(d, options), yield)
	}
}

// misuse is what is wrong with a Map whatever its elements.
func misuse(ctx context.Context, noSource bool) error {
	switch {
	case ctx == nil:
		return ErrNilContext
	case noSource:
		return ErrNilSource
	default:
		return nil
	}
}

// stage is one Map that is being ranged over.
type stage[In, Out any] struct {
	d       *Dispatcher
	fn      func(context.Context, In) (Out, error)
	per     func(In) Spec // nil: nothing differs
	options []Option
	next    func() (In, bool)
	read    int // elements read from the source
	ended   bool
	outbox  outbox
}

// flight is one element under way.
type flight[In, Out any] struct {
	item   Item[In, Out]
	future *job.Future[Out]
}

// run goes on until everything has been yielded or the loop is left, with which ctx ends.
func (s *stage[In, Out]) run(ctx context.Context, window int, yield func(Item[In, Out]) bool) {
	under := make(map[job.ID]flight[In, Out])
	for {
		var over []job.ID
		switch {
		case len(under) < window && !s.ended:
			if f, ok := s.launch(ctx); ok && f.item.Err == nil {
				under[f.future.ID()] = f
			} else if ok && !yield(f.item) {
				return
			}
			over = s.outbox.take() // reading and submitting may take their time; what is there goes on meanwhile
		case len(under) > 0:
			over = s.outbox.wait()
		default:
			return
		}
		for _, id := range over {
			f := under[id]
			delete(under, id)
			f.item.Value, f.item.Err, _ = f.future.Result()
			if !yield(f.item) {
				return
			}
		}
	}
}

// launch reads one element and submits it. ok is false when there is none.
func (s *stage[In, Out]) launch(ctx context.Context) (_ flight[In, Out], ok bool) {
	if ctx.Err() != nil {
		s.ended = true
		return flight[In, Out]{}, false
	}
	in, ok := s.next()
	if !ok {
		s.ended = true
		return flight[In, Out]{}, false
	}
	f := flight[In, Out]{item: Item[In, Out]{Index: s.read, In: in}}
	s.read++
	f.future, f.item.Err = s.submit(ctx, in)
	if errors.Is(f.item.Err, ErrClosed) {
		s.ended = true
	}
	return f, true
}

func (s *stage[In, Out]) submit(ctx context.Context, in In) (*job.Future[Out], error) {
	if s.fn == nil {
		return nil, ErrNilFunc
	}
	call := func(ctx context.Context) (Out, error) { return s.fn(ctx, in) }
	options := s.options
	if s.per != nil {
		options = append(slices.Clip(options), s.per(in).options()...)
	}
	t, err := newTask(ctx, s.d, call, policy.Wait, options)
	if err != nil {
		return nil, err
	}
	t.outbox = &s.outbox
	if err := s.d.accept(&t.header, !job.Inside(ctx, s.d.name)); err != nil {
		return nil, err
	}
	return t.promise.Future(), nil
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
	select {
	case o.bell <- struct{}{}:
	default:
	}
}

// wait returns what is over, and blocks until something is. Every job is settled at some time, so it needs no way out.
func (o *outbox) wait() []job.ID {
	for {
		<-o.bell
		if over := o.take(); len(over) > 0 { // take may have been quicker than the bell
			return over
		}
	}
}

// take returns what is over, if anything is.
func (o *outbox) take() []job.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	over := o.over
	o.over = nil
	return over
}
