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

// task is one accepted job: the core's entry, the caller's future, the function, and the context of the first attempt, in one
// object. It is the only one that most jobs need, so it has nothing that few jobs have: that stands behind asked and story.
type task[T any] struct {
	header
	promise job.Promise[T]
	fn      job.Func[T]
}

// header is the part of a task that does not depend on T. Fields without a note are immutable once it is submitted.
type header struct {
	entry scheduler.Entry // loop only, once submitted
	d     *Dispatcher
	id    job.ID          // written with the submission
	ctx   context.Context //nolint:containedctx // the job's life, which outlasts the call of Submit that it was given to
	asked *asked          // nil: nothing

	watch *watch       // guarded by watches.mu; nil: nobody watches ctx
	mu    sync.Mutex   // held by the loop too, so never while anything of the caller's is called
	story *story       // guarded by mu; nil until there is something to tell
	live  *liveContext // guarded by mu; of the first attempt, if somebody wanted to know its end

	begun    uint32          // guarded by mu; the latest attempt whose function has been called
	ended    bool            // guarded by mu; it has ended
	idle     bool            // guarded by mu; the attempt in flight was called off before its function was called
	turn     turn            // guarded by mu; of a Do
	recall   recall          // guarded by mu; of the attempt in flight
	byCaller bool            // a Do: its caller runs the attempts
	watched  bool            // ctx can end
	byCall   policy.WhenOpen // what its kind of call does at an open circuit, where the key's own breaker decides; ByCall where an option has
	ending   ending          // of the attempt that has ended: written by who ran it, read by the loop
	watchPos int32           // guarded by watches.mu; index in watch
}

// asked is what a submission has asked for besides. It is immutable.
type asked struct {
	terms   scheduler.Terms
	timeout time.Duration // of one attempt, in place of Config.Timeout; negative: none
	outbox  *outbox       // of a Map: told when the job is over; otherwise nil
	bound   time.Time     // a deadline that ctx does not know of; zero: none
}

// ending is how an attempt has ended, in short.
type ending uint8

const (
	endedWell  ending = iota
	endedBadly        // the story has the outcome
	neverBegan        // its function was not called
)

// story is what there is to tell of a job that does not go well, or is not left alone.
type story struct {
	outcome policy.Outcome // of the attempt that has ended badly; written by who ran it, read by the loop
	err     error          // likewise; what it returned
	due     policy.Time    // when the time of the first attempt is up, if it has a timeout; written before its function is called

	last    error       // loop only; the last of err while the job was not settled
	history job.History // loop only
	ended   error       // loop only; the cause of ctx, once it has ended
	expired bool        // loop only; ctx has ended because of its deadline

	later       *laterAttempt // guarded by mu; the attempt in flight, unless it is the first
	over        error         // guarded by mu; why no further attempt is to run; nil while the job is wanted
	callerWaits bool          // guarded by mu; somebody has counted on keepsCaller
	settling    int           // guarded by mu; the attempt that spoken is about
	spoken      uint64        // guarded by mu; the limits, one bit each, whose cost it has corrected
}

// jobTask is a task whatever its T, as the loop sees it.
type jobTask interface {
	head() *header
	run()
	settle(err error)
}

func (h *header) head() *header { return h }

// tell returns the job's story, which there is from now on.
func (h *header) tell() *story {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told()
}

// told is tell for who holds mu.
func (h *header) told() *story {
	if h.story == nil {
		h.story = new(story)
	}
	return h.story
}

// rules returns those of the job's key, as it was submitted.
func (h *header) rules() *scheduler.KeyRules {
	if h.asked == nil {
		return nil
	}
	return h.asked.terms.Rules
}

// retry returns the retry rule of the job.
func (h *header) retry() *policy.Retry {
	if h.asked != nil && h.asked.terms.Retry != nil {
		return h.asked.terms.Retry
	}
	return &h.d.cfg.Retry
}

// timeout returns how long one attempt may take; zero for no bound.
func (h *header) timeout() time.Duration {
	if h.asked == nil || h.asked.timeout == 0 {
		return h.d.cfg.Timeout
	}
	return max(0, h.asked.timeout)
}

// JobID returns the job's number.
func (h *header) JobID() job.ID { return h.id }

// CancelJob cancels the job through the loop, and waits for the loop's answer, which takes no longer than a turn.
func (h *header) CancelJob() job.Canceled {
	answer := make(chan job.Canceled, 1)
	if !h.d.post(&message{do: func() { h.d.cancel(h, answer) }}) {
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
		h.d.post(&message{kind: scheduler.Correct, job: h, attempt: n, limit: i, amount: amount})
	}
	return nil
}

// firstWord reports whether attempt n has not spoken of this limit before. The core would know, too; but a job that says it
// again and again must not fill the exchange.
func (h *header) firstWord(n, limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.told()
	if s.settling != n {
		s.settling, s.spoken = n, 0
	}
	bit := uint64(1) << limit
	first := s.spoken&bit == 0
	s.spoken |= bit
	return first
}

// run runs one admitted attempt on the goroutine that calls it, and notes how it ended, come what may: whoever called it hands
// that back to the loop.
func (t *task[T]) run() {
	n := uint32(t.entry.Runs()) // the loop wrote it before it handed the attempt over, and writes it again only after its end
	returned := false
	defer t.guard(n, &returned)
	if ctx, ok := t.begin(n); ok {
		value, err := t.fn(ctx)
		t.judge(n, value, err)
	} else {
		t.ending = neverBegan
	}
	returned = true
}

// guard is deferred by who runs attempt n. If that has not returned, code of the caller's panicked, or called runtime.Goexit: then
// there is nothing to recover, and the goroutine goes on ending.
func (h *header) guard(n uint32, returned *bool) {
	if *returned {
		return
	}
	err := job.ErrGoexit
	if v := recover(); v != nil { //nolint:revive // guard is what is deferred
		err = &job.PanicError{Value: v, Stack: debug.Stack()}
	}
	defer func() { _ = recover() }() // the caller's context may panic once more: what came first is told
	h.fail(n, err, policy.Outcome{Verdict: policy.VerdictNeutral})
}

// judge says what it means that attempt n has returned. The caller's predicates are asked here, on the goroutine of the attempt
// and under its guard, not on the loop (S-O1).
func (t *task[T]) judge(n uint32, value T, err error) {
	retry := t.retry()
	switch {
	case err == nil && retry.OnResult != nil && retry.Unwanted(value):
		err = &job.ResultError{Result: value}
		t.fail(n, err, retry.Classify(policy.Transient(err)))
	case err == nil:
		t.keep(n, value)
	default:
		err = t.late(n, err)
		t.fail(n, err, retry.Classify(err))
	}
}

// keep notes that attempt n has ended well.
func (t *task[T]) keep(n uint32, value T) {
	t.promise.Keep(value)
	t.ending = endedWell
	t.end(n)
}

// late is err, with which attempt n has returned, or says that its time was up by then.
func (h *header) late(n uint32, err error) error {
	if h.ctx.Err() == nil && h.timedOut(n) {
		return fmt.Errorf("%w after %v: %w", job.ErrAttemptTimeout, h.timeout(), err)
	}
	return err
}

// fail notes that attempt n has ended with an error.
func (h *header) fail(n uint32, err error, outcome policy.Outcome) {
	s := h.tell()
	s.err, s.outcome = err, outcome
	h.ending = endedBadly
	h.end(n)
}

// begin returns the context of attempt n, or false when the job is not wanted any more (S-A7) or the attempt has been called
// back. It calls methods of the caller's context, so it holds no lock meanwhile: the loop may want it.
func (h *header) begin(n uint32) (context.Context, bool) {
	if h.ctx.Err() != nil {
		h.giveUp() // the watch on ctx may not have run yet, and without this the core would only try again
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.story != nil && h.story.over != nil || h.recall != notRecalled {
		if h.recall == recalled {
			h.recall = handedBack
		}
		return nil, false
	}
	h.begun, h.ended = n, false
	var due policy.Time
	if timeout := h.timeout(); timeout > 0 {
		due = h.entry.Started().Add(timeout)
	}
	if n == 1 {
		if due > 0 {
			h.told().due = due
		}
		return (*firstAttempt)(h), true
	}
	later := &laterAttempt{h: h, n: n, due: due}
	h.told().later = later
	return later, true
}

// end ends the context of attempt n.
//
// When the job's own context has ended, the error says nothing about the backend and nothing is tried again. That is told
// by the contexts, never by the text of an error (S-R8): the cancellation is posted ahead of the end, in case the watch on
// the context has not run yet. That holds for a success as well: canceled work is never one (S-F4).
func (h *header) end(n uint32) {
	h.mu.Lock()
	called, live := h.begun == n, h.liveFor(n)
	h.ended = h.ended || called
	if h.turn == goneOn {
		live = nil // it is ended later, see stream.goOn
	}
	h.mu.Unlock()
	if live != nil {
		live.cancel(nil)
	}
	if called && h.ctx.Err() != nil { // or the caller's context may have panicked
		h.giveUp()
	}
}

// liveFor returns what the context of attempt n asks; nil if it is not there. mu is held.
func (h *header) liveFor(n uint32) *liveContext {
	switch {
	case n == 1:
		return h.live
	case h.begun == n && h.story.later != nil:
		return h.story.later.live
	default:
		return nil
	}
}

// giveUp cancels the job because its context has ended. What the context has to say is asked here and not on the loop,
// since it may be the caller's own code (S-O1).
func (h *header) giveUp() {
	expired := errors.Is(h.ctx.Err(), context.DeadlineExceeded)
	h.d.post(&message{kind: scheduler.Cancel, job: h, err: context.Cause(h.ctx), expired: expired})
}

// callOff makes attempt n, which is in flight, unwanted: if its function has not been called yet, it won't be. Its context
// is ended by tidy. Loop only.
func (h *header) callOff(n int, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told().over = cause
	h.idle = h.begun < uint32(n)
}

// tidy ends the context of an attempt that is not wanted any more. That can call methods of the caller's context, so it runs
// anywhere but on the loop (S-O1).
func (h *header) tidy() {
	h.mu.Lock()
	var live *liveContext
	var cause error
	if s := h.story; s != nil && s.over != nil && !h.ended {
		cause, live = s.over, h.live
		if s.later != nil {
			live = s.later.live
		}
	}
	h.mu.Unlock()
	if live != nil {
		h.cut(live, cause)
	}
}

// attempts is how often the job's function has been called. Loop only.
func (h *header) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle {
		return int(h.begun) // the core may have taken the attempt back, or not yet
	}
	return h.entry.Runs()
}

// settle gives the future its answer. With an error there is no value: a function that ignored its cancellation may still be
// at it. Loop only.
func (t *task[T]) settle(err error) { t.promise.SettleKept(err) }
