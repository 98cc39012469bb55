package fakellm

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// problem is OpenAI's error object.
type problem struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"` // always null here, but always present
	Code    *string `json:"code"`  // nil is null
}

func newProblem(kind, code, message string) problem {
	p := problem{Message: message, Type: kind}
	if code != "" {
		p = p.withCode(code)
	}
	return p
}

func invalid(message string) problem { return problem{Message: message, Type: "invalid_request_error"} }

func (p problem) withCode(code string) problem {
	p.Code = &code
	return p
}

var (
	wrongKey = invalid("Incorrect API key provided. Send one of the keys this server was started with as a bearer token.").
			withCode("invalid_api_key")
	serverError = problem{Message: "The server had an error while processing your request. Sorry about that!", Type: "server_error"}
	overloaded  = problem{Message: "The engine is currently overloaded, please try again later.", Type: "server_error"}.
			withCode("engine_overloaded")
	unavailable = problem{Message: "The service is temporarily unavailable.", Type: "server_error"}.withCode("service_unavailable")
)

// tooFast is the body of a 429.
func tooFast(model string, wait time.Duration) problem {
	return problem{
		Message: fmt.Sprintf("Rate limit reached for %s on requests per min (RPM). Please try again in %v.", model, whole(wait)),
		Type:    "requests",
	}.withCode("rate_limit_exceeded")
}

// tooLarge is the body of a 429 for a request that no wait makes fit.
func tooLarge(model string, limit, requested uint64) problem {
	return problem{
		Message: fmt.Sprintf("Request too large for %s: Limit %d, Requested %d.", model, limit, requested),
		Type:    "tokens",
	}.withCode("rate_limit_exceeded")
}

// write sends the body of an error. A client that has gone is no concern of anyone's.
func (v voice) write(w http.ResponseWriter, status int, p problem) {
	_ = writeJSON(w, status, v.errorBody(status, p))
}

// identify numbers an answer.
func (v voice) identify(h http.Header, number int) {
	name := "X-Request-Id"
	if v.errors == Anthropic {
		name = "Request-Id"
	}
	h.Set(name, fmt.Sprintf("req_%08d", number))
}

// writeJSON sends a whole response and returns the error of handing it to the network, if that is known yet.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err // no body here holds what JSON cannot
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		return err
	}
	// Without the flush, bytes wait in a buffer and a dead connection shows only after the handler has returned.
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// stampRetry sets the wait of a 429: retry-after in whole seconds, at least 1, and retry-after-ms, both rounded up, so
// that a client that obeys either comes when there is room.
func stampRetry(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(max(1, up(wait, time.Second)), 10))
	h.Set("Retry-After-Ms", strconv.FormatInt(up(wait, time.Millisecond), 10))
}

// whole rounds a duration up to the millisecond, the unit in which OpenAI states them.
func whole(d time.Duration) time.Duration {
	ms := up(d, time.Millisecond)
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// up returns how many units cover d. d is not negative.
func up(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}
