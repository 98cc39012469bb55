package api

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toller-go/toller/policy"
)

// Unknown is what an [Observation] has for a figure that the server does not say.
const Unknown = -1

// Observation is what one answer says of one limit.
type Observation struct {
	// Limit is what is counted: "requests" or "tokens"; "input-tokens", "output-tokens" (Anthropic); "project-requests",
	// "project-tokens" (OpenAI).
	Limit     string
	Max       float64       // the most there can be; Unknown
	Remaining float64       // what is left; Unknown
	Reset     time.Duration // until all of it is there again; policy.NoHint if it is not said
	Span      time.Duration // over which Max is granted; 0 if it is not said
	Window    bool          // all comes back at once when Reset is over; otherwise little by little, and Reset is until it is full

	step time.Duration // how far off Reset can be
}

// dialect is the names of the headers of one limit. They are in their canonical form.
type dialect struct {
	limit                       string
	max, remaining, reset, span string
	fixed                       time.Duration // the span, where the vendor has but one
	window                      bool
}

// dialects are tried in order, and the first that says anything of a limit is believed. Azure's are OpenAI's with its reset in
// whole seconds. Groq's are OpenAI's, but its requests are of a day, which [Observation.Rate] finds out.
var dialects = []dialect{
	{limit: "requests", max: "X-Ratelimit-Limit-Requests", remaining: "X-Ratelimit-Remaining-Requests", reset: "X-Ratelimit-Reset-Requests", span: "X-Ratelimit-Renewalperiod-Requests"},
	{limit: "tokens", max: "X-Ratelimit-Limit-Tokens", remaining: "X-Ratelimit-Remaining-Tokens", reset: "X-Ratelimit-Reset-Tokens", span: "X-Ratelimit-Renewalperiod-Tokens"},
	{limit: "project-requests", max: "X-Ratelimit-Limit-Project-Requests", remaining: "X-Ratelimit-Remaining-Project-Requests", reset: "X-Ratelimit-Reset-Project-Requests"},
	{limit: "project-tokens", max: "X-Ratelimit-Limit-Project-Tokens", remaining: "X-Ratelimit-Remaining-Project-Tokens", reset: "X-Ratelimit-Reset-Project-Tokens"},
	{limit: "requests", max: "Anthropic-Ratelimit-Requests-Limit", remaining: "Anthropic-Ratelimit-Requests-Remaining", reset: "Anthropic-Ratelimit-Requests-Reset", fixed: time.Minute},
	{limit: "tokens", max: "Anthropic-Ratelimit-Tokens-Limit", remaining: "Anthropic-Ratelimit-Tokens-Remaining", reset: "Anthropic-Ratelimit-Tokens-Reset", fixed: time.Minute},
	{limit: "input-tokens", max: "Anthropic-Ratelimit-Input-Tokens-Limit", remaining: "Anthropic-Ratelimit-Input-Tokens-Remaining", reset: "Anthropic-Ratelimit-Input-Tokens-Reset", fixed: time.Minute},
	{limit: "output-tokens", max: "Anthropic-Ratelimit-Output-Tokens-Limit", remaining: "Anthropic-Ratelimit-Output-Tokens-Remaining", reset: "Anthropic-Ratelimit-Output-Tokens-Reset", fixed: time.Minute},
	{limit: "requests", max: "X-Ratelimit-Limit-Req-Minute", remaining: "X-Ratelimit-Remaining-Req-Minute", fixed: time.Minute, window: true},
	{limit: "tokens", max: "X-Ratelimit-Limit-Tokens-Minute", remaining: "X-Ratelimit-Remaining-Tokens-Minute", fixed: time.Minute, window: true},
	{limit: "requests", max: "X-Ratelimit-Limit", remaining: "X-Ratelimit-Remaining", reset: "X-Ratelimit-Reset", window: true},
}

// Limits returns what the headers of an answer say of the server's limits, in all dialects: OpenAI, Azure, Groq, Anthropic,
// Mistral, OpenRouter, and what is common elsewhere. received is when the answer came, or zero, see [Answer].
func Limits(h http.Header, received time.Time) []Observation {
	if !limited(h) {
		return nil
	}
	var found []Observation
	for i := range dialects {
		d := &dialects[i]
		if len(h[d.remaining]) == 0 && len(h[d.max]) == 0 && (d.reset == "" || len(h[d.reset]) == 0) {
			continue
		}
		if slices.ContainsFunc(found, func(o Observation) bool { return o.Limit == d.limit }) {
			continue
		}
		if o := d.read(h, clock(h, received)); o.Max != Unknown || o.Remaining != Unknown {
			found = append(found, o)
		}
	}
	return found
}

// limited reports whether any of the headers is of a dialect's. Most answers have fewer headers than there are dialects' names.
func limited(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			return true
		}
	}
	return false
}

// read takes what one dialect says of its limit. A figure that makes no sense is as good as not said.
func (d *dialect) read(h http.Header, now time.Time) Observation {
	o := Observation{
		Limit: d.limit, Max: figure(h.Get(d.max)), Remaining: figure(h.Get(d.remaining)), Reset: policy.NoHint, Span: d.fixed, Window: d.window,
	}
	if o.Max == 0 { // nothing is ever granted: more likely one that is not counted
		o.Max = Unknown
	}
	if o.Max != Unknown && o.Remaining > o.Max {
		o.Remaining = Unknown
	}
	switch {
	case d.reset != "" && h.Get(d.reset) != "":
		o.Reset, o.step = parseReset(h.Get(d.reset), now)
	case d.window && !now.IsZero(): // of the clock on the wall
		o.Reset, o.step = d.fixed-time.Duration(now.Second())*time.Second, time.Second
	}
	if d.span != "" {
		if span := number(h.Get(d.span), time.Second); span > 0 {
			o.Span = span
		}
	}
	return o
}

// figure reads a number that may be a fraction. Azure says -1 when it does not know.
func figure(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(n >= 0 && n <= maxUsage) {
		return Unknown
	}
	return n
}

// wait is how long it takes until there is something of a limit that is used up: a request, or so many tokens; policy.NoHint
// if that cannot be told. The reset is until it is full, which is far more than that, unless all comes back at once.
func (o *Observation) wait(tokens float64) time.Duration {
	if o.Remaining != 0 || o.Reset == policy.NoHint {
		return policy.NoHint
	}
	if o.Window {
		return o.Reset
	}
	need := 1.0
	if strings.HasSuffix(o.Limit, "tokens") {
		need = tokens
	}
	if need <= 0 || o.Max == Unknown {
		return policy.NoHint
	}
	return time.Duration(math.Ceil(float64(o.Reset) * min(1, need/o.Max)))
}
