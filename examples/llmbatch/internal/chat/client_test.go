package chat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const request = `{"model":"m",  "messages":[{"role":"user","content":"Grüße, <b>&amp;\u2028 "}]}`

const completion = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`

const embedding = `{"object":"list","data":[{"embedding":[0.1]}]}`

// outcomeOf is what the dispatcher makes of an error.
func outcomeOf(err error) policy.Outcome { return (&policy.Retry{MaxAttempts: 2}).Classify(err) }

// The outcomes that an error may ask for.
var (
	final     = policy.Outcome{Verdict: policy.VerdictNeutral}
	unbilled  = policy.Outcome{Verdict: policy.VerdictNeutral, Unbilled: true}
	transient = policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
)

// config is that of a client of the tests.
func config(baseURL string, connections int, connect time.Duration) Config {
	return Config{BaseURL: baseURL, Connections: connections, ConnectTimeout: connect, IdleTimeout: time.Minute, MaxResponse: 32 << 20}
}

// clientOf is a client with the key sk-secret. It gives up its connections before the server of the test is closed.
func clientOf(t *testing.T, baseURL string) *Client {
	t.Helper()
	c := New(config(baseURL, 4, 10*time.Second))
	t.Cleanup(c.Close)
	return c
}

// serve is a server that is closed with the test, and a client for it.
func serve(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	ts := httptest.NewUnstartedServer(handler)
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // what breaks is meant to
	ts.Start()
	t.Cleanup(ts.Close)
	return ts, clientOf(t, ts.URL+"/v1")
}

// classOf is the class of an error that Complete has returned, and api.OK for one that it has passed on.
func classOf(err error) api.Class {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Class
	}
	return api.OK
}

// hijack takes the connection over; what arrived of the request has been read.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, buf
}

func TestComplete(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != request || r.ContentLength != int64(len(request)) {
			t.Errorf("the body is not sent byte for byte: %s, %v", body, err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer sk-secret" {
			t.Errorf("Authorization %q", got)
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
		w.Header().Set("X-Request-Id", "req_1")
		_, _ = io.WriteString(w, completion)
	})
	got, err := client.Complete(t.Context(), "sk-secret", []byte(request))
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 200 || got.RequestID != "req_1" || string(got.Body) != completion || got.Usage != (api.Usage{Input: 9, Output: 3}) {
		t.Errorf("%+v, body %s", got, got.Body)
	}
}

// What an answer means is told by package api; here it is asked, with all that it needs to know.
func TestMeaning(t *testing.T) {
	const date, later = "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT"
	tests := []struct {
		name    string
		status  int
		headers []string
		body    string
		class   api.Class
		out     policy.Outcome
	}{
		{"a throttle", 429, []string{"Retry-After", later, "Date", date}, "", api.Throttled,
			policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Hinted: true, Hint: 30 * time.Second, Unbilled: true}},
		{"money", 429, nil, `{"error":{"code":"insufficient_quota"}}`, api.OutOfMoney, policy.Outcome{Verdict: policy.VerdictUnusable, Unbilled: true}},
		{"no completion", 200, nil, embedding, api.BadAnswer, transient},
		{"half of one", 200, nil, completion[:60], api.BadAnswer, transient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for i := 0; i < len(test.headers); i += 2 {
					w.Header().Set(test.headers[i], test.headers[i+1])
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
			got, ok := errors.AsType[*api.Error](err)
			if !ok || got.Class != test.class || got.Status != test.status || string(got.Body) != test.body || outcomeOf(err) != test.out {
				t.Errorf("%v: %+v", err, outcomeOf(err))
			}
		})
	}
}

// An answer that was withheld is recorded as what it is.
func TestWithheldIsAnAnswer(t *testing.T) {
	const withheld = `{"choices":[{"finish_reason":"content_filter"}],"usage":{"prompt_tokens":9}}`
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, withheld) })
	got, err := client.Complete(t.Context(), "sk-secret", []byte(request))
	if err != nil || string(got.Body) != withheld || got.Usage != (api.Usage{Input: 9}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNoKeyNoHeader(t *testing.T) {
	ts, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if values, sent := r.Header["Authorization"]; sent {
			t.Errorf("Authorization %q", values)
		}
		_, _ = io.WriteString(w, completion)
	})
	client := New(config(ts.URL, 1, time.Minute))
	defer client.Close()
	if _, err := client.Complete(t.Context(), "", []byte(request)); err != nil {
		t.Error(err)
	}
}

func TestBadURL(t *testing.T) {
	_, err := clientOf(t, "http://exa mple").Complete(t.Context(), "sk-secret", []byte(request))
	if classOf(err) != api.BadRequest || outcomeOf(err) != final {
		t.Errorf("%v: %+v", err, outcomeOf(err))
	}
}

// A redirect would send the prompt, and perhaps the key, to somebody who was not asked for.
func TestRedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, where := range []string{"another host", "the same host"} {
			t.Run(fmt.Sprint(status, " to ", where), func(t *testing.T) {
				var followed atomic.Int64
				other, _ := serve(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
				_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/moved" {
						followed.Add(1)
					}
					to := "/moved"
					if where == "another host" {
						to = other.URL + to
					}
					http.Redirect(w, r, to, status)
				})
				_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
				refused, ok := errors.AsType[*api.Error](err)
				if !ok || refused.Class != api.BadRequest || refused.Status != status || outcomeOf(err) != unbilled {
					t.Errorf("%v: %+v", err, outcomeOf(err))
				}
				if n := followed.Load(); n != 0 {
					t.Errorf("%d requests followed", n)
				}
			})
		}
	}
}

func TestBodyCap(t *testing.T) {
	pad := func(size int) string {
		body := `{"choices":[{}],"pad":""}`
		return strings.Replace(body, `""`, `"`+strings.Repeat("x", size-len(body))+`"`, 1)
	}
	const most = 1000
	var size atomic.Int64
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, pad(int(size.Load())))
	})
	client.cfg.MaxResponse = most
	size.Store(most)
	if got, err := client.Complete(t.Context(), "sk-secret", []byte(request)); err != nil || len(got.Body) != most {
		t.Errorf("as long as may be: %d bytes, %v", len(got.Body), err)
	}
	for _, n := range []int64{most + 1, 50 * most} {
		size.Store(n)
		_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
		if classOf(err) != api.BadAnswer || outcomeOf(err).Retry || !strings.Contains(err.Error(), "longer than 1000 bytes") {
			t.Errorf("%d bytes: %v, %+v", n, err, outcomeOf(err))
		}
	}
}

// A refusal is one however long it is: the page of a proxy, perhaps.
func TestLongRefusals(t *testing.T) {
	var status atomic.Int64
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, "<html>"+strings.Repeat("sorry ", 1000))
	})
	client.cfg.MaxResponse = 1000
	for code, want := range map[int]api.Class{503: api.Server, 429: api.Throttled, 401: api.BadKey, 404: api.BadRequest} {
		status.Store(int64(code))
		_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Class != want || refused.Status != code || len(refused.Body) != 1000 {
			t.Errorf("%d: %v", code, err)
			continue
		}
		if hinted := refused.Hint == 7*time.Second; hinted != refused.Retry {
			t.Errorf("%d: %+v", code, refused.Meaning)
		}
	}
}

func TestTransportErrors(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		class   api.Class
	}{
		{"reset after the request", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _ := hijack(w)
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}, api.Ambiguous},
		{"closed after the request", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _ := hijack(w)
			conn.Close()
		}, api.Ambiguous},
		{"broke off in the head", func(w http.ResponseWriter, r *http.Request) {
			conn, buf := hijack(w)
			_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Le")
			_ = buf.Flush()
			conn.Close()
		}, api.Ambiguous},
		{"shorter than it says", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(completion)))
			_, _ = io.WriteString(w, completion[:40])
		}, api.Ambiguous},
		{"chunks without an end", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, completion) // a whole one, as far as anybody can see
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, api.Ambiguous},
		{"not HTTP", func(w http.ResponseWriter, r *http.Request) {
			conn, buf := hijack(w)
			_, _ = buf.WriteString("220 mail.example ESMTP\r\n")
			_ = buf.Flush()
			conn.Close()
		}, api.Ambiguous},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, client := serve(t, test.handler)
			_, err := client.Complete(t.Context(), "sk-secret", []byte(request))
			if classOf(err) != test.class || outcomeOf(err) != transient {
				t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
			}
			if e, ok := errors.AsType[*api.Error](err); ok && (e.Status != 0 || e.Err == nil || e.Body != nil) {
				t.Errorf("an answer where there was none: %+v", e)
			}
			if strings.Contains(err.Error(), "sk-secret") {
				t.Errorf("the key is told: %v", err)
			}
		})
	}
}

func TestRefusedIsUnsent(t *testing.T) {
	_, err := clientOf(t, nobody).Complete(t.Context(), "sk-secret", []byte(request))
	want := transient
	want.Unbilled = true
	if classOf(err) != api.Unsent || outcomeOf(err) != want {
		t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
	}
}

// ending is a context that ends when its test says so, with the error that the test wants: a timeout by the clock could run
// out before the request has arrived.
type ending struct {
	context.Context
	why error
}

func (c ending) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return c.why
}

// endsAfter is a context that ends with why once the request has arrived.
func endsAfter(ctx context.Context, arrived <-chan struct{}, why error) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		<-arrived
		cancel(why)
	}()
	return ending{Context: ctx, why: why}
}

// The error of a context is passed on unmarked: why it ended is known to the dispatcher alone.
func TestContext(t *testing.T) {
	tests := []struct {
		name  string
		ends  error
		class api.Class
		out   policy.Outcome
	}{
		{"canceled", context.Canceled, api.OK, final},
		{"timeout of the attempt", context.DeadlineExceeded, api.Ambiguous, transient},
	}
	for _, test := range tests {
		for _, where := range []string{"before the head", "in the body"} {
			t.Run(test.name+" "+where, func(t *testing.T) {
				arrived := make(chan struct{})
				gone := make(chan struct{})
				_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
					defer close(gone)
					_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client leaves
					if where == "in the body" {
						_, _ = io.WriteString(w, completion[:40])
						_ = http.NewResponseController(w).Flush()
					}
					close(arrived)
					<-r.Context().Done()
				})
				_, err := client.Complete(endsAfter(t.Context(), arrived, test.ends), "sk-secret", []byte(request))
				<-gone
				if !errors.Is(err, test.ends) || classOf(err) != test.class || outcomeOf(err) != test.out {
					t.Errorf("class %v, %+v: %v", classOf(err), outcomeOf(err), err)
				}
			})
		}
	}
}

// lazy is a server that keeps a connection open after its first answer, takes the next request in, and hangs up on it: what
// a server does whose idle timeout runs out just then. net/http sends a request again by itself in that case, if it may.
type lazy struct {
	listener net.Listener
	answers  int  // given on each connection before it is closed
	reads    bool // the request that gets no answer is read first

	mu       sync.Mutex
	received int // guarded by mu; requests read to their end
	conns    int // guarded by mu
}

func newLazy(t *testing.T, answers int, reads bool) *lazy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lazy{listener: listener, answers: answers, reads: reads}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() { l.talk(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		done.Wait()
	})
	return l
}

func (l *lazy) talk(conn net.Conn) {
	defer conn.Close()
	l.mu.Lock()
	l.conns++
	l.mu.Unlock()
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		if n == l.answers && !l.reads {
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
		l.received++
		l.mu.Unlock()
		if n == l.answers {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(completion), completion)
	}
}

func (l *lazy) seen() (received, conns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.received, l.conns
}

// onIdle makes a context that finds out whether the request it is for was sent on a connection that had been kept. net/http
// gives a connection up when the writing of a request is not over 50 ms after its answer, and on a busy machine that happens.
func onIdle(ctx context.Context) (_ context.Context, reused *atomic.Bool) {
	reused = new(atomic.Bool)
	var once sync.Once
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { once.Do(func() { reused.Store(info.Reused) }) },
	}), reused
}

// One call of Complete is one request at most, whatever the state of the connection. A request that net/http repeated would be
// past every limit, and perhaps billed twice.
func TestNothingIsSentAgain(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("request read %v", reads), func(t *testing.T) {
			server := newLazy(t, 1, reads)
			client := clientOf(t, "http://"+server.listener.Addr().String())
			hungUp := 0
			for n := 0; hungUp < 3; n++ {
				before, connsBefore := server.seen()
				ctx, reused := onIdle(t.Context())
				_, err := client.Complete(ctx, "sk-secret", []byte(request))
				received, conns := server.seen()
				if !reused.Load() {
					if err != nil || received != before+1 || conns != connsBefore+1 {
						t.Fatalf("call %d: %v, %d requests, %d connections", n, err, received-before, conns-connsBefore)
					}
					continue
				}
				hungUp++
				want := 0
				if reads {
					want = 1
				}
				if classOf(err) != api.Ambiguous || outcomeOf(err) != transient {
					t.Errorf("call %d: class %v: %v", n, classOf(err), err)
				}
				if received != before+want || conns != connsBefore {
					t.Errorf("call %d: sent again, %d requests on %d new connections", n, received-before, conns-connsBefore)
				}
			}
		})
	}
}

// deadConn is a connection of which the client learns, when it writes the second request, that it has been closed.
type deadConn struct {
	net.Conn
	heads int // what has been written begins with so many requests
}

func (c *deadConn) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("POST ")) {
		if c.heads++; c.heads > 1 {
			return 0, errors.New("broken pipe")
		}
	}
	return c.Conn.Write(p)
}

// Even a request of which not a byte was written is left to the dispatcher: net/http would repeat it behind our back.
func TestNothingIsRepeatedOnAnotherConnection(t *testing.T) {
	var hits atomic.Int64
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		_, _ = io.WriteString(w, completion)
	})
	var dialer net.Dialer
	client.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		return &deadConn{Conn: conn}, err
	}
	for answered := int64(0); ; answered++ {
		ctx, reused := onIdle(t.Context())
		_, err := client.Complete(ctx, "sk-secret", []byte(request))
		if !reused.Load() {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if classOf(err) != api.Ambiguous || outcomeOf(err) != transient {
			t.Errorf("class %v: %v", classOf(err), err)
		}
		if n := hits.Load(); n != answered {
			t.Errorf("%d requests arrived, want the %d that were answered", n, answered)
		}
		return
	}
}

// As many connections as attempts at once, and they are kept: a wave that follows another opens none.
func TestConnectionsAreReused(t *testing.T) {
	const wave = 8
	var barrier atomic.Pointer[sync.WaitGroup]
	opened := make(chan struct{}, 100*wave)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		all := barrier.Load()
		all.Done()
		all.Wait() // all of a wave are here at once
		_, _ = io.Copy(w, strings.NewReader(completion))
	}))
	ts.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened <- struct{}{}
		}
	}
	ts.Start()
	defer ts.Close()
	client := New(config(ts.URL, wave, time.Minute)) // a call that gave up early would leave its wave waiting
	defer client.Close()
	for tries := 5; ; tries-- { // see onIdle
		before := len(opened)
		waves(t, client, &barrier, 3, wave)
		if len(opened)-before <= max(0, wave-before) {
			return
		}
		if tries == 0 {
			t.Fatalf("%d connections, the last %d of them for 3 waves of %d", len(opened), len(opened)-before, wave)
		}
	}
}

// waves lets several callers call at once, several times.
func waves(t *testing.T, client *Client, barrier *atomic.Pointer[sync.WaitGroup], times, wave int) {
	for range times {
		all := new(sync.WaitGroup)
		all.Add(wave)
		barrier.Store(all)
		var calls sync.WaitGroup
		for range wave {
			calls.Go(func() {
				if _, err := client.Complete(t.Context(), "sk-secret", []byte(request)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
}

// The caller's body is not changed, and may be used for the next attempt.
func TestBodyIsTheCallers(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != request {
			t.Errorf("sent %s", body)
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	body := []byte(request)
	for range 3 {
		if _, err := client.Complete(t.Context(), "sk-secret", body); classOf(err) != api.Server {
			t.Error(err)
		}
	}
	if !bytes.Equal(body, []byte(request)) {
		t.Errorf("changed to %s", body)
	}
}

// A body that falls silent in its midst is given up, and one that is merely slow is not.
func TestIdleTimeout(t *testing.T) {
	gone := make(chan struct{})
	ts, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		half := len(completion) / 2
		_, _ = io.WriteString(w, completion[:half])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	cfg := config(ts.URL+"/v1", 1, time.Minute)
	cfg.IdleTimeout = 50 * time.Millisecond
	client := New(cfg)
	defer client.Close()
	_, err := client.Complete(t.Context(), "k", []byte(request))
	if classOf(err) != api.Ambiguous || !errors.Is(err, errSilent) || !strings.Contains(err.Error(), "silent for 50ms") {
		t.Errorf("got %v", err)
	}
	<-gone
}

func TestWatched(t *testing.T) {
	fed := 0
	w := watched{r: io.MultiReader(strings.NewReader("ab"), strings.NewReader("c")), fed: func() { fed++ }}
	if text, err := io.ReadAll(&w); string(text) != "abc" || err != nil || fed != 2 {
		t.Errorf("%q, %v, fed %d times", text, err, fed)
	}
}

// A server that repeats the key to us does not get it into our files. What is no secret, any word, is left in what it says.
func TestKeyIsNotRepeated(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"bad %s","type":"t","code":null}}`, r.Header.Get("Authorization"))
	})
	for key, hidden := range map[string]bool{"sk-secret-0123456789": true, "a": false, "demo": false} {
		_, err := client.Complete(t.Context(), key, []byte(request))
		var refused *api.Error
		if !errors.As(err, &refused) || strings.Contains(err.Error(), "[the API key]") != hidden || strings.Contains(string(refused.Body)+err.Error(), "Bearer "+key) == hidden {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// Nor is the beginning of it, where an answer that is too long is cut.
func TestKeyIsNotRepeatedInPart(t *testing.T) {
	const key = "sk-secret/0123456789"
	for _, spelled := range []string{key, strings.ReplaceAll(key, "/", `\/`), strings.ReplaceAll(key, "/", `\u002f`)} {
		for length := range len(spelled) + 1 {
			_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadGateway)
				_, _ = io.WriteString(w, strings.Repeat("|", 1000-length)+spelled+strings.Repeat("|", 1000))
			})
			client.cfg.MaxResponse = 1000
			_, err := client.Complete(t.Context(), key, []byte(request))
			var refused *api.Error
			if !errors.As(err, &refused) || strings.ContainsAny(string(refused.Body), key) || strings.Contains(err.Error(), "sk") || len(refused.Body) < 800 {
				t.Errorf("%d bytes of %s: %v", length, spelled, err)
			}
		}
	}
}

// Nor is it in another spelling, by what net/http says of a server that it does not understand, or in a header.
func TestKeyIsNotRepeatedOtherwise(t *testing.T) {
	const key = "c2VjcmV0/0123+456789=="
	for name, say := range map[string]string{
		"escaped by PHP":        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + `{"error":{"message":"bad key c2VjcmV0\/0123+456789==."}}`,
		"escaped by .NET":       "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + `{"error":{"message":"bad key c2VjcmV0/0123\u002B456789\u003d\u003D."}}`,
		"in a header":           "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nX-Request-Id: " + key + "\r\n\r\n{}",
		"in a broken status":    "HTTP/1.1 " + key + "\r\n\r\n",
		"in a broken header":    "HTTP/1.1 400 Bad Request\r\n" + key + "\r\n\r\n",
		"in place of an answer": key + "\r\n\r\n",
	} {
		_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, buf := hijack(w)
			_, _ = buf.WriteString(say)
			_ = buf.Flush()
			_ = conn.Close()
		})
		_, err := client.Complete(t.Context(), key, []byte(request))
		var refused *api.Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		told := err.Error() + refused.Message + refused.RequestID + string(refused.Body)
		if !strings.Contains(told, hidden) || strings.Contains(told, "c2VjcmV0") {
			t.Errorf("%s: %s", name, told)
		}
	}
}
