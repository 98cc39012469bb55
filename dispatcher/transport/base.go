package transport

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxHeader bounds the headers of an answer, in bytes; net/http would take ten times as much.
const maxHeader = 1 << 20

// NewBase returns a transport of net/http that keeps as many connections to a host as there may be attempts in flight: the
// default of 2 would make a new one for nearly every request. It is what a [Transport] sends with by default; change what you
// like, and give it as Config.Base.
func NewBase(inFlight int) *http.Transport {
	base := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second}
	if std, ok := http.DefaultTransport.(*http.Transport); ok {
		base = std.Clone()
	}
	base.MaxIdleConnsPerHost = max(inFlight, http.DefaultMaxIdleConnsPerHost)
	base.MaxIdleConns = max(inFlight, 100)
	base.IdleConnTimeout = 90 * time.Second
	base.MaxResponseHeaderBytes = maxHeader
	return base
}

// progress is how far an attempt has come, as net/http tells it.
type progress struct {
	asked, connected atomic.Bool
	trace            httptrace.ClientTrace // which sets them
}

// watch returns a context that notes how far the request comes that it is for.
func (p *progress) watch(ctx context.Context) context.Context {
	p.trace.GetConn = func(string) { p.asked.Store(true) }
	p.trace.GotConn = func(httptrace.GotConnInfo) { p.connected.Store(true) }
	return httptrace.WithClientTrace(ctx, &p.trace)
}

// neverSent reports whether a request has certainly not been sent because there was no connection to send it on.
func (p *progress) neverSent() bool { return p.asked.Load() && !p.connected.Load() }

// untried reports whether nobody has even asked for a connection. Over HTTP/2 one may be had without.
func (p *progress) untried() bool { return !p.asked.Load() && !p.connected.Load() }
