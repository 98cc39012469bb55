package transport

import (
	"net/http"
	"time"

	"github.com/toller-go/toller/dispatcher"
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
// has begun if it is a stream, and the request's context bounds that. The attempts run on the goroutine that calls it.
//
// The error is an [*Error] when there is no answer to return: the dispatcher would not accept the request, its context has
// ended, its key's circuit is open, or the last attempt got no answer.
//
// An attempt holds its worker until its answer is complete; and that of a stream, or of an answer longer than
// Config.MaxAnswer, until the body has been read to its end or closed. Close it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &Call{t: t, req: req}
	c.body.init(req)
	defer c.body.close()
	options, err := c.prepare()
	if err != nil {
		return nil, &Error{Err: err}
	}
	resp, err := dispatcher.Stream(req.Context(), t.d, c.attempt, options...)
	if err != nil {
		return c.conclude(err)
	}
	return resp, nil
}
