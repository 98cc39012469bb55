package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// The reasons for which a job ends without a result; [Error].Reason is one of them, or an error of a type of its own
// such as [*PanicError] or *policy.OpenCircuitError. They are only ever seen inside an [Error], whose text names the job,
// so they carry no prefix of their own.
var (
	// ErrFailed: the attempt failed, and no other follows it. It comes as ErrRetriesOff or ErrNotRetried, which match it.
	ErrFailed = errors.New("failed")
	// ErrRetriesOff: the attempt failed, and retries are off: the zero policy.Retry.
	ErrRetriesOff error = endError{"failed (retries are off)", ErrFailed}
	// ErrNotRetried: the attempt failed with an error that is not one to try again: nothing marks it as such
	// (policy.Transient), policy.Retry.On does not choose it, and it is none of those that are well known to be transient; or it is
	// marked as final.
	ErrNotRetried error = endError{"failed (with an error that is not tried again)", ErrFailed}
	// ErrMaxElapsed: the next attempt would have begun too late after Submit (policy.Retry.MaxElapsed).
	ErrMaxElapsed = errors.New("no time left for another attempt")
	// ErrThrottled: the job spent too long waiting because the server was sent too much (policy.Retry.MaxThrottleWait).
	ErrThrottled = errors.New("throttled for too long")
	// ErrHintTooLong: the server asked for a longer wait than policy.Retry.MaxHint, or for one without an end.
	ErrHintTooLong = errors.New("the server asks for too long a wait")
	// ErrDeadline: the job's deadline came, or a wait that cannot be shortened would have ended after it. The job's error
	// matches context.DeadlineExceeded, and the cause of the context whose deadline it was.
	ErrDeadline error = endError{"deadline exceeded", context.DeadlineExceeded}
	// ErrCanceled: the job was canceled, by Future.Cancel or by the context that was given to Submit. The job's error
	// matches context.Canceled, and the cause of that context.
	ErrCanceled error = endError{"canceled", context.Canceled}
	// ErrContextEnded is an ErrCanceled: by the context that was given to Submit, which is the job's life, and not only that of
	// the call.
	ErrContextEnded error = contextEndedError{}
	// ErrRetryBudget: the job's key has had its share of retries (policy.Budget).
	ErrRetryBudget = errors.New("retry budget used up")
	// ErrNotStarted: the dispatcher was stopped before the job could be run, or run again.
	ErrNotStarted = errors.New("the dispatcher was stopped before the job could start")
	// ErrAborted: the time that Close or Stop was given ran out.
	ErrAborted = errors.New("aborted")
	// ErrCostTooHigh: the job costs more of a limit than that allows at once, because it was lowered after the job was
	// accepted: the burst of a strict limit, or the rate of a sliding one.
	ErrCostTooHigh = errors.New("the cost is above what a limit allows by now")
	// ErrGoexit: the function ended its goroutine with runtime.Goexit.
	ErrGoexit = errors.New("the function called runtime.Goexit")
)

// endError is a reason that is also another error, such as one of package context.
type endError struct {
	text string
	as   error
}

func (e endError) Error() string        { return e.text }
func (e endError) Is(target error) bool { return target == e.as }

type contextEndedError struct{}

func (contextEndedError) Error() string { return "canceled by the context of its submission" }
func (contextEndedError) Is(target error) bool {
	return target == ErrCanceled || target == context.Canceled
}

// ErrMaxRetriesExceeded is what every [*MaxRetriesExceededError] matches by errors.Is.
var ErrMaxRetriesExceeded = errors.New("retries exceeded")

// ErrNotSettled is what Await returns, with the cause of its context, when it gives up before the job is settled. The job
// goes on.
var ErrNotSettled = errors.New("job: not settled")

// ErrAttemptTimeout is the cause of an attempt's context when the attempt's own time is up. It tells this from the end
// of the whole job, whatever error the function makes of it. Like every timeout, it has a method Timeout that says so.
var ErrAttemptTimeout error = attemptTimeoutError{}

type attemptTimeoutError struct{}

func (attemptTimeoutError) Error() string   { return "attempt timed out" }
func (attemptTimeoutError) Timeout() bool   { return true }
func (attemptTimeoutError) Temporary() bool { return true } // asked for by net.Error

// Error is how a job ends that has no result. errors.Is and errors.As find the reason, the last error of the function and
// the cause of a context.
type Error struct {
	Dispatcher string // name of the dispatcher
	ID         ID
	Key        string // empty when the job named none
	Attempts   int    // how many have been started
	Reason     error  // why the dispatcher stopped
	Last       error  // what the function returned last; nil when it never returned an error
	Cause      error  // why a context ended; nil when none did
	History    History
}

// Error tells the job, why it stopped, and what failed.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %d", e.ID)
	if e.Key != "" {
		fmt.Fprintf(&b, " (key %q)", e.Key)
	}
	fmt.Fprintf(&b, " of dispatcher %q: %v", e.Dispatcher, e.Reason)
	if e.Cause != nil && (e.Reason == nil || e.Cause.Error() != e.Reason.Error()) {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Attempts > 0 {
		fmt.Fprintf(&b, ", after %d %s", e.Attempts, plural(e.Attempts, "attempt"))
	}
	if e.Last != nil {
		fmt.Fprintf(&b, ": %v", e.Last)
	}
	return b.String()
}

// LogValue returns what the error is about as a group of attributes, for log/slog.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("dispatcher", e.Dispatcher), slog.Uint64("job", uint64(e.ID)), slog.Int("attempts", e.Attempts)}
	if e.Key != "" {
		attrs = append(attrs, slog.String("key", e.Key))
	}
	for _, part := range []struct {
		name string
		err  error
	}{{"reason", e.Reason}, {"last", e.Last}, {"cause", e.Cause}} {
		if part.err != nil {
			attrs = append(attrs, slog.String(part.name, part.err.Error()))
		}
	}
	return slog.GroupValue(attrs...)
}

// Unwrap returns the reason, the function's last error, and the cause of a context, as far as there are any.
func (e *Error) Unwrap() []error {
	all := make([]error, 0, 3)
	for _, err := range []error{e.Reason, e.Last, e.Cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// MaxRetriesExceededError is the reason of a job that failed as often as it may. It matches [ErrMaxRetriesExceeded].
type MaxRetriesExceededError struct {
	Attempts int   // failures that counted; throttles do not
	Last     error // the last of them
}

// Error says that the attempts are used up; how many there were, and how the last one failed, is told by [Error].
func (e *MaxRetriesExceededError) Error() string {
	return "retries exceeded"
}

// Is reports whether target is [ErrMaxRetriesExceeded].
func (e *MaxRetriesExceededError) Is(target error) bool { return target == ErrMaxRetriesExceeded }

// Unwrap returns the last failure.
func (e *MaxRetriesExceededError) Unwrap() error { return e.Last }

// ResultError is the error of an attempt whose result was not wanted, because policy.Retry.OnResult said so.
type ResultError struct {
	Result any // what the function returned
}

// Error says that there was a result; it may be long, and is not shown.
func (e *ResultError) Error() string { return fmt.Sprintf("unwanted result (a %T)", e.Result) }

// PanicError is the reason of a job whose function panicked. The panic went no further.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it
}

// Error shows the value; the stack is left to those who want it.
func (e *PanicError) Error() string { return fmt.Sprintf("the function panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Failure is one attempt that did not succeed.
type Failure struct {
	N     int           // which attempt
	At    time.Duration // when it ended, since Submit
	Took  time.Duration // how long it ran
	Error error
}

// History is the failed attempts of a job: the first four and the last four, however many there were (S-R9).
type History struct {
	First []Failure
	Last  []Failure // those after First; when there were more than eight, those between are forgotten
}

// historyEnd is how many failures each end of a History keeps.
const historyEnd = 4

// Add appends f, and forgets the oldest of Last when that is full. A copy of h must not be used after it.
func (h *History) Add(f Failure) {
	if len(h.First) < historyEnd {
		h.First = append(h.First, f)
		return
	}
	if len(h.Last) == historyEnd {
		copy(h.Last, h.Last[1:])
		h.Last = h.Last[:historyEnd-1]
	}
	h.Last = append(h.Last, f)
}

// latest returns how the last of the failed attempts ended; nil when there is none.
func (h *History) latest() error {
	for _, end := range [][]Failure{h.Last, h.First} {
		if n := len(end); n > 0 {
			return end[n-1].Error
		}
	}
	return nil
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
