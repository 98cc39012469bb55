package transport

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// attempt is the function of the job: one request, and what comes back. rest is there if the answer is not complete yet.
func (c *Call) attempt(ctx context.Context) (resp *http.Response, rest func() error, err error) {
	x := &c.first
	if x.c != nil {
		x = new(exchange)
	}
	x.c, x.ended, c.last = c, ctx.Done(), nil
	if limit := c.t.cfg.AnswerTimeout; limit > 0 {
		return x.runWithin(ctx, limit)
	}
	return x.run(ctx)
}

// exchange is one attempt.
type exchange struct {
	c     *Call
	how   progress
	ended <-chan struct{} // closed when the dispatcher has been told of the end
}

// runWithin is run with a bound on the time until the answer is there. It does not hold for the rest of a stream, as that of a
// context would.
func (x *exchange) runWithin(ctx context.Context, limit time.Duration) (*http.Response, func() error, error) {
	within, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(ErrAnswerTimeout) })
	defer timer.Stop()
	resp, rest, err := x.run(within)
	if rest == nil {
		cancel(nil)
		return resp, nil, err
	}
	return resp, func() error { defer cancel(nil); return rest() }, err
}

// run sends the request, and returns what has come back, as a [dispatcher.StreamFunc] does.
func (x *exchange) run(ctx context.Context) (*http.Response, func() error, error) {
	c := x.c
	req, err := x.request(ctx)
	if err != nil {
		return nil, nil, policy.Fatal(&api.Error{Meaning: api.Meaning{Class: api.BadRequest, Billed: api.BilledNo}, Err: err})
	}
	sent := c.t.learner.send(c)
	resp, err := c.t.cfg.Base.RoundTrip(req)
	if err != nil {
		return nil, nil, x.broken(ctx, err)
	}
	if resp.Body == nil { // as net/http puts up with it
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	resp.Request = asked(c.req)
	c.t.learner.hear(sent, resp.Header)
	return x.receive(ctx, resp)
}

// request is the request of this attempt. It has no GetBody: with one, net/http would send it again by itself when a connection
// that was kept turns out to be dead, past every limit.
func (x *exchange) request(ctx context.Context) (*http.Request, error) {
	c := x.c
	body, err := c.body.next()
	if err != nil {
		return nil, err
	}
	req := c.req.WithContext(x.how.watch(ctx))
	req.Header, req.GetBody = c.header, nil
	switch {
	case body != nil:
		req.Body, req.ContentLength = body, c.body.length
	case replayed(req.Method):
		req.Body = nothing{}
	}
	return req, nil
}

// nothing is the body of a request that has none. With it net/http does not take the request for one that it may send again.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

// replayed reports whether net/http would send a request without a body again by itself, because of its method, and takes nothing for
// no body: that of another method would be sent in chunks.
func replayed(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	default:
		return false
	}
}

// broken is the error of an attempt that got no answer, or not all of it.
func (x *exchange) broken(ctx context.Context, err error) error {
	c := x.c
	if cause := context.Cause(ctx); cause == ErrAnswerTimeout { //nolint:errorlint // set here, as it is
		err = cause
	}
	if c.t.direct && x.how.untried() && ctx.Err() == nil {
		// It did not come to a connection: net/http does not like the request itself.
		m := api.Meaning{Class: api.BadRequest, Billed: api.BilledNo, Hint: policy.NoHint}
		return m.Mark(&api.Error{Meaning: m, Err: err})
	}
	m := api.Broken(!x.how.neverSent() && !api.NeverSent(err))
	if m.Class == api.Ambiguous {
		c.ambiguous++
		if most := c.t.cfg.MaxAmbiguous; !c.repeat || most != NoBound && c.ambiguous > most {
			m.Retry = false
		}
	}
	return m.Mark(&api.Error{Meaning: m, Err: err})
}

// settle says what the attempt has really cost, as far as somebody knows.
func (x *exchange) settle(ctx context.Context, m api.Meaning) {
	c := x.c
	if c.t.cfg.Actual == nil || m.Billed == api.BilledNo {
		return // and then the dispatcher refunds it all
	}
	attempt, ok := job.AttemptFrom(ctx)
	if !ok {
		return
	}
	for _, cost := range c.t.cfg.Actual(c, m) {
		if err := attempt.Settle(cost.Limit, cost.Tokens); err != nil {
			c.t.notice(Notice{Kind: NotSettled, Detail: err.Error()})
		}
	}
}
