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
	s.desk = newDesk(s.cfg, s.epoch)
	s.cfg.Accounts, s.desk.cfg.Accounts = nil, nil // likewise
	return s, nil
}

// Ledger returns the bill up to now: one consistent cut, sharing nothing with the Server. It never waits for requests.
func (s *Server) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desk.book.ledger()
}

// Prompt returns what became of the requests for one prompt: the exact text of the last user message, or of the input.
func (s *Server) Prompt(text string) Record {
	key := sha256.Sum256([]byte(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desk.book.record(key)
}

// now is read under mu, so that the desk's times are in the order of its calls. Callers hold mu.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

// ServeHTTP answers one request. It blocks for the request's latency, until its context ends or Shutdown is called.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own := map[string]any{"/_ledger": nil, "/healthz": map[string]string{"status": "ok"}}
	body, mine := own[r.URL.Path]
	e, known := entranceOf(r.URL.Path)
	v := s.cfg.Dialect.voice(e)
	method := http.MethodPost
	if mine {
		method = http.MethodGet
	}
	switch {
	case !known && !mine:
		v.write(w, http.StatusNotFound, invalid(fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)))
	case r.Method != method:
		w.Header().Set("Allow", method)
		v.write(w, http.StatusMethodNotAllowed, invalid("Not allowed to "+r.Method+" on "+r.URL.Path))
	case known:
		s.complete(w, r, e)
	case body == nil:
		_ = writeJSON(w, http.StatusOK, s.Ledger())
	default:
		_ = writeJSON(w, http.StatusOK, body)
	}
}

// refusal is why a request is not well formed: nothing, when its outcome is completed.
type refusal struct {
	outcome outcome
	status  int
	problem problem
}

// complete serves a request to an endpoint.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, e entrance) {
	s.mu.Lock()
	number := s.desk.arrive(s.now())
	s.mu.Unlock()

	req, refused := s.read(w, r, e)
	want := demand{fault: refused.outcome, model: req.model, text: req.prompt, who: callerKey(r.Header), usage: req.usage}
	if refused.outcome == completed {
		want.key = sha256.Sum256([]byte(req.prompt))
	}
	s.mu.Lock()
	v := s.desk.decide(s.now(), want)
	s.mu.Unlock()

	say := s.cfg.Dialect.voice(e)
	say.identify(w.Header(), number)
	say.stamp(w.Header(), v.levels, time.Now())
	switch v.outcome {
	case rejected, unauthorized:
		say.write(w, refused.status, refused.problem)
	case outage:
		say.write(w, http.StatusServiceUnavailable, unavailable)
	case throttledRate, throttledArbitrary:
		s.refuse(w, say, req.model, v)
	default:
		s.deliver(w, r, v, delivery{voice: say, asked: req})
	}
}

// refuse answers a request that a limit has no room for.
func (s *Server) refuse(w http.ResponseWriter, say voice, model string, v verdict) {
	if v.retryAfter < 0 {
		say.write(w, http.StatusTooManyRequests, tooLarge(model, v.has, v.asks))
		return
	}
	say.stampRetry(w.Header(), v.retryAfter)
	p := tooFast(model, v.retryAfter)
	if say.headers == Silent {
		p.Message = "Rate limit reached."
	}
	say.write(w, http.StatusTooManyRequests, p)
}

// read takes in the body, then looks at the key and the form: a body left unread would hide a client's leaving.
func (s *Server) read(w http.ResponseWriter, r *http.Request, e entrance) (asked, refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		message := fmt.Sprintf("The body is longer than %d bytes.", tooLong.Limit)
		return asked{}, refusal{rejected, http.StatusRequestEntityTooLarge, invalid(message)}
	case err != nil:
		return asked{}, refusal{rejected, http.StatusBadRequest, invalid("The body broke off.")}
	case len(s.keys) > 0 && !s.keys[callerKey(r.Header)]:
		return asked{}, refusal{unauthorized, http.StatusUnauthorized, wrongKey}
	}
	req, err := e.understand(body)
	if err != nil {
		return asked{}, refusal{rejected, http.StatusBadRequest, invalid(err.Error())}
	}
	return req, refusal{}
}

// callerKey is the key that a request has: a bearer token, or Anthropic's or Azure's header.
func callerKey(h http.Header) string {
	if scheme, key, _ := strings.Cut(h.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	if key := h.Get("X-Api-Key"); key != "" {
		return key
	}
	return h.Get("Api-Key")
}

// deliver waits, settles an admitted request, and then sends what the verdict says. In this order, so that whoever
// holds the answer finds it in the ledger.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, v verdict, d delivery) {
	gone := !s.sleep(r.Context(), v.wait)
	s.mu.Lock()
	s.desk.finish(v, d.usage, gone)
	s.mu.Unlock()

	switch {
	case v.outcome == failedReset:
		reset(w)
	case gone:
		// Nobody is there to be told.
	case v.outcome == failed500:
		d.write(w, http.StatusInternalServerError, serverError)
	case v.outcome == failed503:
		d.write(w, http.StatusServiceUnavailable, overloaded)
	case v.outcome == faulted:
		s.fail(w, r, v, d)
	default:
		if err := s.answer(w, r, d, false); err != nil {
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
