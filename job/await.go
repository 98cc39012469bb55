package job

import (
	"context"
	"errors"
	"fmt"
)

// ErrDeadlock is what a function is told that waits, with its attempt's context, for a job of its own dispatcher which can
// never be over: all who could make room for it wait in the same way. More workers help, or a dispatcher of its own for such
// jobs.
var ErrDeadlock = errors.New("deadlock: what it waits for cannot come while it waits (more workers, or another dispatcher, would let it)")

// ErrNilContext is what a call returns that was given no context; context.Background() will do.
var ErrNilContext = errors.New("nil context")

// Await blocks until the job is settled, and returns its result, or an [*Error] that says why there is none.
//
// When ctx ends first, Await returns an error that matches [ErrNotSettled] and the cause of ctx. The job goes on: giving
// up waiting does not cancel it. A job that is settled already is returned even if ctx has ended, too.
//
// Inside a job, pass on the context that its function was given. A job that waits for another of the same dispatcher holds its
// worker meanwhile; when that makes it certain that the other will never be over, unless by its deadline or because somebody cancels
// it, the error matches [ErrDeadlock] and ErrNotSettled. With another context that cannot be told, and Await hangs. So it does where
// jobs wait for each other by way of one that was submitted to another dispatcher; by way of a Do, it is told.
//
// When any goroutine waits with that context, the whole attempt counts as waiting. One that hands the waiting to a goroutine and goes on
// beside it should give that a context which does not come from its own; WithoutCancel is not enough.
func (f *Future[T]) Await(ctx context.Context) (T, error) {
	if value, err, ok := f.Result(); ok {
		return value, err
	}
	if ctx == nil {
		return f.giveUp(ErrNilContext)
	}
	if f.owner != nil && ctx.Done() == nil && !f.insideOwn(ctx) {
		f.pending.Wait() // nothing else can end it, and it costs nothing
		value, err, _ := f.Result()
		return value, err
	}
	var hopeless chan struct{} // closed when there is a deadlock
	if f.insideOwn(ctx) {
		hopeless = make(chan struct{})
		a := f.owner.AttendJobs(ctx, []Owner{f.owner})
		a.Begin(1, func() { close(hopeless) })
		defer a.End()
	}
	select {
	case <-f.Done():
		value, err, _ := f.Result()
		return value, err
	case <-ctx.Done():
		return f.giveUp(context.Cause(ctx))
	case <-hopeless:
		return f.giveUp(ErrDeadlock)
	}
}

// giveUp returns the result of a job that was settled at the same moment, or why nobody waits for it any longer.
func (f *Future[T]) giveUp(why error) (T, error) {
	if value, err, ok := f.Result(); ok {
		return value, err
	}
	var zero T
	return zero, fmt.Errorf("%w: gave up waiting for job %d: %w", ErrNotSettled, f.ID(), why)
}

// insideOwn reports whether ctx belongs to an attempt of the dispatcher whose job this is.
func (f *Future[T]) insideOwn(ctx context.Context) bool {
	return f.owner != nil && f.owner.Place().Inside(ctx)
}

// isBeside reports whether f is of the dispatcher of other, which has one.
func (f *Future[T]) isBeside(other *Future[T]) bool {
	return f.owner != nil && f.owner.Place() == other.owner.Place()
}
