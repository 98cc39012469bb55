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
	place   job.Place // d, as contexts know it
	cfg     Config    // with its defaults
	direct  bool      // Base is net/http's own
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
	t := &Transport{d: d, place: job.PlaceOf(d.Name()), cfg: cfg}
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
	ending, err := t.begin(req.Context(), c, options)
	if err != nil {
		return nil, &Error{Err: err}
	}
	select {
	case <-c.ready:
	case <-ending.Done():
	}
	return c.conclude(ending)
}

// ending is how the job of a call ends: a [*job.Future], or a Do that somebody waits for.
type ending interface {
	Done() <-chan struct{}
	Result() (none struct{}, err error, ok bool)
}

// begin hands the call to the dispatcher.
//
// The attempts run in the dispatcher's pool, because one may have to go on after RoundTrip has returned. TrySubmit does at an
// open circuit what Do does, since the caller waits; where it would not wait for room, or has to be told of a deadlock, a
// goroutine calls Do.
func (t *Transport) begin(ctx context.Context, c *Call, options []dispatcher.Option) (ending, error) {
	if !t.place.Inside(ctx) {
		future, err := dispatcher.TrySubmit(ctx, t.d, c.attempt, options...)
		if err == nil {
			return future, nil
		}
		if !errors.Is(err, dispatcher.ErrQueueFull) {
			return nil, err
		}
	}
	w := &waiting{done: make(chan struct{}), err: job.ErrGoexit} // unless it returns
	go func() {
		defer close(w.done)
		_, w.err = dispatcher.Do(ctx, t.d, c.attempt, options...)
	}()
	return w, nil
}

// waiting is a Do on a goroutine of its own.
type waiting struct {
	done chan struct{}
	err  error // once done is closed
}

// Done returns a channel that is closed when Do has returned.
func (w *waiting) Done() <-chan struct{} { return w.done }

// Result returns what Do has returned.
func (w *waiting) Result() (none struct{}, err error, ok bool) { //nolint:revive // as that of a future
	<-w.done
	return none, w.err, true
}
