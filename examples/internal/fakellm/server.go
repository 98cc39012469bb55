package fakellm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is the API. It is an http.Handler, for use in any server, and can also listen by itself: Start and Shutdown.
// All methods may be called from any goroutine.
type Server struct {
	cfg   Config          // immutable after New, defaults filled in
	keys  map[string]bool // immutable after New; empty accepts everyone
	epoch time.Time       // immutable after New; the zero of the desk's time, read monotonically

	mu   sync.Mutex
	desk *desk // guarded by mu

	stopping chan struct{} // closed by the first Shutdown; ends every wait
	door     door
}

// New returns a Server that does not listen yet. The error is that of Config.Validate.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults(), keys: map[string]bool{}, epoch: time.Now(), stopping: make(chan struct{})}
	for _, key := range cfg.Keys {
		s.keys[key] = true
	}
	s.cfg.Keys = nil // the caller's slice may change, and no copy is needed
	s.desk = newDesk(s.cfg)
	return s, nil
}

// Ledger returns the bill up to now: one consistent cut, sharing nothing with the Server. It never waits for requests.
func (s *Server) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desk.book.ledger()
}

// now is read under mu, so that the desk's times are in the order of its calls. Callers hold mu.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

// ServeHTTP answers one request. It blocks for the request's latency, until its context ends or Shutdown is called.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	methods := map[string]string{"/v1/chat/completions": http.MethodPost, "/_ledger": http.MethodGet, "/healthz": http.MethodGet}
	method, known := methods[r.URL.Path]
	switch {
	case !known:
		writeProblem(w, http.StatusNotFound, invalid(fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)))
	case r.Method != method:
		w.Header().Set("Allow", method)
		writeProblem(w, http.StatusMethodNotAllowed, invalid("Not allowed to "+r.Method+" on "+r.URL.Path))
	case r.URL.Path == "/_ledger":
		_ = writeJSON(w, http.StatusOK, s.Ledger())
	case r.URL.Path == "/healthz":
		_ = writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	default:
		s.complete(w, r)
	}
}

// refusal is why a request is not well formed: nothing, when its outcome is completed.
type refusal struct {
	outcome outcome
	status  int
	problem problem
}

// complete serves POST /v1/chat/completions.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	number := s.desk.arrive(s.now())
	s.mu.Unlock()

	req, refused := s.read(w, r)
	var key promptKey
	if refused.outcome == completed {
		key = sha256.Sum256([]byte(req.prompt()))
	}
	s.mu.Lock()
	v := s.desk.decide(s.now(), key, refused.outcome)
	s.mu.Unlock()

	w.Header().Set("X-Request-Id", fmt.Sprintf("req_%08d", number))
	v.limits.stamp(w.Header())
	switch v.outcome {
	case rejected, unauthorized:
		writeProblem(w, refused.status, refused.problem)
	case outage:
		writeProblem(w, http.StatusServiceUnavailable, unavailable)
	case throttledRate, throttledArbitrary:
		stampRetry(w.Header(), v.retryAfter)
		writeProblem(w, http.StatusTooManyRequests, tooFast(req.Model, v.retryAfter))
	default:
		s.deliver(w, r, v, answer(req))
	}
}

// read takes in the body, then looks at the key and the form: a body left unread would hide a client's leaving.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (request, refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		message := fmt.Sprintf("The body is longer than %d bytes.", tooLong.Limit)
		return request{}, refusal{rejected, http.StatusRequestEntityTooLarge, invalid(message)}
	case err != nil:
		return request{}, refusal{rejected, http.StatusBadRequest, invalid("The body broke off.")}
	case !s.knows(r.Header.Get("Authorization")):
		return request{}, refusal{unauthorized, http.StatusUnauthorized, wrongKey}
	}
	req, err := parse(body)
	if err != nil {
		return request{}, refusal{rejected, http.StatusBadRequest, invalid(err.Error())}
	}
	return req, refusal{}
}

// knows reports whether an Authorization header opens the door.
func (s *Server) knows(header string) bool {
	scheme, key, _ := strings.Cut(header, " ")
	return len(s.keys) == 0 || strings.EqualFold(scheme, "Bearer") && s.keys[strings.TrimSpace(key)]
}

// deliver waits, settles an admitted request, and then sends what the verdict says. In this order, so that whoever
// holds the answer finds it in the ledger.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, v verdict, body completion) {
	gone := !s.sleep(r.Context(), v.wait)
	s.mu.Lock()
	s.desk.finish(v, body.Usage, gone)
	s.mu.Unlock()

	switch {
	case v.outcome == failedReset:
		reset(w)
	case gone:
		// Nobody is there to be told.
	case v.outcome == failed500:
		writeProblem(w, http.StatusInternalServerError, serverError)
	case v.outcome == failed503:
		writeProblem(w, http.StatusServiceUnavailable, overloaded)
	default:
		if err := writeJSON(w, http.StatusOK, body); err != nil {
			s.mu.Lock()
			s.desk.book.unsend(v.prompt)
			s.mu.Unlock()
		}
	}
}

// sleep waits for d and reports whether the client is still there. Shutdown ends the wait early: the answer is then
// given at once, so that nothing admitted goes without its outcome.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.stopping:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// reset ends the connection with a TCP reset instead of an answer. Where there is no connection to take over (HTTP/2, a
// recorder), the request is aborted in the way net/http offers.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	// Linger 0 turns the close into a reset; without it the client would see a clean end of the stream.
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
