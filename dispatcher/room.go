package dispatcher

import (
	"container/list"
	"context"
	"fmt"
	"sync"
)

// room counts the jobs that may still be accepted: the bound on what a dispatcher can be made to hold (S-F8). Those who
// wait for room get it in the order in which they came.
type room struct {
	mu      sync.Mutex
	free    int       // guarded by mu
	waiting list.List // guarded by mu; of *roomWaiter
	closed  bool      // guarded by mu
}

type roomWaiter struct {
	answer chan error // buffered; nil: there is room, and it has been taken
}

// take takes room for one job. If there is none it waits, or returns ErrQueueFull where wait is false.
func (r *room) take(ctx context.Context, wait bool) error {
	r.mu.Lock()
	switch {
	case r.closed:
		r.mu.Unlock()
		return ErrClosed
	case r.free > 0: // nobody waits while there is room: what is given back goes to them first
		r.free--
		r.mu.Unlock()
		return nil
	case !wait:
		r.mu.Unlock()
		return ErrQueueFull
	}
	w := &roomWaiter{answer: make(chan error, 1)}
	place := r.waiting.PushBack(w)
	r.mu.Unlock()

	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
		return r.leave(ctx, place, w)
	}
}

// leave gives up waiting. What was granted at the same moment is given back.
func (r *room) leave(ctx context.Context, place *list.Element, w *roomWaiter) error {
	r.mu.Lock()
	r.waiting.Remove(place) // no effect if it has been taken out already
	r.mu.Unlock()
	select {
	case err := <-w.answer:
		if err == nil {
			r.giveBack()
		}
	default:
	}
	return fmt.Errorf("dispatcher: not accepted, while waiting for room in the queue: %w", context.Cause(ctx))
}

// giveBack returns the room of one job.
func (r *room) giveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if front := r.waiting.Front(); front != nil {
		r.waiting.Remove(front)
		front.Value.(*roomWaiter).answer <- nil
		return
	}
	r.free++
}

// close refuses all who wait, and all who come later.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for front := r.waiting.Front(); front != nil; front = r.waiting.Front() {
		r.waiting.Remove(front)
		front.Value.(*roomWaiter).answer <- ErrClosed
	}
}
