package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"
)

// Verdict is what a breaker learns from the end of one attempt (S-B2).
type Verdict uint8

// The verdicts.
const (
	VerdictSuccess  Verdict = iota // the backend answered
	VerdictFailure                 // the backend failed
	VerdictNeutral                 // nothing was learnt: neither closes, nor opens, nor counts
	VerdictUnusable                // the key is of no use until someone mends it
)

// String returns the verdict as one lower-case word.
func (v Verdict) String() string {
	names := [...]string{"success", "failure", "neutral", "unusable"}
	if int(v) >= len(names) {
		return fmt.Sprintf("Verdict(%d)", uint8(v))
	}
	return names[v]
}

// Outcome is all that decisions are based on: what the end of one attempt means, without the error itself.
type Outcome struct {
	Verdict   Verdict
	Retry     bool          // another attempt may go better
	Throttled bool          // refused for sending too much: the key cools down
	Hinted    bool          // Hint is the server's word; it may be zero
	Hint      time.Duration // how long the server asked to be left alone; never negative
	Unbilled  bool          // the server has certainly not charged for the attempt
}

// Classify says what the end of an attempt means. A nil err is a success. Otherwise the first of these that applies
// decides (S-R10):
//
//  1. StopOn(err) is true, or err is marked [Fatal], [Failed], [Neutral] or [Unusable]: not tried again.
//  2. err is marked [Transient] or [Throttled], or On(err) is true: tried again.
//  3. err is one of the well-known transient errors, see [IsTransient]: tried again.
//  4. Anything else is not tried again.
//
// Whether it is tried again and what the breaker learns are separate questions: an unmarked error is a failure of the
// backend, as is a transient one and one marked Failed; Fatal, Neutral, Throttled and context.Canceled are neutral.
//
// A nil err is not asked for its result. One that is [Retry.Unwanted] is to be classified as an error instead, marked
// [Transient], which a dispatcher makes of it (job.ResultError): a failure of the backend, tried again unless StopOn
// says otherwise.
//
// It is called from the goroutine that ran the attempt, and so are the predicates.
func (r *Retry) Classify(err error) Outcome {
	if err == nil {
		return Outcome{Verdict: VerdictSuccess}
	}
	out := classifyMark(err)
	_, out.Unbilled = errors.AsType[unbilledError](err)
	if r.On != nil && !out.Retry && !isFinal(err) && r.On(err) {
		out.Retry = true
	}
	if out.Retry && r.StopOn != nil && r.StopOn(err) {
		out.Retry = false
	}
	return out
}

// Unwanted reports whether OnResult wants another attempt, though this one came back with result and without an error.
// Without OnResult every result is good. It is called from the goroutine that ran the attempt.
func (r *Retry) Unwanted(result any) bool { return r.OnResult != nil && r.OnResult(result) }

// classifyMark decides by the outermost mark or, where there is none, by the kind of error.
func classifyMark(err error) Outcome {
	m, ok := markOf(err)
	if !ok {
		transient := IsTransient(err)
		if !transient && errors.Is(err, context.Canceled) {
			return Outcome{Verdict: VerdictNeutral} // somebody stopped asking; that says nothing about the backend
		}
		return Outcome{Verdict: VerdictFailure, Retry: transient}
	}
	out := Outcome{Hinted: m.after >= 0, Hint: max(m.after, 0)}
	switch m.mark {
	case markTransient:
		out.Verdict, out.Retry = VerdictFailure, true
	case markThrottled:
		out.Verdict, out.Retry, out.Throttled = VerdictNeutral, true, true
	case markUnusable:
		out.Verdict = VerdictUnusable
	case markFailed:
		out.Verdict = VerdictFailure
	case markFatal, markNeutral:
		out.Verdict = VerdictNeutral
	}
	return out
}

func markOf(err error) (*markedError, bool) { return errors.AsType[*markedError](err) }

// isFinal reports whether err carries a mark that On must not overrule.
func isFinal(err error) bool {
	m, ok := markOf(err)
	return ok && (m.mark == markFatal || m.mark == markFailed || m.mark == markNeutral || m.mark == markUnusable)
}

// IsTransient reports whether err, unmarked, is one of the well-known errors that may pass: a connection refused, reset
// or broken, an unexpected EOF, or anything that calls itself a timeout.
func IsTransient(err error) bool {
	for _, known := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return true
		}
	}
	return isTimeout(err)
}

// isTimeout reports whether err, or any error it wraps, calls itself a timeout. errors.As would stop at the first that
// could, and *url.Error always could.
func isTimeout(err error) bool {
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return true
	}
	switch wrapper := err.(type) { //nolint:errorlint // likewise
	case interface{ Unwrap() error }:
		return isTimeout(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(wrapper.Unwrap(), isTimeout)
	default:
		return false
	}
}
