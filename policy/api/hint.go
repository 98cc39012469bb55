package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

// hint is how long the server asks to be left alone: by its headers; or else by the body of its error; or else, if it refused
// for sending too much, by the limits that are used up.
func hint(a Answer, c Class, f fault) time.Duration {
	if wait := RetryAfter(a.Header, a.Received); wait != policy.NoHint {
		return wait
	}
	if f.hinted {
		return f.retryIn
	}
	if c != Throttled {
		return policy.NoHint
	}
	if wait := waitInWords(f.message); wait != policy.NoHint {
		return wait
	}
	wait := policy.NoHint
	for _, o := range Limits(a.Header, a.Received) {
		wait = max(wait, o.wait(a.Tokens))
	}
	return wait
}

// maxValues is how many values of one header are looked at.
const maxValues = 4

// RetryAfter returns the wait that the headers retry-after-ms and retry-after ask for: the longest, since there are servers
// that send both and mean the longer; policy.NoHint if there is none that makes sense. A date counts from the Date of the
// answer, or from received where there is none; if that is zero, too, it is no hint.
func RetryAfter(h http.Header, received time.Time) time.Duration {
	wait := policy.NoHint
	for _, s := range first(h.Values("Retry-After-Ms")) {
		wait = max(wait, number(s, time.Millisecond))
	}
	for _, s := range first(h.Values("Retry-After")) {
		wait = max(wait, number(s, time.Second), untilDate(s, clock(h, received)))
	}
	return wait
}

func first(values []string) []string { return values[:min(len(values), maxValues)] }

// waitInWords finds the wait that the text of a throttle names. The text decides nothing else.
//
//	Please try again in 6m0.5s.             OpenAI, Groq
//	Please retry in 45.837906927s.          Gemini
//	Please retry after 26 seconds.          Azure
func waitInWords(message string) time.Duration {
	for _, before := range []string{"Please try again in ", "Please retry in ", "Please retry after ", "Try again in "} {
		_, rest, ok := strings.Cut(message, before)
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(rest, "second") {
			return number(word, time.Second)
		}
		return goDuration(strings.TrimRight(word, ".,;"))
	}
	return policy.NoHint
}
