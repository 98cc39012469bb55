package transport_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// S-B2: a caller who cancels his request as soon as he has seen the end of a stream, as net/http itself does with a timeout, or has
// closed it, does not make the attempt a canceled one, of which nothing is learnt.
func TestStreamEndsBeforeItsCallerCancels(t *testing.T) {
	for name, c := range map[string]struct {
		answer handler
		read   func(t *testing.T, body io.ReadCloser)
		want   policy.State
	}{
		"read to its end": {streaming(1), func(t *testing.T, body io.ReadCloser) {
			_, err := io.ReadAll(body)
			require.NoError(t, err)
		}, policy.Closed},
		"closed": {streaming(9), func(t *testing.T, body io.ReadCloser) { require.NoError(t, body.Close()) }, policy.Closed},
		"broken": {func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("Hi"))
			time.Sleep(s)
			hangUp(w)
		}, func(t *testing.T, body io.ReadCloser) {
			_, err := io.ReadAll(body)
			require.Error(t, err)
		}, policy.Open},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				breaker := policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 10 * s, ProbeTimeout: time.Hour}
				w := build(t, dispatcher.Config{Breaker: breaker}, transport.Config{}, func(n int, rw http.ResponseWriter, r *http.Request) {
					if n == 1 {
						say(rw, 500, "")
						return
					}
					c.answer(n, rw, r)
				})
				assert.Equal(t, 500, w.ask(t.Context()).status)
				require.Equal(t, policy.Open, circuit(w.d))
				time.Sleep(10 * s)
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := w.stream(ctx) // the probe
				require.NoError(t, err)
				c.read(t, resp.Body)
				cancel()
				assert.Zero(t, running(w.d), "its worker is free")
				assert.Equal(t, c.want, circuit(w.d))
				require.NoError(t, resp.Body.Close())
			})
		})
	}
}

// hanging is a body of which nothing comes, and which makes its reader fail before its Close returns, as that of HTTP/2 does.
type hanging struct {
	closed chan struct{}
	once   sync.Once
	failed chan struct{}
}

func (h *hanging) Read([]byte) (int, error) {
	<-h.closed
	return 0, errors.New("response body closed")
}

func (h *hanging) Close() error {
	h.once.Do(func() {
		close(h.closed)
		<-h.failed
	})
	return nil
}

// S-B2: a reading that fails because the stream has been closed meanwhile is no failure of the backend.
func TestStreamClosedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &hanging{closed: make(chan struct{}), failed: make(chan struct{})}
		base := tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body, Request: r}, nil
		})
		d := open(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 1}})
		tr, err := transport.New(d, transport.Config{Base: base})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://llm.example/events", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		go func() {
			<-body.closed
			time.Sleep(s) // in which the reader has had its say
			close(body.failed)
		}()
		read := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		require.NoError(t, resp.Body.Close())
		require.Error(t, <-read)
		assert.Zero(t, running(d))
		assert.Equal(t, policy.Closed, circuit(d))
	})
}

// A stream that is over before it has begun is a good answer where Config.Read says so.
func TestEmptyStreamThatIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{Read: func(_ *transport.Call, a api.Answer) api.Meaning {
			m := api.Read(a)
			if a.Status == 200 && len(a.Body) == 0 {
				m = api.Meaning{Class: api.OK, Billed: api.BilledYes, Hint: policy.NoHint, Status: a.Status}
			}
			return m
		}}
		w := build(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 1}}, cfg, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, "")
		})
		got := w.ask(t.Context())
		require.NoError(t, got.err)
		require.NoError(t, got.broke)
		require.NoError(t, got.failure)
		assert.Empty(t, got.body)
		assert.Equal(t, policy.Closed, circuit(w.d))
	})
}

// The bounds may be as large as they come.
func TestBoundsWithoutBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{MaxRequest: math.MaxInt64, MaxAnswer: math.MaxInt64, MaxFault: math.MaxInt64, Key: transport.KeyByModel}
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, cfg, script(status(503), func(w http.ResponseWriter) {
			w.WriteHeader(200) // whose length nobody has said
			flush(w, completion[:9])
			flush(w, completion[9:])
		}))
		req := post(t.Context(), chatURL)
		req.Body, req.GetBody, req.ContentLength = once(prompt), nil, -1
		got := w.do(req)
		require.NoError(t, got.err)
		same(t, completion, got.body)
		arrived := w.arrivals()
		require.Len(t, arrived, 2)
		same(t, strings.Repeat(prompt, 2), arrived[0].body+arrived[1].body)
	})
}
