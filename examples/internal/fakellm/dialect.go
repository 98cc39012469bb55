package fakellm

import (
	"net/http"
	"strconv"
	"time"
)

// Dialect is how the API tells of its limits and of its errors.
type Dialect uint8

// The dialects. Errors of /v1/messages are Anthropic's in each of them.
const (
	// ByEndpoint is Anthropic for /v1/messages, Azure for paths below /openai/deployments, and OpenAI for the others.
	ByEndpoint Dialect = iota
	// OpenAI tells what is left of requests and tokens, and how long it takes until all is there, as a duration such as 1.2s.
	OpenAI
	// Anthropic tells when all is there, as a date, and knows tokens of the prompt and of the answer, too.
	Anthropic
	// Azure tells how long it takes in whole seconds, and over which span the limit is granted. Codes of errors are numbers.
	Azure
	// Mistral tells what is left of the minute, and nothing of waiting.
	Mistral
	// OpenRouter tells of requests only, and in milliseconds of the Unix epoch when all is there. Codes of errors are numbers.
	OpenRouter
	// Silent tells nothing, neither of limits nor of waiting.
	Silent
)

var dialectNames = [...]string{"auto", "openai", "anthropic", "azure", "mistral", "openrouter", "silent"}

// String returns the name, as the flag has it.
func (d Dialect) String() string {
	if int(d) >= len(dialectNames) {
		return "Dialect(" + strconv.Itoa(int(d)) + ")"
	}
	return dialectNames[d]
}

// voice is the dialects in which one request is answered.
type voice struct {
	headers Dialect // never ByEndpoint
	errors  Dialect // OpenAI, Anthropic, Azure or OpenRouter
}

func (d Dialect) voice(e entrance) voice {
	own := OpenAI
	switch {
	case e.endpoint == messages:
		own = Anthropic
	case e.deployment != "":
		own = Azure
	}
	v := voice{headers: d, errors: own}
	switch {
	case d == ByEndpoint:
		v.headers = own
	case own == OpenAI && (d == Azure || d == OpenRouter):
		v.errors = d
	}
	return v
}

// stamp sets the headers that tell of the limits. Of several that count the same, it is the one of which least is left.
func (v voice) stamp(h http.Header, levels []level, now time.Time) {
	tightest := map[Unit]level{}
	for _, l := range levels {
		if t, ok := tightest[l.counts]; l.known && (!ok || l.share() < t.share()) {
			tightest[l.counts] = l
		}
	}
	for counts, l := range tightest {
		v.stampOne(h, counts, l, now)
	}
}

// share is how much of the limit is left.
func (l level) share() float64 { return float64(l.remaining) / float64(max(1, l.limit)) }

func (v voice) stampOne(h http.Header, counts Unit, l level, now time.Time) {
	name := [...]string{"Requests", "Tokens", "Input-Tokens", "Output-Tokens"}[counts]
	most, left := strconv.FormatUint(l.limit, 10), strconv.FormatUint(l.remaining, 10)
	if counts > Tokens && v.headers != Anthropic {
		return
	}
	switch v.headers {
	case OpenAI:
		h.Set("X-Ratelimit-Limit-"+name, most)
		h.Set("X-Ratelimit-Remaining-"+name, left)
		h.Set("X-Ratelimit-Reset-"+name, whole(l.reset).String())
	case Azure:
		h.Set("X-Ratelimit-Limit-"+name, strconv.FormatUint(l.max, 10))
		h.Set("X-Ratelimit-Remaining-"+name, left)
		h.Set("X-Ratelimit-Reset-"+name, strconv.FormatInt(up(l.reset, time.Second), 10))
		h.Set("X-Ratelimit-Renewalperiod-"+name, strconv.FormatInt(up(l.per, time.Second), 10))
	case Anthropic:
		h.Set("Anthropic-Ratelimit-"+name+"-Limit", strconv.FormatUint(l.perMinute(), 10))
		h.Set("Anthropic-Ratelimit-"+name+"-Remaining", left)
		h.Set("Anthropic-Ratelimit-"+name+"-Reset", ceilSecond(now.Add(l.reset)).UTC().Format(time.RFC3339))
	case Mistral:
		name := [...]string{"Req-Minute", "Tokens-Minute"}[counts]
		h.Set("X-Ratelimit-Limit-"+name, strconv.FormatUint(l.perMinute(), 10))
		h.Set("X-Ratelimit-Remaining-"+name, left)
	case OpenRouter:
		if counts == Requests {
			h.Set("X-Ratelimit-Limit", most)
			h.Set("X-Ratelimit-Remaining", left)
			h.Set("X-Ratelimit-Reset", strconv.FormatInt(now.Add(l.reset).UnixMilli(), 10))
		}
	default: // Silent
	}
}

// perMinute is what is granted in a minute, for dialects whose limits are all of a minute.
func (l level) perMinute() uint64 {
	return uint64(float64(l.max) * float64(time.Minute) / float64(l.per))
}

// ceilSecond is the next whole second.
func ceilSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}

// stampRetry sets the wait of a 429 of a limit.
func (v voice) stampRetry(h http.Header, wait time.Duration) {
	switch v.headers {
	case OpenAI, Azure:
		stampRetry(h, wait)
	case Anthropic:
		stampHint(h, inSeconds, wait, time.Time{})
	default:
	}
}

// stampHint sets the wait of a throttle in one of its forms, rounded up.
func stampHint(h http.Header, form hint, wait time.Duration, now time.Time) {
	switch form {
	case inSeconds:
		h.Set("Retry-After", strconv.FormatInt(max(1, up(wait, time.Second)), 10))
	case inFloat:
		h.Set("Retry-After", strconv.FormatFloat(whole(wait).Seconds(), 'f', 3, 64))
	case inMillis:
		h.Set("Retry-After-Ms", strconv.FormatInt(up(wait, time.Millisecond), 10))
	case asDate:
		h.Set("Retry-After", ceilSecond(now.Add(wait)).UTC().Format(http.TimeFormat))
	default:
	}
}

// errorBody is the body of an error.
func (v voice) errorBody(status int, p problem) any {
	switch v.errors {
	case Anthropic:
		return map[string]any{"type": "error", "error": map[string]string{"type": anthropicType(status), "message": p.Message}}
	case Azure:
		code := strconv.Itoa(status)
		if p.Code != nil && status != 429 || p.Type == "insufficient_quota" {
			code = *p.Code
		}
		return map[string]any{"error": map[string]string{"code": code, "message": p.Message}}
	case OpenRouter:
		return map[string]any{"error": map[string]any{"code": status, "message": p.Message}}
	default:
		return map[string]problem{"error": p}
	}
}

// anthropicType is the type that Anthropic gives to an error of a status.
func anthropicType(status int) string {
	switch status {
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	case 504:
		return "timeout_error"
	case 529:
		return "overloaded_error"
	}
	if status < 500 {
		return "invalid_request_error"
	}
	return "api_error"
}

// inItsWords is a fatal fault as Anthropic puts it where it has no code to tell it by.
func (v voice) inItsWords(status int, p problem) (int, problem) {
	if v.errors != Anthropic || p.Code == nil {
		return status, p
	}
	switch *p.Code {
	case "insufficient_quota":
		return 400, invalid("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.")
	case "context_length_exceeded":
		return status, invalid("prompt is too long: 209000 tokens > 200000 maximum")
	case "content_filter":
		return status, invalid("Output blocked by content filtering policy")
	}
	return status, p
}
