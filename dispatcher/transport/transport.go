package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// Transport is an http.RoundTripper whose requests are jobs of a dispatcher. Make one with [New].
type Transport struct {
	d       *dispatcher.Dispatcher
	cfg     Config // with its defaults
	direct  bool   // Base is net/http's own
	learner *learner
	notices notices
}

// New returns a transport through d. The error is a [*policy.FieldError], or dispatcher.ErrNilDispatcher.
//
// A transport need not be closed. The dispatcher is the caller's: while a transport is in use, it has to be open, and it
// is to be closed by who has made it.
func New(d *dispatcher.Dispatcher, cfg Config) (*Transport, error) {
	if d == nil || d.Name() == "" {
		return nil, dispatcher.ErrNilDispatcher
	}
	cfg, err := cfg.withDefaults(d)
	if err != nil {
		return nil, err
	}
	t := &Transport{d: d, cfg: cfg}
	_, t.direct = cfg.Base.(*http.Transport)
	if !cfg.NoLearning {
		t.learner = newLearner(d, time.Now())
	}
	return t, nil
}

// CloseIdleConnections closes those of Base, if it has any. It is what http.Client.CloseIdleConnections calls.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.cfg.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip sends a request, as often as it takes and the rules of the dispatcher allow, and returns the answer: a good one, or
// the last one that was not, with its body. [Failure] tells why that was the last. It blocks until the answer is complete, or
// has begun if it is a stream, and the request's context bounds that.
//
// The error is an [*Error] when there is no answer to return: the dispatcher would not accept the request, its context has
// ended, its key's circuit is open, or the last attempt got no answer.
//
// An attempt holds its worker until its answer is complete; and that of a stream, or of an answer longer than
// Config.MaxAnswer, until the body has been read to its end or closed. Close it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := t.newCall(req)
	defer c.body.close()
	options, err := c.prepare()
	if err != nil {
		return nil, &Error{Err: err}
	}
	done, result, err := t.begin(req.Context(), c, options)
	if err != nil {
		return nil, &Error{Err: err}
	}
	select {
	case <-c.ready:
	case <-done:
	}
	return c.conclude(result)
}

// begin hands the call to the dispatcher. done is closed when the job is settled, and then result tells how.
//
// The attempts run in the dispatcher's pool, because one may have to go on after RoundTrip has returned. TrySubmit does at an
// open circuit what Do does, since the caller waits; where it would not wait for room, or has to be told of a deadlock, a
// goroutine calls Do.
func (t *Transport) begin(ctx context.Context, c *Call, options []dispatcher.Option) (done <-chan struct{}, result func() error, err error) {
	if !job.Inside(ctx, t.d.Name()) {
		future, err := dispatcher.TrySubmit(ctx, t.d, c.attempt, options...)
		if err == nil {
			return future.Done(), func() error { _, err, _ := future.Result(); return err }, nil
		}
		if !errors.Is(err, dispatcher.ErrQueueFull) {
			return nil, nil, err
		}
	}
	ended := make(chan struct{})
	outcome := job.ErrGoexit // unless it returns
	go func() {
		defer close(ended)
		_, outcome = dispatcher.Do(ctx, t.d, c.attempt, options...)
	}()
	return ended, func() error { return outcome }, nil
}
