package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy/api"
)

// lazy is a server that keeps a connection open after its first answer and hangs up on the second request: what a server does
// whose idle timeout runs out just then. net/http sends a request again by itself in that case, if it may.
type lazy struct {
	*memory
	reads bool // the second request is read first

	mu       sync.Mutex
	received []*http.Request // guarded by mu; requests read to their end
	conns    int             // guarded by mu
}

func (l *lazy) serve() {
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		talks.Go(func() { l.talk(conn) })
	}
}

func (l *lazy) talk(conn net.Conn) {
	defer conn.Close()
	l.mu.Lock()
	l.conns++
	l.mu.Unlock()
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		if n == 1 && !l.reads {
			_, _ = in.Peek(1) // the next request is on its way: too late to tell that nobody reads it
			return
		}
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		l.mu.Lock()
		l.received = append(l.received, req)
		l.mu.Unlock()
		if n == 1 {
			return
		}
		body := completion
		if req.Method == http.MethodHead {
			body = ""
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(completion), body)
	}
}

func (l *lazy) counts() (received, conns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.received), l.conns
}

// S-A1: one attempt is one request at most, whatever the state of the connection, the method and the headers: one that net/http
// repeated would be past every limit, and perhaps billed twice.
func TestNothingIsSentAgain(t *testing.T) {
	kinds := map[string]func(*http.Request){
		"POST":                                    func(*http.Request) {},
		"POST with an idempotency key":            func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") },
		"POST with another":                       func(r *http.Request) { r.Header.Set("X-Idempotency-Key", "k") },
		"POST with a key, and without a body":     func(r *http.Request) { r.Header.Set("Idempotency-Key", "k"); bare(r) },
		"DELETE with another key, without a body": func(r *http.Request) { r.Method = "DELETE"; r.Header.Set("X-Idempotency-Key", "k"); bare(r) },
		"DELETE":    func(r *http.Request) { r.Method = "DELETE"; bare(r) },
		"GET":       func(r *http.Request) { r.Method = "GET"; bare(r) },
		"HEAD":      func(r *http.Request) { r.Method = "HEAD"; bare(r) },
		"OPTIONS":   func(r *http.Request) { r.Method = "OPTIONS"; bare(r) },
		"no method": func(r *http.Request) { r.Method = ""; bare(r) },
	}
	for kind, change := range kinds {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, read %v", kind, reads), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &lazy{memory: &memory{conns: make(chan net.Conn), closed: make(chan struct{})}, reads: reads}
					done := make(chan struct{})
					go func() { defer close(done); server.serve() }()
					t.Cleanup(func() {
						server.Close()
						<-done
					})
					base := transport.NewBase(4)
					base.Proxy, base.DialContext = nil, server.dial
					t.Cleanup(base.CloseIdleConnections)
					tr, err := transport.New(open(t, dispatcher.Config{}), transport.Config{Base: base, IdempotencyKey: strings.HasPrefix(kind, "POST")})
					require.NoError(t, err)
					w := &world{t: t, client: &http.Client{Transport: tr}}

					send := func() reply {
						req := post(t.Context(), chatURL)
						change(req)
						return w.do(req)
					}
					require.NoError(t, send().err)
					synctest.Wait() // until the connection is kept
					got := send()
					var told *api.Error
					require.ErrorAs(t, got.err, &told)
					assert.Equal(t, api.Ambiguous, told.Class)
					received, conns := server.counts()
					want := 1
					if reads {
						want = 2
					}
					assert.Equal(t, want, received, "requests")
					assert.Equal(t, 1, conns, "connections")

					for _, req := range server.received {
						assert.Empty(t, req.TransferEncoding, "a request without a body is sent as one")
						if strings.HasPrefix(kind, "POST") {
							key := req.Header.Get("Idempotency-Key")
							assert.NotEmpty(t, key)
						}
					}
				})
			})
		}
	}
}

// bare takes the body away.
func bare(r *http.Request) { r.Body, r.GetBody, r.ContentLength = nil, nil, 0 }

// The attempts of one request have one key, two requests have two, and one that the caller has set is left alone.
func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{IdempotencyKey: true}, script(status(500), status(500)))
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Equal(t, 200, w.ask(t.Context()).status)
		req := post(t.Context(), chatURL)
		req.Header.Set("Idempotency-Key", "mine")
		assert.Equal(t, 200, w.do(req).status)
		assert.Equal(t, 200, w.get(t.Context(), "http://x.example/").status)
		var keys []string
		for _, a := range w.arrivals() {
			keys = append(keys, a.header.Get("Idempotency-Key"))
		}
		require.Len(t, keys, 6)
		assert.NotEmpty(t, keys[0])
		assert.Equal(t, keys[0], keys[1])
		assert.Equal(t, keys[0], keys[2])
		assert.NotEmpty(t, keys[3])
		assert.NotEqual(t, keys[0], keys[3])
		assert.Equal(t, []string{"mine", ""}, keys[4:])
		assert.Equal(t, "mine", req.Header.Get("Idempotency-Key"))
	})
}

// A round tripper must not change what it was given.
func TestRequestIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{IdempotencyKey: true, Key: transport.KeyByModel}, script(status(500)))
		req := post(t.Context(), chatURL)
		before := req.Header.Clone()
		getBody := req.GetBody
		resp, err := w.client.Transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, before, req.Header)
		assert.Equal(t, int64(len(prompt)), req.ContentLength)
		assert.Equal(t, fmt.Sprintf("%p", getBody), fmt.Sprintf("%p", req.GetBody))
		assert.Same(t, req, resp.Request)
	})
}

// A body that can't be kept is sent once, and somebody is told.
func TestLongRequest(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, change := range map[string]func(*http.Request){
		"of unknown length": func(r *http.Request) { r.ContentLength = -1 },
		"of known length":   func(*http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []transport.Notice
				cfg := transport.Config{MaxRequest: 4999, Key: transport.KeyByModel, OnNotice: func(n transport.Notice) { told = append(told, n) }}
				w := build(t, dispatcher.Config{Retry: exact(3, s)}, cfg, script(status(500)))
				for range 2 {
					body := &closing{Reader: strings.NewReader(long)}
					req := post(t.Context(), chatURL)
					req.Body, req.GetBody, req.ContentLength = body, nil, int64(len(long))
					change(req)
					got := w.do(req)
					require.NoError(t, got.err)
					assert.True(t, body.closed.Load())
				}
				seen := w.arrivals()
				require.Len(t, seen, 2, "the first has not been repeated")
				for _, a := range seen {
					same(t, long, a.body)
				}
				assert.Equal(t, []transport.Notice{{Kind: transport.SingleAttempt, Detail: "llm.example"}}, told)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{MaxRequest: 4999, Key: transport.KeyByModel}, script(status(500)))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, chatURL, strings.NewReader(long))
		require.NoError(t, err)
		assert.Equal(t, 200, w.do(req).status, "with GetBody any length can be repeated")
		for _, a := range w.arrivals() {
			same(t, long, a.body)
		}
		assert.Len(t, w.arrivals(), 2)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{MaxRequest: 5000}, script(status(500)))
		req := post(t.Context(), chatURL)
		req.Body, req.GetBody, req.ContentLength = once(long), nil, -1
		assert.Equal(t, 200, w.do(req).status, "just short enough to be kept")
	})
}

// A body that can't be read is the caller's error, and nothing is sent.
func TestUnreadableRequest(t *testing.T) {
	errRead := fmt.Errorf("no more")
	for name, change := range map[string]func(*http.Request){
		"the body":     func(r *http.Request) { r.Body, r.GetBody = io.NopCloser(&failing{err: errRead}), nil },
		"a copy of it": func(r *http.Request) { r.GetBody = func() (io.ReadCloser, error) { return nil, errRead } },
		"a part of a copy": func(r *http.Request) {
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&failing{err: errRead}), nil }
		},
	} {
		for _, key := range []func(*transport.Call) string{transport.KeyByHost, transport.KeyByModel} {
			synctest.Test(t, func(t *testing.T) {
				w := build(t, dispatcher.Config{}, transport.Config{Key: key}, func(n int, w http.ResponseWriter, r *http.Request) {})
				if fmt.Sprintf("%p", key) == fmt.Sprintf("%p", transport.KeyByHost) && name != "the body" {
					return // nobody needs a copy as long as there is one attempt
				}
				req := post(t.Context(), chatURL)
				change(req)
				assert.ErrorIs(t, w.do(req).err, errRead, name)
				assert.Empty(t, w.arrivals())
			})
		}
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
