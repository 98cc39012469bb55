package dispatcher

import (
	"context"
	"fmt"
	"slices"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/scheduler"
)

// Close accepts no more jobs, finishes everything that has been accepted, retries included, and returns when all is over.
// A pause is lifted. It is what http.Server calls Shutdown. When ctx ends first, what is left, if anything is, is aborted: its
// futures are settled with [job.ErrAborted], running functions are told through their contexts, and Close returns an error that
// matches [job.ErrAborted] and the cause of ctx; a function that ignores its context goes on, on a goroutine of its own.
//
// Close may be called any number of times, also after Stop; each call waits for what is left. While a job waits for what will
// not come by itself, such as a key that was called unusable, it returns only when ctx ends. Called with the context of an
// attempt of this dispatcher it does not wait, which would be for itself, but returns an error that matches
// [job.ErrDeadlock]; the dispatcher is being closed all the same. Other errors: [ErrNilContext], [ErrNilDispatcher].
func (d *Dispatcher) Close(ctx context.Context) error {
	return d.shut(ctx, scheduler.Resume)
}

// Stop is [Dispatcher.Close], except that only the attempts which are running are finished: all other jobs, those between
// two attempts included, are settled with [job.ErrNotStarted].
func (d *Dispatcher) Stop(ctx context.Context) error {
	return d.shut(ctx, scheduler.Stop)
}

func (d *Dispatcher) shut(ctx context.Context, how scheduler.EventKind) error {
	switch {
	case !d.made():
		return ErrNilDispatcher
	case ctx == nil:
		return ErrNilContext
	}
	d.exchange.close()
	d.room.close()
	d.post(&message{do: func() {
		d.loop.closing = true
		d.step(how)
	}})
	if d.place.Inside(ctx) {
		return fmt.Errorf("dispatcher %q: is being closed, and does not wait for the job that asked for it: %w", d.name, job.ErrDeadlock)
	}
	defer unregister(d)
	select {
	case <-d.ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-d.ended:
		return nil
	default:
	}
	left := false
	d.ask(func() {
		left = !d.loop.core.Quiet()
		d.step(scheduler.Abort)
	})
	if !left {
		<-d.ended
		return nil
	}
	return fmt.Errorf("dispatcher %q: %w what was left: %w", d.name, job.ErrAborted, context.Cause(ctx))
}

// WaitIdle waits until nothing is queued, waiting or running, and closes nothing. It returns the cause of ctx when that
// ends first. Jobs that are submitted in the meantime are waited for, too. Called with the context of an attempt of this
// dispatcher it does not wait, which would be for itself, but returns an error that matches [job.ErrDeadlock].
func (d *Dispatcher) WaitIdle(ctx context.Context) error {
	switch {
	case !d.made():
		return ErrNilDispatcher
	case ctx == nil:
		return ErrNilContext
	case d.place.Inside(ctx):
		return fmt.Errorf("dispatcher %q: not idle while the job runs that asks: %w", d.name, job.ErrDeadlock)
	}
	quiet := make(chan struct{})
	if !d.post(&message{do: func() { d.loop.quiet = append(d.loop.quiet, quiet) }}) {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		d.post(&message{do: func() {
			d.loop.quiet = slices.DeleteFunc(d.loop.quiet, func(other chan struct{}) bool { return other == quiet })
		}})
		return fmt.Errorf("dispatcher %q: not idle: %w", d.name, context.Cause(ctx))
	}
}
