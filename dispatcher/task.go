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
	bound   time.Time       // a deadline that ctx does not know of; zero: none

	last     error       // loop only; what the function returned last
	history  job.History // loop only
	began    policy.Time // loop only; when the attempt in flight was admitted
	accepted policy.Time // loop only; when the job reached the loop
	ended    error       // loop only; the cause of ctx, once it has ended
	expired  bool        // loop only; ctx has ended because of its deadline
	idle     bool        // loop only; the attempt in flight was called off before its function was called

	mu       sync.Mutex
	begun    int                     // guarded by mu; the latest attempt whose function has been called
	cancel   context.CancelCauseFunc // guarded by mu; of the attempt that runs; nil when none does
	over     error                   // guarded by mu; why no further attempt is to run; nil while the job is wanted
	unwatch  func() bool             // guarded by mu; ends the watch on ctx; nil when there is none
	settled  bool                    // guarded by mu; nobody needs to watch any more
	settling int                     // guarded by mu; the attempt that spoken is about
	spoken   uint64                  // guarded by mu; the limits, one bit each, whose cost it has corrected
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
	found := <-answer
	h.tidy() // when Cancel returns, a running function has been told
	return found
}

// SettleAttempt corrects what attempt n was charged for a limit.
func (h *header) SettleAttempt(n int, limit string, actual float64) error {
	i, err := h.d.limitIndex(limit)
	if err != nil {
		return err
	}
	field := fmt.Sprintf("settled cost of limit %q", limit)
	if limits := *h.d.limits.Load(); !limits[i].Settled {
		return &policy.FieldError{Field: field, Value: actual, Allowed: "of a limit that is declared as Settled"}
	}
	amount, err := policy.AmountOf(field, actual)
	if err != nil {
		return err
	}
	if h.firstWord(n, i) {
		h.d.mail.post(message{kind: scheduler.Correct, job: h, attempt: n, limit: i, amount: amount})
	}
	return nil
}

// firstWord reports whether attempt n has not spoken of this limit before. The core would know, too; but a job that says it
// again and again must not fill the mailbox.
func (h *header) firstWord(n, limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settling != n {
		h.settling, h.spoken = n, 0
	}
	bit := uint64(1) << limit
	first := h.spoken&bit == 0
	h.spoken |= bit
	return first
}

// run runs one admitted attempt on the goroutine that calls it, and tells the loop how it ended, come what may.
func (t *task[T]) run() {
	n := t.entry.Runs() // the loop wrote it before it handed the attempt over, and writes it again only after its end
	told := false
	defer func() {
		if told {
			return
		}
		// Code of the caller's panicked, or it called runtime.Goexit, in which case there is nothing to recover and the
		// goroutine goes on ending.
		err := job.ErrGoexit
		if v := recover(); v != nil {
			err = &job.PanicError{Value: v, Stack: debug.Stack()}
		}
		t.end(n, err, policy.Outcome{Verdict: policy.VerdictNeutral})
	}()
	ctx, ok := t.begin(n)
	if !ok {
		told = true
		t.d.mail.post(message{kind: scheduler.Unstarted, job: &t.header, attempt: n})
		return
	}
	value, err := t.fn(ctx)
	judged := err
	if err == nil && t.retry.OnResult != nil && t.retry.Unwanted(value) {
		err = &job.ResultError{Result: value}
		judged = policy.Transient(err)
	}
	if err == nil {
		t.value = value
	} else if t.ctx.Err() == nil && errors.Is(context.Cause(ctx), job.ErrAttemptTimeout) {
		err = fmt.Errorf("%w after %v: %w", job.ErrAttemptTimeout, t.timeout, err)
		judged = err
	}
	// The caller's predicates are asked here, on the goroutine of the attempt and under its guard, not on the loop
	// (S-O1).
	outcome := t.retry.Classify(judged)
	told = true
	t.end(n, err, outcome)
}

// begin returns the context of attempt n, or false when the job is not wanted any more (S-A7). It calls methods of the
// caller's context, so it holds no lock meanwhile: the loop may want it.
func (h *header) begin(n int) (context.Context, bool) {
	if h.ctx.Err() != nil {
		h.giveUp() // the watch on ctx may not have run yet, and without this the core would only try again
		return nil, false
	}
	ctx, cancel := h.attemptContext(n)
	h.mu.Lock()
	wanted := h.over == nil
	if wanted {
		h.begun, h.cancel = n, cancel
	}
	h.mu.Unlock()
	if !wanted {
		cancel(nil)
	}
	return ctx, wanted
}

// attemptContext makes the context of attempt n.
func (h *header) attemptContext(n int) (context.Context, context.CancelCauseFunc) {
	attempt := job.Attempt{ID: h.id, N: n, Key: h.entry.Key, Dispatcher: h.d.name}
	ctx, cancel := context.WithCancelCause(job.WithSettler(h.ctx, attempt, h))
	if !h.bound.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, h.bound)
		cancel = both(cancel, stop)
	}
	if h.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, h.timeout, job.ErrAttemptTimeout)
		cancel = both(cancel, stop)
	}
	return ctx, cancel
}

// both cancels a context, and releases one with a timer below it.
func both(cancel context.CancelCauseFunc, stop context.CancelFunc) context.CancelCauseFunc {
	return func(cause error) { cancel(cause); stop() }
}

// watch has the job canceled when its context ends. The job may be settled by now.
func (h *header) watch() {
	if h.ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(h.ctx, h.giveUp)
	h.mu.Lock()
	settled := h.settled
	if !settled {
		h.unwatch = stop
	}
	h.mu.Unlock()
	if settled {
		stop()
	}
}

// giveUp cancels the job because its context has ended. What the context has to say is asked here and not on the loop,
// since it may be the caller's own code (S-O1).
func (h *header) giveUp() {
	expired := errors.Is(h.ctx.Err(), context.DeadlineExceeded)
	h.d.mail.post(message{kind: scheduler.Cancel, job: h, err: context.Cause(h.ctx), expired: expired})
}

// end reports the end of attempt n, and releases its context.
//
// When the job's own context has ended, the error says nothing about the backend and nothing is tried again. That is told
// by the contexts, never by the text of an error (S-R8): the cancellation is posted ahead of the end, in case the watch on
// the context has not run yet. That holds for a success as well: canceled work is never one (S-F4).
func (h *header) end(n int, err error, out policy.Outcome) {
	h.mu.Lock()
	cancel := h.cancel
	h.cancel = nil
	h.mu.Unlock()
	if cancel != nil { // nil when the caller's context panicked
		cancel(nil)
		if h.ctx.Err() != nil {
			h.giveUp()
		}
	}
	h.d.mail.post(message{kind: scheduler.Done, job: h, attempt: n, outcome: out, err: err})
}

// callOff makes attempt n, which is in flight, unwanted: if its function has not been called yet, it won't be. Its context
// is ended by tidy. Loop only.
func (h *header) callOff(n int, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = cause
	h.idle = h.begun < n
}

// retire notes that the job is settled, and reports whether there is a watch on its context to be ended by tidy. Loop only.
func (h *header) retire() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = true
	return h.unwatch != nil
}

// tidy ends the watch on the job's context once the job is settled, and the context of an attempt that is not wanted any
// more. Both can call methods of the caller's context, so it runs anywhere but on the loop (S-O1).
func (h *header) tidy() {
	h.mu.Lock()
	stop, cancel, cause := h.unwatch, h.cancel, h.over
	if h.settled {
		h.unwatch = nil
	}
	settled := h.settled
	h.mu.Unlock()
	if settled && stop != nil {
		stop()
	}
	if cause != nil && cancel != nil {
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
