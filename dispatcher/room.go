package dispatcher

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// room counts the jobs that may still be accepted: the bound on what a dispatcher can be made to hold (S-F8). Those who
// wait for room get it in the order in which they came.
//
// While nobody waits, it is a number. Who finds none locks, announces himself, and looks again; who gives back looks for those
// who wait afterwards: so one of the two sees the other.
type room struct {
	free atomic.Int64

	crowded atomic.Bool // somebody waits, or nobody may come in any more
	mu      sync.Mutex
	waiting list.List // guarded by mu; of *roomWaiter
	closed  bool      // guarded by mu
}

type roomWaiter struct {
	answer chan error // buffered; nil: there is room, and it has been taken
}

// tryTake takes room for one job if there is some and nobody waits for it. Otherwise it takes nothing.
func (r *room) tryTake() bool { return !r.crowded.Load() && r.takeOne() }

func (r *room) takeOne() bool {
	for {
		free := r.free.Load()
		if free <= 0 {
			return false
		}
		if r.free.CompareAndSwap(free, free-1) {
			return true
		}
	}
}

// take takes room for one job. If there is none it waits, or returns ErrQueueFull where wait says so.
func (r *room) take(ctx context.Context, wait func() bool) error {
	if r.tryTake() {
		return nil
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	r.mu.Unlock()
	if !wait() { // which asks the caller's context
		return ErrQueueFull
	}
	ended := ctx.Done() // which may panic, so before there is something to be undone
	w, place, err := r.queue()
	if err != nil {
		return err
	}
	select {
	case err := <-w.answer:
		return err
	case <-ended:
		return r.leave(ctx, place, w)
	}
}

// queue puts the caller among those who wait.
func (r *room) queue() (*roomWaiter, *list.Element, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, ErrClosed
	}
	w := &roomWaiter{answer: make(chan error, 1)}
	place := r.waiting.PushBack(w)
	r.crowded.Store(true)
	r.admit() // it may have been given back just before
	return w, place, nil
}

// leave gives up waiting. What was granted at the same moment is given back.
func (r *room) leave(ctx context.Context, place *list.Element, w *roomWaiter) error {
	r.mu.Lock()
	r.waiting.Remove(place) // no effect if it has been taken out already
	r.admit()
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
	r.free.Add(1)
	if r.crowded.Load() {
		r.mu.Lock()
		r.admit()
		r.mu.Unlock()
	}
}

// admit lets in those who wait, as far as there is room. mu is held.
func (r *room) admit() {
	for r.waiting.Len() > 0 && r.takeOne() {
		front := r.waiting.Front()
		r.waiting.Remove(front)
		front.Value.(*roomWaiter).answer <- nil
	}
	if r.waiting.Len() == 0 && !r.closed {
		r.crowded.Store(false)
	}
}

// close refuses all who wait, and all who come later.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.crowded.Store(true)
	for front := r.waiting.Front(); front != nil; front = r.waiting.Front() {
		r.waiting.Remove(front)
		front.Value.(*roomWaiter).answer <- ErrClosed
	}
}
