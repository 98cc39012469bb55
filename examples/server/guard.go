package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// maxBody is how many bytes a request may have: they are kept until the backend has answered.
const maxBody = 1 << 20

// guard is an http.Handler that lets requests through to a backend no faster than that can bear. What it cannot serve in time it
// turns away at once, and tells when to come again.
//
// The backend may be called more than once for a request, and may still be writing when nobody waits for it any more. So it writes
// into a buffer, and only a finished answer is passed on.
type guard struct {
	d        *dispatcher.Dispatcher
	key      string        // the backend's: its circuit is its own
	backend  http.Handler  // must heed the context of its requests
	patience time.Duration // how long a request may take in all
	rate     float64       // requests a second that the backend is sent
}

// ServeHTTP hands the request to the dispatcher and writes what comes of it.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		return // the client is gone
	}
	options := []dispatcher.Option{dispatcher.WithKey(g.key), dispatcher.WithDeadline(time.Now().Add(g.patience))}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		options = append(options, dispatcher.WithRetry(policy.Retry{})) // it may have done what it was asked for
	}
	future, err := dispatcher.TrySubmit(r.Context(), g.d, func(ctx context.Context) (*answer, error) {
		return g.call(r.Clone(ctx), body)
	}, options...)
	if err != nil {
		g.refuse(w, err)
		return
	}
	a, err := future.Await(r.Context())
	if err != nil {
		g.refuse(w, err)
		return
	}
	a.writeTo(w)
}

// call is one attempt. It says what the answer means: to the breaker, to the retries, and to all other requests.
func (g *guard) call(r *http.Request, body []byte) (*answer, error) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	a := &answer{header: make(http.Header)}
	g.backend.ServeHTTP(a, r)
	if err := context.Cause(r.Context()); err != nil {
		return nil, err // an answer that was cut short cannot be told from a whole one
	}
	switch {
	case a.status() == http.StatusTooManyRequests:
		return nil, policy.Throttled(&badAnswerError{a}, retryAfter(a.header))
	case a.status() >= http.StatusInternalServerError:
		return nil, policy.Transient(&badAnswerError{a})
	default:
		return a, nil
	}
}

// refuse answers a request that the backend has not served.
func (g *guard) refuse(w http.ResponseWriter, err error) {
	var circuit *policy.OpenCircuitError
	var bad *badAnswerError
	var failed *job.Error
	switch {
	case errors.As(err, &circuit): // first: its cause is somebody else's bad answer
		comeAgain(w, circuit.RetryAfter)
		http.Error(w, "the backend is down", http.StatusServiceUnavailable)
	case errors.Is(err, dispatcher.ErrQueueFull):
		comeAgain(w, g.backlog())
		http.Error(w, "too many requests are waiting", http.StatusTooManyRequests)
	case errors.Is(err, dispatcher.ErrClosed), errors.Is(err, job.ErrAborted), errors.Is(err, job.ErrNotStarted):
		w.Header().Set("Connection", "close")
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
	case errors.As(err, &bad):
		bad.answer.writeTo(w)
	case errors.As(err, &failed) && failed.Attempts == 0 && errors.Is(err, job.ErrDeadline):
		comeAgain(w, g.backlog())
		http.Error(w, "the backend had no time for the request", http.StatusServiceUnavailable)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, job.ErrAttemptTimeout):
		http.Error(w, "there was no answer in time", http.StatusGatewayTimeout)
	case errors.Is(err, context.Canceled): // the client is gone
	default:
		http.Error(w, "the backend failed", http.StatusBadGateway)
	}
}

// backlog is how long it takes to serve those that wait already.
func (g *guard) backlog() time.Duration {
	now := g.d.Snapshot()
	return time.Duration(float64(now.Queued+now.Waiting) / g.rate * float64(time.Second))
}

// comeAgain sets Retry-After, in whole seconds and never zero; if nobody can tell, it is left out.
func comeAgain(w http.ResponseWriter, after time.Duration) {
	if after >= 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(after.Seconds())))))
	}
}

// retryAfter is the backend's word on when to come again.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return policy.NoHint
	}
	return time.Duration(seconds) * time.Second
}

// answer is what a backend has written. One goroutine at a time has it.
type answer struct {
	header http.Header
	code   int // zero until it is written
	body   bytes.Buffer
}

// Header returns the header, for the backend to fill in.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status, the first time.
func (a *answer) WriteHeader(status int) {
	if a.code == 0 {
		a.code = status
	}
}

// Write appends to the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) status() int {
	if a.code == 0 {
		return http.StatusOK
	}
	return a.code
}

func (a *answer) writeTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status())
	_, _ = a.body.WriteTo(w) // the client may be gone
}

// badAnswerError is an answer that is none. If nothing better comes, it is passed on.
type badAnswerError struct{ answer *answer }

// Error names the status.
func (e *badAnswerError) Error() string {
	return "the backend answered " + http.StatusText(e.answer.status())
}
