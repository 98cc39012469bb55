package main

import (
	"errors"
	"slices"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// reason is why a job has ended.
type reason int

const (
	succeeded reason = iota
	failed           // and was not to be tried again
	exhausted
	elapsed
	budget
	throttled
	panicked
	exited
	opened
	late
	canceled
	unstarted
	aborted
)

// reasons are their names, and what they match. A sudden one can come while the function runs.
var reasons = [...]struct {
	name   string
	is     error // nil: see reasonOf
	sudden bool
}{
	succeeded: {name: "succeeded"},
	failed:    {name: "failed, not to be tried again", is: job.ErrFailed},
	exhausted: {name: "attempts used up", is: job.ErrMaxRetriesExceeded},
	elapsed:   {name: "no time for another attempt", is: job.ErrMaxElapsed},
	budget:    {name: "retry budget used up", is: job.ErrRetryBudget},
	throttled: {name: "throttled for too long", is: job.ErrThrottled},
	panicked:  {name: "panicked"},
	exited:    {name: "ended its goroutine", is: job.ErrGoexit},
	opened:    {name: "open circuit", is: policy.ErrOpenCircuit},
	late:      {name: "deadline", is: job.ErrDeadline, sudden: true},
	canceled:  {name: "canceled", is: job.ErrCanceled, sudden: true},
	unstarted: {name: "stopped before it started", is: job.ErrNotStarted},
	aborted:   {name: "aborted", is: job.ErrAborted, sudden: true},
}

// reasonOf returns the reason of a failure, or succeeded if it has none that is known.
func reasonOf(err *job.Error) reason {
	if _, ok := errors.AsType[*job.PanicError](err.Reason); ok {
		return panicked
	}
	for r, known := range reasons {
		if known.is != nil && errors.Is(err.Reason, known.is) {
			return reason(r)
		}
	}
	return succeeded
}

// mayEnd reports whether an errand may have ended for that reason.
func (e *errand) mayEnd(r reason) bool {
	switch r {
	case opened:
		return e.hurried
	case canceled:
		return e.mayBeCanceled()
	case unstarted:
		return e.p.stopping.Load()
	case aborted:
		return e.p.aborting.Load()
	default:
		return slices.Contains(e.kind.ends, r)
	}
}
