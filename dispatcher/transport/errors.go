package transport

import (
	"context"
	"errors"
	"net/http"

	"github.com/toller-go/toller/job"
)

// ErrAnswerTimeout is why an attempt ended that took longer than Config.AnswerTimeout, and ErrIdleTimeout why a stream broke off
// that was silent for longer than Config.IdleTimeout. Like every timeout, they have a method Timeout that says so.
var (
	ErrAnswerTimeout error = timeoutError{"transport: no answer in time"}
	ErrIdleTimeout   error = timeoutError{"transport: nothing more came in time"}
)

type timeoutError struct{ text string }

func (e timeoutError) Error() string { return e.text }

// Timeout says that it is one.
func (timeoutError) Timeout() bool { return true }

// Error is what RoundTrip returns when it has no answer to return. Under it, errors.As finds the [*job.Error] of the job, if the
// request has become one, and the [*api.Error] of its last attempt, if there was one; errors.Is finds why it ended.
type Error struct {
	Err error
}

// Error is the text of what is under it.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what is under it.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time has run out, be it that of the request or of its last attempt. It is asked by who wants to know
// whether a *url.Error is a timeout.
func (e *Error) Timeout() bool {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return true
	}
	var ended *job.Error
	if !errors.As(e.Err, &ended) {
		return false
	}
	var t interface{ Timeout() bool }
	return errors.As(ended.Last, &t) && t.Timeout()
}

// failureKey is where an answer's request keeps why there is no better one.
type failureKey struct{}

// withFailure returns req, as the request of an answer, with the error of its job.
func withFailure(req *http.Request, err error) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), failureKey{}, err))
}

// asked returns req as the request of an answer: one that was made from that of another answer is not to tell what became of that.
func asked(req *http.Request) *http.Request {
	if req.Context().Value(failureKey{}) != nil {
		return withFailure(req, nil)
	}
	return req
}

// Failure returns why an answer of a [Transport] is not a good one and yet the last: a [*job.Error], or, of an answer that is
// longer than is kept, an [*api.Error]. It returns nil for an answer that is good, or of another RoundTripper.
func Failure(resp *http.Response) error {
	if resp == nil || resp.Request == nil {
		return nil
	}
	err, _ := resp.Request.Context().Value(failureKey{}).(error)
	return err
}
