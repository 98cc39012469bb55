package dispatcher

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Item is one element that has come out of [Map].
type Item[In, Out any] struct {
	Index int // position in the source, from 0
	In    In
	Value Out
	Err   error // nil, or why there is no Value: a [*job.Error], or the error of the submission

	tap *tap // of the stage it comes from; nil when that is none
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

// Map runs fn for each element of in (slices.Values makes a sequence of a slice) and yields the results as they come, each as soon
// as it is there, or with [InOrder] in the order of the source. It is a bounded stage of a pipeline: at most a window of elements
// has been read from the source and not been yielded, so a slow consumer holds the source back, and a source without end needs
// memory for the window alone. The window is twice the dispatcher's workers unless [WithWindow] says otherwise.
//
// Nothing happens before the sequence is ranged over, and it is meant to be ranged over once. Every element that has been
// read is yielded exactly once, with its result or its error, unless the loop is left: break cancels what is under way. When
// ctx ends, or the dispatcher is closed, no more is read from the source, and what has been read ends with an error. So a loop that
// ended early looks like one that is through: ask ctx.Err() after it.
//
// per says what is particular to one element, such as its key; nil when nothing is. The source is read, and per and the
// loop's body run, in turn: while the source keeps the loop waiting, nothing is yielded. Neither the source nor the loop's body may
// call runtime.LockOSThread and leave it so when the other's turn comes: [iter.Pull], by which the source is read, ends the program
// then. While a job's circuit is open it waits, as with [Submit].
func Map[In, Out any](ctx context.Context, d *Dispatcher, in iter.Seq[In], fn func(ctx context.Context, in In) (Out, error), per func(In) Spec, options ...Option) iter.Seq[Item[In, Out]] {
	if in == nil {
		return Then[In, In](ctx, d, nil, fn, per, options...)
	}
	items := func(yield func(Item[In, In]) bool) {
		index := 0
		for element := range in {
			if !yield(Item[In, In]{Index: index, In: element, Value: element}) {
				return
			}
			index++
		}
	}
	return Then(ctx, d, items, fn, per, options...)
}

// Then is the next stage of a pipeline: it runs fn for each value that [Map], or another Then, yields, on any dispatcher, with
// limits and a window of its own. Its items have the index and the element of the first stage. One that failed before is
// passed on with its error, and fn does not see it. What a later stage must know of an earlier one travels in the values.
//
// To leave the loop over the last stage cancels what is under way in all. When a stage's ctx ends, or its dispatcher is closed, no
// more is read from the source of the first, and what has been read comes out of the last, with an error unless it was through.
//
// Everything else is as with Map.
func Then[A, In, Out any](ctx context.Context, d *Dispatcher, items iter.Seq[Item[A, In]], fn func(ctx context.Context, in In) (Out, error), per func(In) Spec, options ...Option) iter.Seq[Item[A, Out]] {
	return func(yield func(Item[A, Out]) bool) {
		if err := misuse(ctx, d, items == nil, fn == nil); err != nil {
			yield(Item[A, Out]{Err: err})
			return
		}
		next, stop := iter.Pull(items)
		defer stop()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil) // first: the source may wait, when it is stopped, for what is done with its elements
		s := stage[A, In, Out]{d: d, fn: fn, per: per, options: options, next: next, yield: yield, tap: new(tap)}
		s.outbox.bell = make(chan struct{}, 1)
		if slices.ContainsFunc(options, func(o Option) bool { return o.kind == optionInOrder }) {
			s.held = make(map[int]Item[A, Out])
		}
		s.run(ctx, cancel, windowOf(d, options))
	}
}

// misuse is what is wrong with a stage whatever its elements.
func misuse(ctx context.Context, d *Dispatcher, noSource, noFunc bool) error {
	switch {
	case !d.made():
		return ErrNilDispatcher
	case ctx == nil:
		return ErrNilContext
	case noSource:
		return ErrNilSource
	case noFunc:
		return ErrNilFunc
	default:
		return nil
	}
}
