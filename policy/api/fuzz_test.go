package api_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// soundWait reports whether a wait is none, or one that somebody could want.
func soundWait(d time.Duration) bool { return d == policy.NoHint || d >= 0 && d <= api.MaxWait }

// FuzzRead looks for an answer that makes Read panic, wait absurdly, or contradict itself.
func FuzzRead(f *testing.F) {
	for _, seed := range []struct {
		status int
		body   string
	}{
		{200, completion}, {200, response}, {200, message}, {200, candidates}, {200, embeddings}, {429, openAILimit}, {429, geminiLimit}, {529, ""},
		{200, `{"choices":[{"finish_reason":"error","error":{"code":502}}]}`}, {400, `{"error":"x"}`}, {422, `{"detail":[{"msg":"x"}]}`},
		{200, `{"data":[ ]}`}, {200, `[{}]`}, {402, `{"error":{"metadata":{"limit_source":"openrouter_in_flight_budget"}}}`},
	} {
		for shape := range uint8(7) {
			f.Add(seed.status, shape, []byte(seed.body), "1", "599", date, "true", 3.0)
		}
	}
	f.Add(429, uint8(2), []byte(openAILimit), later, "NaN", "", "false", math.Inf(1))
	f.Fuzz(func(t *testing.T, status int, shape uint8, body []byte, after, ms, dateOf, should string, tokens float64) {
		h := headers("Retry-After", after, "Retry-After-Ms", ms, "Date", dateOf, "X-Should-Retry", should)
		a := api.Answer{Status: status, Header: h, Body: body, Shape: api.Shape(shape), Tokens: tokens, Received: dated}
		m := api.Read(a)
		if again := api.Read(a); again != m {
			t.Errorf("%+v and then %+v", m, again)
		}
		if !soundWait(m.Hint) || m.Hint != policy.NoHint && !m.Retry {
			t.Errorf("%+v", m)
		}
		if m.Usage.Input < 0 || m.Usage.Output < 0 || m.Usage.Cached < 0 || m.Usage.Cached > m.Usage.Input || m.Usage.Total() < 0 {
			t.Errorf("%+v", m.Usage)
		}
		if m.Class == api.OK {
			return
		}
		out := outcomeOf(m.Mark(errors.New("x")))
		if out.Retry != m.Retry || out.Hint < 0 || out.Hinted && out.Hint != m.Hint || out.Unbilled != (m.Billed == api.BilledNo) {
			t.Errorf("%+v became %+v", m, out)
		}
		if out.Throttled != (m.Class == api.Throttled) {
			t.Errorf("%+v became %+v", m, out)
		}
	})
}

// FuzzLimits looks for headers that make an absurd figure of a limit.
func FuzzLimits(f *testing.F) {
	for _, seed := range [][4]string{
		{"60", "0", "1s", date}, {"-1", "-1", "0", ""}, {"1e12", "1e12", "1e13", date}, {"50", "49", "2026-10-21T07:28:02Z", date},
		{"1e-300", "0", "1e-300", later}, {"NaN", "Inf", "-Inf", "x"}, {"3", "2", "1792567713250", date}, {"0", "0", "2562047h47m16.854775807s", date},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], 1.0)
	}
	f.Fuzz(func(t *testing.T, most, left, reset, dateOf string, tokens float64) {
		if !soundWait(api.ParseReset(reset, dated)) {
			t.Errorf("reset %q: %v", reset, api.ParseReset(reset, dated))
		}
		h := headers("Date", dateOf,
			"X-Ratelimit-Limit-Requests", most, "X-Ratelimit-Remaining-Requests", left, "X-Ratelimit-Reset-Requests", reset, "X-Ratelimit-Renewalperiod-Requests", reset,
			"Anthropic-Ratelimit-Tokens-Limit", most, "Anthropic-Ratelimit-Tokens-Remaining", left, "Anthropic-Ratelimit-Tokens-Reset", reset,
			"X-Ratelimit-Limit-Project-Tokens", most, "X-Ratelimit-Remaining-Project-Tokens", left, "X-Ratelimit-Reset-Project-Tokens", reset)
		for _, o := range api.Limits(h, dated) {
			if !(o.Max == api.Unknown || o.Max > 0) || !(o.Remaining == api.Unknown || o.Remaining >= 0) || !soundWait(o.Reset) || o.Span < 0 {
				t.Errorf("%+v", o)
			}
			if rate, ok := o.Rate(); ok {
				if l := (policy.Limit{Name: "x", Rate: rate}); l.Validate() != nil {
					t.Errorf("%+v: %v", o, l.Validate())
				}
			}
			var g api.Gauge
			sent := g.Send(0, tokens)
			g.Send(second, tokens)
			if l, ok := g.Hear(2*second, sent, o); !ok || l.Known && !(l.Left >= 0 && (o.Max == api.Unknown || l.Left <= o.Max)) {
				t.Errorf("%+v: %+v, %v", o, l, ok)
			}
		}
		m := api.Read(api.Answer{Status: 429, Header: h, Tokens: tokens, Received: dated})
		if !soundWait(m.Hint) {
			t.Errorf("hint %v", m.Hint)
		}
	})
}

// FuzzStream looks for a stream that is read differently in pieces, and for tokens out of nothing.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{chatStream, messageStream, responseStream, "data: {\"error\":{\"code\":502}}\n\n", "\r\n\r", "{\"usage\":7}\n"} {
		f.Add([]byte(seed), uint(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint) {
		var whole, parts api.Stream
		_, _ = whole.Write(text)
		at := int(cut % uint(len(text)+1))
		_, _ = parts.Write(text[:at])
		_, _ = parts.Write(text[at:])
		m1, early1, ok1 := whole.Failure()
		m2, early2, ok2 := parts.Failure()
		if whole.Usage() != parts.Usage() || m1 != m2 || early1 != early2 || ok1 != ok2 {
			t.Errorf("whole %+v %+v, in two parts %+v %+v", whole.Usage(), m1, parts.Usage(), m2)
		}
		r := api.ReadRequest(api.Choices, text)
		if !(r.Input >= 0 && r.MaxOutput >= 0) || r.Input > float64(len(text)) {
			t.Errorf("%+v", r)
		}
		var e api.Estimator
		e.Learn(r.Model, e.Estimate(r), whole.Usage())
		if est := e.Estimate(r); !(est.Input >= 0 && est.Output >= 0) {
			t.Errorf("%+v", est)
		}
	})
}
