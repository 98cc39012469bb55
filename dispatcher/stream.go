package dispatcher

import (
	"context"

	"github.com/toller-go/toller/policy"
)

// StreamFunc is a function whose result may be under way still when it returns, like the body of an answer that is read while it
// comes. rest, if it is not nil, waits for the end of that; until it has returned the attempt goes on, and its context with it.
// rest has to return soon after the end of ctx. It is not called if there is an error.
type StreamFunc[T any] func(ctx context.Context) (value T, rest func() error, err error)

// Stream is [Do] for a function whose result is under way still when it returns: the caller has the value as soon as the function
// has returned it, and the attempt keeps its worker, and its place under every limit of concurrency, until rest has returned. So
// what streams counts for as long as it does.
//
// The attempts run on the goroutine that calls Stream, and rest on one of the dispatcher's pool. Up to the value, all is as with Do:
// what fails is tried again by the rules. After that nothing is, since the caller has the beginning; how rest ends is the end of
// the job, for its circuit, its limits and whoever observes the dispatcher, but told to nobody else. Retry.OnResult is asked of a value
// that is complete, with a nil rest, and no other.
//
// The context of the attempt ends when rest has returned and that counts. So what is read from the value can wait for it where it has
// been read to its end, or is closed: a caller who cancels ctx after that does not make it a canceled job.
//
// ctx is the job's life: when it ends, so does the context of the attempt, also during rest. Close, Stop and WaitIdle wait for rest;
// when the context of Close or Stop ends, so does that of the attempt. The value of a function that has returned it with a
// rest and without an error is returned even if the job is over by then, for want of time perhaps: the caller has to do away with it,
// and rest is called. A value without a rest is complete, and as with Do it is lost if the job is over.
//
// A stream that is held open is a worker less. That of a job which holds one and waits for another job of its dispatcher meanwhile is
// not told of a deadlock ([job.ErrDeadlock]) if there is no third: whether the stream ends without it, nobody can tell.
func Stream[T any](ctx context.Context, d *Dispatcher, fn StreamFunc[T], options ...Option) (T, error) {
	var zero T
	if fn == nil {
		return zero, ErrNilFunc
	}
	s := &stream[T]{fn: fn}
	t, err := newTask(ctx, d, s.open, policy.FailFast, options)
	if err != nil {
		return zero, err
	}
	s.task = t
	if err := t.runByCaller(ctx, s.runHere); err != nil {
		return zero, err
	}
	if s.rest != nil {
		return s.value, nil
	}
	value, err, _ := t.promise.Future().Result()
	return value, err
}

// stream is the call of a Stream.
type stream[T any] struct {
	fn    StreamFunc[T]
	task  *task[T]
	value T
	rest  func() error // of the attempt that goes on after its function has returned; nil while there is none
}

// open is the function of the job.
func (s *stream[T]) open(ctx context.Context) (T, error) {
	value, rest, err := s.fn(ctx)
	if err == nil && rest != nil {
		s.value, s.rest = value, rest
	}
	return value, err
}

// runHere is that of the task for an attempt that may go on elsewhere.
func (s *stream[T]) runHere() (goesOn bool) {
	t := s.task
	defer func() {
		if !goesOn {
			t.d.handBack(&t.header)
		}
	}()
	n := uint32(t.entry.Runs())
	returned := false
	defer t.guard(n, &returned)
	if ctx, ok := t.begin(n); ok {
		value, err := t.fn(ctx)
		if goesOn = s.rest != nil; !goesOn {
			t.judge(n, value, err)
		}
	} else {
		t.ending = neverBegan
	}
	if returned = true; goesOn {
		t.releaseCaller()
		t.d.elsewhere(func() { s.goOn(n) })
	}
	return goesOn
}

// goOn is what is left of attempt n. Its context ends only when its end has been handed back: who waits for that, and cancels the job
// then, comes too late to make it a canceled one.
func (s *stream[T]) goOn(n uint32) {
	t := s.task
	defer t.endContext(n)
	defer t.d.handBack(&t.header)
	returned := false
	defer t.guard(n, &returned)
	if err := s.rest(); err == nil {
		t.keep(n, s.value)
	} else {
		err = t.late(n, err)
		outcome := t.retry().Classify(err)
		outcome.Retry = false // the caller has the beginning
		t.fail(n, err, outcome)
	}
	returned = true
}

// endContext ends the context of attempt n, which has gone on elsewhere.
func (h *header) endContext(n uint32) {
	h.mu.Lock()
	h.turn = through
	live := h.liveFor(n)
	h.mu.Unlock()
	if live != nil {
		live.cancel(nil)
	}
}
