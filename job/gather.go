package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// Result is how a job has ended: with a Value, or with the Err that says why there is none.
type Result[T any] struct {
	Value T
	Err   error
}

// ErrNoFutures is what [First] returns when it was given none.
var ErrNoFutures = errors.New("job: no futures")

// ErrNilFuture is the result of a future that is nil, because its submission was refused perhaps and nobody looked at the
// error.
var ErrNilFuture = errors.New("job: nil future")

// All waits for all jobs and returns their values, in the order of futures. The error is nil or joins those of the jobs that
// failed, each of which names its job; their values are zero.
//
// When ctx ends first, the error also has [ErrNotSettled] and the cause of ctx for each job that was not over. It cancels
// nothing, no more than Await does.
func All[T any](ctx context.Context, futures ...*Future[T]) ([]T, error) {
	values := make([]T, len(futures))
	var faults []error
	for i, result := range Settled(ctx, futures...) {
		values[i] = result.Value
		faults = append(faults, result.Err)
	}
	return values, errors.Join(faults...)
}

// Settled waits for all jobs and returns how each has ended, in the order of futures. When ctx ends first, those that were
// not over have an error that matches [ErrNotSettled] and the cause of ctx.
func Settled[T any](ctx context.Context, futures ...*Future[T]) []Result[T] {
	results := make([]Result[T], len(futures))
	for i, result := range Completed(ctx, futures...) {
		results[i] = result
	}
	return results
}

// First waits for the first job that succeeds, and returns its value. The others go on: if nobody needs them, cancel the context
// that they were submitted with, or each of them. When none succeeds, the error joins those of all, and [ErrNotSettled] for those
// that were not over when ctx ended; of no futures it is [ErrNoFutures].
func First[T any](ctx context.Context, futures ...*Future[T]) (T, error) {
	var zero T
	faults := []error{}
	for _, result := range Completed(ctx, futures...) {
		if result.Err == nil {
			return result.Value, nil
		}
		faults = append(faults, result.Err)
	}
	if len(faults) == 0 {
		return zero, ErrNoFutures
	}
	return zero, errors.Join(faults...)
}

// Completed yields how each job has ended, as it does, with its index among futures. Those that are over at the start come
// first, in order. When ctx ends, the others are yielded with an error that matches [ErrNotSettled] and the cause of ctx: each
// future is yielded exactly once, unless the loop is left. It cancels nothing, and has no goroutine.
func Completed[T any](ctx context.Context, futures ...*Future[T]) iter.Seq2[int, Result[T]] {
	return func(yield func(int, Result[T]) bool) {
		box := &inbox{bell: make(chan struct{}, 1)}
		defer unwatchAll(box, futures)
		for i, f := range futures {
			if f == nil || !f.watch(watcher{box, i}) {
				box.add(i)
			}
		}
		waiting := make([]bool, len(futures))
		for i := range waiting {
			waiting[i] = true
		}
		among := circle[T]{futures: futures, waiting: waiting}
		var attending Attendance // once nothing but jobs of ctx's own dispatcher is waited for
		for left := len(futures); left > 0; {
			over := box.take()
			if len(over) == 0 {
				if attending == nil {
					attending = among.attend(ctx)
				}
				if why := wait(ctx, box, attending, left); why != nil {
					giveUp(why, futures, waiting, yield)
					return
				}
				continue
			}
			for _, i := range over {
				waiting[i] = false
				left--
				if !yield(i, resultOf(futures[i], i)) {
					return
				}
			}
		}
	}
}

// circle is futures of which some are waited for.
type circle[T any] struct {
	futures    []*Future[T]
	waiting    []bool
	first, odd int // the first that is waited for, and the first after it of another dispatcher, if they still are
}

// attend returns the wait of ctx's attempt for those that are waited for, or nil if one of them is not of its dispatcher: as long as that
// one may come, it does not matter that the others never will. Of very many, each is looked at about once, however often they wait.
func (c *circle[T]) attend(ctx context.Context) Attendance {
	for !c.waiting[c.first] {
		c.first++
	}
	one := c.futures[c.first]
	if ctx == nil || !one.insideOwn(ctx) {
		return nil
	}
	for c.odd < len(c.futures) && (!c.waiting[c.odd] || c.futures[c.odd].isBeside(one)) {
		c.odd++
	}
	if c.odd < len(c.futures) {
		return nil
	}
	var jobs []Owner
	for i, f := range c.futures {
		if c.waiting[i] {
			jobs = append(jobs, f.owner)
		}
	}
	return one.owner.AttendJobs(ctx, jobs)
}

// wait waits until one more job may be over. The error says why there is nothing more to wait for.
func wait(ctx context.Context, box *inbox, attending Attendance, left int) error {
	if ctx == nil {
		return ErrNilContext
	}
	if attending != nil {
		attending.Begin(left, box.despair)
		defer attending.End()
	}
	return box.wait(ctx)
}

// giveUp yields those that are not over. One that was settled at the same moment has its result.
func giveUp[T any](why error, futures []*Future[T], waiting []bool, yield func(int, Result[T]) bool) {
	for i, f := range futures {
		if !waiting[i] {
			continue
		}
		value, err := f.giveUp(why)
		if !yield(i, Result[T]{value, err}) {
			return
		}
	}
}

func resultOf[T any](f *Future[T], i int) Result[T] {
	if f == nil {
		return Result[T]{Err: fmt.Errorf("%w: number %d of those given", ErrNilFuture, i)}
	}
	value, err, _ := f.Result()
	return Result[T]{value, err}
}

func unwatchAll[T any](box *inbox, futures []*Future[T]) {
	for _, f := range futures {
		if f != nil {
			f.unwatch(box)
		}
	}
}

// watch has w told when f is settled. It reports false if f is settled already; then w is not told.
func (f *Future[T]) watch(w watcher) bool { return !f.settled() && f.listen().join(w) }

// unwatch undoes watch.
func (f *Future[T]) unwatch(box *inbox) {
	if a := f.audience.Load(); a != nil {
		a.leave(box)
	}
}

// inbox collects the indexes of futures that are settled, in the order in which they were.
type inbox struct {
	bell chan struct{} // holds one: there is something to take

	mu       sync.Mutex
	over     []int // guarded by mu
	hopeless bool  // guarded by mu; there is a deadlock
}

// add is called by whoever settles a future. It does not block.
func (b *inbox) add(index int) {
	b.mu.Lock()
	b.over = append(b.over, index)
	b.mu.Unlock()
	b.ring()
}

// despair is called when nothing more will be added.
func (b *inbox) despair() {
	b.mu.Lock()
	b.hopeless = true
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// wait waits until there may be something to take. The error is the cause of ctx when that ends first, or [ErrDeadlock].
func (b *inbox) wait(ctx context.Context) error {
	select {
	case <-b.bell:
		return b.outcome()
	default:
	}
	select {
	case <-b.bell:
		return b.outcome()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *inbox) outcome() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	hopeless := b.hopeless && len(b.over) == 0
	b.hopeless = false // of the next wait it is told anew
	if hopeless {
		return ErrDeadlock
	}
	return nil
}

func (b *inbox) take() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := b.over
	b.over = nil
	return over
}
