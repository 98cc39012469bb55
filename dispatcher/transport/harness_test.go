package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Most tests run in a bubble of testing/synctest, over connections that are in memory: so instants are exact. The server's own
// goroutines are in the bubble, too.

// patience bounds a wait in a bubble.
const patience = 2 * time.Hour

// exact is n attempts, a fixed wait apart.
func exact(n int, wait time.Duration) policy.Retry {
	return policy.Retry{MaxAttempts: n, Delay: wait, Backoff: 1, Jitter: policy.NoJitter}
}

// open returns a dispatcher that is closed when the test ends, while its bubble still exists.
func open(t *testing.T, cfg dispatcher.Config) *dispatcher.Dispatcher {
	t.Helper()
	d, err := dispatcher.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Errorf("jobs were left at the end of the test: %v", err)
		}
	})
	return d
}

// memory is a network in memory: who dials talks to who listens.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (m *memory) dial(ctx context.Context, _, address string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errors.New("nobody listens at " + address)}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: context.Cause(ctx)}
	}
}

// world is a server, and a client whose requests go to it through a dispatcher, wherever they are meant to go.
type world struct {
	t      *testing.T
	d      *dispatcher.Dispatcher
	client *http.Client
	base   *http.Transport
	start  time.Time

	mu   sync.Mutex
	seen []arrival // guarded by mu
}

// arrival is a request that got to the server.
type arrival struct {
	at     time.Duration
	method string
	host   string
	path   string
	header http.Header
	body   string
	length int64 // as it was announced
}

// handler answers the n-th request, counting from 1.
type handler func(n int, w http.ResponseWriter, r *http.Request)

// build makes a world. What cfg leaves open is as by default, save for Base.
func build(t *testing.T, rules dispatcher.Config, cfg transport.Config, answer handler) *world {
	t.Helper()
	w := &world{t: t, start: time.Now()}
	net := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: w.serve(answer), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(net)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
		time.Sleep(patience) // in which what a handler still waits for comes to pass
	})
	w.base = transport.NewBase(64)
	w.base.Proxy = nil
	w.base.DialContext = net.dial
	t.Cleanup(w.base.CloseIdleConnections)
	if cfg.Base == nil {
		cfg.Base = w.base
	}
	w.d = open(t, rules)
	tr, err := transport.New(w.d, cfg)
	require.NoError(t, err)
	w.client = &http.Client{Transport: tr}
	return w
}

// serve notes what arrives, and has it answered.
func (w *world) serve(answer handler) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Errorf("a request arrives in part: %v", err)
		}
		w.mu.Lock()
		w.seen = append(w.seen, arrival{
			at: time.Since(w.start), method: r.Method, host: r.Host, path: r.URL.Path, header: r.Header, body: string(body), length: r.ContentLength,
		})
		n := len(w.seen)
		w.mu.Unlock()
		answer(n, rw, r)
	}
}

// arrivals returns what has arrived so far.
func (w *world) arrivals() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.seen...)
}

// times returns when requests have arrived so far.
func (w *world) times() []time.Duration {
	var at []time.Duration
	for _, a := range w.arrivals() {
		at = append(at, a.at)
	}
	return at
}

func (w *world) now() time.Duration { return time.Since(w.start) }

// reply is an answer as a test looks at it.
type reply struct {
	status  int
	body    string
	err     error // of the call
	broke   error // of reading the body
	failure error // transport.Failure
	header  http.Header
	length  int64
}

// do sends a request and reads the answer.
func (w *world) do(req *http.Request) reply {
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{
		status: resp.StatusCode, body: string(body), broke: err, failure: transport.Failure(resp), header: resp.Header, length: resp.ContentLength,
	}
}

const chatURL = "http://llm.example/v1/chat/completions"

const prompt = `{"model":"m",  "messages":[{"role":"user","content":"Grüße, <b>&amp;\u2028 "}]}`

const completion = `{"id":"1","choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`

// post is a request for a completion.
func post(ctx context.Context, url string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(prompt))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer sk-secret")
	return req
}

// ask sends a prompt.
func (w *world) ask(ctx context.Context) reply { return w.do(post(ctx, chatURL)) }

// get sends a plain request.
func (w *world) get(ctx context.Context, url string) reply {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	return w.do(req)
}

// say answers with a status and a body. Headers are names and values in turn.
func say(w http.ResponseWriter, status int, body string, headers ...string) {
	w.Header().Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// script answers with one of the given after the other, and then well.
func script(answers ...func(w http.ResponseWriter)) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if n <= len(answers) {
			answers[n-1](w)
			return
		}
		say(w, 200, completion)
	}
}

// status is an answer of a script.
func status(code int, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { say(w, code, fmt.Sprintf(`{"error":{"message":"%d"}}`, code), headers...) }
}

// cut is an answer that breaks off in the middle of its body.
func cut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", fmt.Sprint(len(completion)))
	_, _ = io.WriteString(w, completion[:40])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// hangUp is no answer at all.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// flush sends a part of an answer.
func flush(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// same compares byte for byte, be it JSON or not.
func same(t *testing.T, want, got string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// asJobError is the error of the job under err.
func asJobError(t *testing.T, err error) *job.Error {
	t.Helper()
	var failed *job.Error
	require.ErrorAs(t, err, &failed)
	return failed
}

// once is a body that can be read once, and says nothing of its length.
func once(text string) io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader([]byte(text))))
}
