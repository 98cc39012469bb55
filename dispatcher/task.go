package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// task is one accepted job: the core's entry, the caller's future and the function, in one object.
type task[T any] struct {
	header
	promise job.Promise[T]
	fn      job.Func[T]
	value   T // written by the goroutine that runs an attempt; read by the loop once that attempt has ended well
}

// header is the part of a task that does not depend on T. Fields without a note are immutable once it is submitted.
type header struct {
	entry   scheduler.Entry // loop only, once submitted
	d       *Dispatcher
	id      job.ID
	ctx     context.Context //nolint:containedctx // the job's life, which outlasts the call of Submit that it was given to
	timeout time.Duration   // of one attempt; 0: none
	retry   *policy.Retry   // never nil
	turn    chan struct{}   // of a Do: its caller runs the attempts, when told so here; otherwise nil
	outbox  *outbox         // of a Map: told when the job is over; otherwise nil
	unwatch func() bool     // ends the watch on ctx; loop only, once submitted; nil when there is nothing to watch

	last     error       // loop only; what the function returned last
	failures int         // loop only; failed attempts that were not throttled
	history  job.History // loop only
	began    policy.Time // loop only; when the attempt in flight was admitted
	accepted policy.Time // loop only; when the job reached the loop

	mu     sync.Mutex
	cancel context.CancelCauseFunc // guarded by mu; of the attempt that runs; nil when none does
	over   error                   // guarded by mu; why no further attempt is to run; nil while the job is wanted
}

// jobTask is a task whatever its T, as the loop sees it.
type jobTask interface {
	runnable
	settle(reason scheduler.Reason, err error)
}

func (h *header) head() *header { return h }

// JobID returns the job's number.
func (h *header) JobID() job.ID { return h.id }

// CancelJob cancels the job through the loop, and waits for the loop's answer, which takes no longer than a turn.
func (h *header) CancelJob() job.Canceled {
	answer := make(chan job.Canceled, 1)
	if !h.d.mail.post(message{do: func() { h.d.cancel(h, answer) }}) {
		return job.AlreadySettled
	}
	return <-answer
}

// run runs one admitted attempt on the goroutine that calls it, and tells the loop how it ended, come what may.
func (t *task[T]) run() {
	n := t.entry.Runs() // the loop wrote it before it handed the attempt over, and writes it again only after its end
	ctx, ok := t.begin(n)
	if !ok {
		t.d.mail.post(message{kind: scheduler.Unstarted, job: &t.header, attempt: n})
		return
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		// The function neither returned nor is this goroutine to blame: it panicked, or it called runtime.Goexit, in
		// which case there is nothing to recover and the goroutine goes on ending.
		err := job.ErrGoexit
		if v := recover(); v != nil {
			err = &job.PanicError{Value: v, Stack: debug.Stack()}
		}
		t.end(n, err, policy.Outcome{Verdict: policy.VerdictNeutral})
	}()
	value, err := t.fn(ctx)
	if err == nil {
		t.value = value
	} else if t.ctx.Err() == nil && errors.Is(context.Cause(ctx), job.ErrAttemptTimeout) {
		err = fmt.Errorf("%w after %v: %w", job.ErrAttemptTimeout, t.timeout, err)
	}
	// The caller's predicates are asked here, on the goroutine of the attempt and under its guard, not on the loop
	// (S-O1).
	outcome := t.retry.Classify(err)
	returned = true
	t.end(n, err, outcome)
}

// begin returns the context of attempt n, or false when the job is not wanted any more (S-A7).
func (h *header) begin(n int) (context.Context, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over != nil {
		return nil, false
	}
	if h.ctx.Err() != nil {
		// The watch on ctx may not have run yet, and without this the core would only try again.
		h.d.mail.post(message{kind: scheduler.Cancel, job: h})
		return nil, false
	}
	ctx := job.WithAttempt(h.ctx, job.Attempt{ID: h.id, N: n, Key: h.entry.Key, Dispatcher: h.d.name})
	ctx, h.cancel = context.WithCancelCause(ctx)
	if h.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, h.timeout, job.ErrAttemptTimeout)
		cancel := h.cancel
		h.cancel = func(cause error) { cancel(cause); stop() }
	}
	return ctx, true
}

// end reports the end of attempt n, and releases its context.
//
// When the job's own context has ended, the error says nothing about the backend and nothing is tried again. That is told
// by the contexts, never by the text of an error (S-R8): the cancellation is posted ahead of the end, in case the watch on
// the context has not run yet. A function that made it to its result all the same has succeeded.
func (h *header) end(n int, err error, out policy.Outcome) {
	h.mu.Lock()
	cancel := h.cancel
	h.cancel = nil
	h.mu.Unlock()
	cancel(nil)
	if err != nil && h.ctx.Err() != nil {
		h.d.mail.post(message{kind: scheduler.Cancel, job: h})
	}
	h.d.mail.post(message{kind: scheduler.Done, job: h, attempt: n, outcome: out, err: err})
}

// signal ends the context of the attempt that runs, and keeps any other from starting. Loop only.
func (h *header) signal(cause error) {
	h.mu.Lock()
	h.over = cause
	cancel := h.cancel
	h.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// settle gives the future its answer. Loop only.
func (t *task[T]) settle(reason scheduler.Reason, err error) {
	if reason == scheduler.Succeeded {
		t.promise.Settle(t.value, nil)
		return
	}
	var zero T // never t.value: a function that ignored its cancellation may be writing it
	t.promise.Settle(zero, err)
}
