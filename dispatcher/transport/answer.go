package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// maxExcerpt is how much of the body of an answer its error keeps, in bytes: a job remembers the errors of several attempts.
const maxExcerpt = 4 << 10

// receive takes an answer, of which the headers are there, and returns what run does.
func (x *exchange) receive(ctx context.Context, resp *http.Response) (*http.Response, func() error, error) {
	c := x.c
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x.passOn(ctx, resp, nil, nil, nil)
	}
	good := resp.StatusCode/100 == 2
	if good && c.t.cfg.Streams(c, resp) {
		return x.stream(ctx, resp)
	}
	limit := c.t.cfg.MaxAnswer
	if resp.StatusCode >= 400 {
		limit = c.t.cfg.MaxFault
	}
	data, whole, err := readUpTo(resp.Body, resp.ContentLength, limit)
	if err != nil && resp.StatusCode < 400 {
		resp.Body.Close()
		return nil, nil, x.broken(ctx, err)
	}
	m := c.t.cfg.Read(c, api.Answer{
		Status: resp.StatusCode, Header: resp.Header, Body: data, Cut: !whole || encoded(resp.Header), Shape: c.shape,
		Tokens: c.tokens.Total(), Received: time.Now(),
	})
	x.settle(ctx, m)
	if m.Class == api.OK {
		if whole {
			complete(resp, data)
			return resp, nil, nil
		}
		return x.passOn(ctx, resp, data, nil, nil)
	}
	failure := x.failure(&m, data)
	if whole || err != nil || m.Retry {
		return nil, nil, x.fail(resp, data, failure)
	}
	resp.Request = withFailure(c.req, failure)
	return x.passOn(ctx, resp, data, nil, failure)
}

// failure is the error of an attempt whose answer is not a good one. It is not to be tried again if it may have had its effect, and
// must not have it twice.
func (x *exchange) failure(m *api.Meaning, data []byte) error {
	if m.Billed != api.BilledNo && !x.c.repeat {
		m.Retry = m.Retry && m.Class == api.Throttled
	}
	return m.Mark(&api.Error{Meaning: *m, Body: bytes.Clone(data[:min(len(data), maxExcerpt)])})
}

// fail keeps an answer that is not a good one: it is the caller's if no other attempt follows.
func (x *exchange) fail(resp *http.Response, data []byte, failure error) error {
	complete(resp, data)
	x.c.last = resp
	return failure
}

// complete closes the connection's side of an answer and puts data in place of its body.
func complete(resp *http.Response, data []byte) {
	resp.Body.Close()
	kept := new(kept)
	kept.Reset(data)
	resp.Body = kept
	if resp.ContentLength >= 0 && resp.ContentLength != int64(len(data)) && !bodiless(resp) {
		// It was cut off: an error page that goes on and on.
		resp.ContentLength = int64(len(data))
		resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	}
}

// kept is a body that is in memory.
type kept struct{ bytes.Reader }

// Close does nothing.
func (*kept) Close() error { return nil }

// bodiless reports whether an answer has no body although it may say how long it would be.
func bodiless(resp *http.Response) bool {
	return resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified
}

// encoded reports whether a body can't be read as it is. What net/http has decoded by itself does not say so any more.
func encoded(h http.Header) bool {
	encoding := h.Get("Content-Encoding")
	return encoding != "" && encoding != "identity"
}

// stream takes an answer that is to be passed on bit by bit. One of an LLM's is an answer only when it has begun: up to then the
// attempt may be repeated.
func (x *exchange) stream(ctx context.Context, resp *http.Response) (*http.Response, func() error, error) {
	c := x.c
	watch := &api.Stream{Shape: c.shape}
	if c.shape == api.Any {
		return x.passOn(ctx, resp, nil, watch, nil)
	}
	first := make([]byte, 4<<10)
	n, err := x.firstBytes(resp.Body, first)
	first = first[:n]
	if err != nil {
		resp.Body = exhausted{resp.Body, err}
	}
	if n == 0 {
		if !errors.Is(err, io.EOF) {
			resp.Body.Close()
			return nil, nil, x.broken(ctx, err)
		}
		m := c.t.cfg.Read(c, api.Answer{Status: resp.StatusCode, Header: resp.Header, Shape: c.shape, Received: time.Now()})
		x.settle(ctx, m)
		if m.Class == api.OK {
			complete(resp, nil)
			return resp, nil, nil
		}
		return nil, nil, x.fail(resp, nil, x.failure(&m, nil))
	}
	if !encoded(resp.Header) {
		_, _ = watch.Write(first)
	}
	if m, early, ok := watch.Failure(); ok && early {
		m.Status, m.RequestID = resp.StatusCode, resp.Header.Get("X-Request-Id")
		x.settle(ctx, m)
		return nil, nil, x.fail(resp, first, x.failure(&m, first))
	}
	return x.passOn(ctx, resp, first, watch, nil)
}

// firstBytes waits for the beginning of a stream.
func (x *exchange) firstBytes(r io.ReadCloser, p []byte) (n int, err error) {
	idle := x.idle(r)
	idle.start()
	for n == 0 && err == nil {
		n, err = r.Read(p)
	}
	return n, idle.stop(err)
}

// exhausted is a body that has told why nothing more comes. A reader may do so with its last bytes, and say no more than io.EOF later.
type exhausted struct {
	io.Closer
	err error
}

func (e exhausted) Read([]byte) (int, error) { return 0, e.err }

// passOn gives the caller an answer whose body is not complete yet. rest waits for its end: so long the attempt is under way. ahead
// is what has been read of it. failure is what the dispatcher is to know if it is not a good answer; otherwise it is told
// how the stream ends.
func (x *exchange) passOn(ctx context.Context, resp *http.Response, ahead []byte, watch *api.Stream, failure error) (_ *http.Response, rest func() error, _ error) {
	if ctx.Err() != nil { // Base has not heeded it: nobody wants the answer any more
		resp.Body.Close()
		return nil, nil, policy.Failed(context.Cause(ctx))
	}
	if encoded(resp.Header) {
		watch = nil
	}
	s := &stream{from: resp.Body, ahead: ahead, watch: watch, over: make(chan struct{}), told: x.ended}
	if resp.StatusCode != http.StatusSwitchingProtocols { // after which both sides have their say when they like
		s.idle = x.idle(s.from)
	}
	if len(ahead) > 0 && watch != nil {
		s.seen = len(ahead)
	}
	resp.Body = s.body()
	return resp, func() error {
		select {
		case <-s.over:
		case <-ctx.Done():
		}
		return x.conclude(ctx, s, failure)
	}, nil
}

// conclude is what the dispatcher is to know of a stream that is over. Nothing of it is tried again: the caller has the beginning.
func (x *exchange) conclude(ctx context.Context, s *stream, failure error) error {
	usage, m, failed, over, err := s.outcome()
	if failure != nil {
		return failure
	}
	if cause := context.Cause(ctx); cause != nil && err == nil && !over {
		err = cause
	}
	if usage.Known() {
		x.settle(ctx, api.Meaning{Class: api.OK, Billed: api.BilledYes, Hint: policy.NoHint, Status: http.StatusOK, Usage: usage})
	}
	switch {
	case failed:
		return policy.Failed(&api.Error{Meaning: m})
	case err != nil:
		b := api.Broken(true)
		b.Retry = false
		return b.Mark(&api.Error{Meaning: b, Err: err})
	default:
		return nil
	}
}
