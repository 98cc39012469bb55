package transport_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// tokenLimits fill so slowly that what is in them is what they began with, less what was taken.
func tokenLimits(names ...string) []policy.Limit {
	var limits []policy.Limit
	for _, name := range names {
		limits = append(limits, policy.Limit{Name: name, Rate: policy.PerDay(1), Burst: 10_000, Settled: true})
	}
	return limits
}

// counting answers with this usage.
func counting(in, out int) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		say(w, 200, fmt.Sprintf(`{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, in, out))
	}
}

// prompted sends a prompt of about 23 tokens, of which 100 more may come back.
func (w *world) prompted() reply {
	req := post(w.t.Context(), chatURL)
	body := `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Why is the sky blue?"}]}`
	req.Body, req.GetBody, req.ContentLength = once(body), nil, -1
	return w.do(req)
}

// S-L5: an estimate is charged at the start, and what it has really cost in the end.
func TestTokens(t *testing.T) {
	const estimate = 23 + 100 // a quarter of the 92 bytes, and what may come back
	synctest.Test(t, func(t *testing.T) {
		tokens := &transport.Tokens{Total: "tokens", Input: "in", Output: "out"}
		inFlight := 0.0
		var w *world
		w = build(t, dispatcher.Config{Limits: tokenLimits("tokens", "in", "out")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual},
			func(n int, rw http.ResponseWriter, r *http.Request) {
				inFlight = level(w.d, "tokens")
				counting(44, 7)(n, rw, r)
			})
		assert.Equal(t, 200, w.prompted().status)
		synctest.Wait()
		assert.InDelta(t, 10_000-estimate, inFlight, 0.5)
		assert.InDelta(t, 10_000-51, level(w.d, "tokens"), 0.001)
		assert.InDelta(t, 10_000-44, level(w.d, "in"), 0.001)
		assert.InDelta(t, 10_000-7, level(w.d, "out"), 0.001)

		before := level(w.d, "tokens")
		assert.Equal(t, 200, w.prompted().status)
		assert.InDelta(t, before-44-100, inFlight, 0.001, "the estimate of the input has been corrected")
	})
}

// Where nobody says what it has cost, the estimate stands; and what was certainly not billed costs nothing.
func TestTokensUnknown(t *testing.T) {
	const estimate = 23 + 100
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		want   float64
	}{
		"no usage": {func(w http.ResponseWriter) { say(w, 200, `{"choices":[{}]}`) }, estimate},
		"negative usage": {func(w http.ResponseWriter) {
			say(w, 200, `{"choices":[{}],"usage":{"prompt_tokens":-5,"completion_tokens":3}}`)
		}, estimate},
		"zero usage": {func(w http.ResponseWriter) {
			say(w, 200, `{"choices":[{}],"usage":{"prompt_tokens":0,"completion_tokens":0}}`)
		}, estimate},
		"server error": {status(500), estimate},
		"reset":        {hangUp, estimate},
		"throttled":    {status(429), 0},
		"bad request":  {status(400), 0},
		"filtered": {func(w http.ResponseWriter) {
			say(w, 200, `{"choices":[{"finish_reason":"content_filter"}],"usage":{"prompt_tokens":9}}`)
		}, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			tokens := &transport.Tokens{Total: "tokens"}
			w := build(t, dispatcher.Config{Limits: tokenLimits("tokens")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual}, script(test.answer))
			w.prompted()
			synctest.Wait()
			assert.InDelta(t, 10_000-test.want, level(w.d, "tokens"), 0.5, name)
		})
	}
}

// The bill of a stream is at its end, and is settled then.
func TestTokensOfStream(t *testing.T) {
	for name, test := range map[string]struct {
		answer handler
		want   float64
	}{
		"to its end": {streaming(2), 29},
		"broken off": {func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("a"))
			hangUp(w)
		}, 123},
		"all at once": {func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("a")+lastEvents)
		}, 29},
		"in the middle of the last line when it begins": {func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, lastEvents[:30])
			flush(w, lastEvents[30:])
		}, 29},
		"longer than the first read": {func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event(strings.Repeat("a", 5000))+lastEvents)
		}, 29},
	} {
		synctest.Test(t, func(t *testing.T) {
			tokens := &transport.Tokens{Total: "tokens"}
			w := build(t, dispatcher.Config{Limits: tokenLimits("tokens")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual}, test.answer)
			w.prompted()
			synctest.Wait()
			assert.InDelta(t, 10_000-test.want, level(w.d, "tokens"), 0.5, name)
		})
	}
}

// An exact count is taken as it is, and what is none of an LLM's costs nothing.
func TestTokensExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		tokens := &transport.Tokens{Total: "tokens", Exact: func(model string, body []byte) (float64, bool) {
			asked = append(asked, fmt.Sprint(model, " ", len(body)))
			return 1000, len(asked) == 1
		}}
		inFlight := 0.0
		var w *world
		w = build(t, dispatcher.Config{Limits: tokenLimits("tokens")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual}, func(n int, rw http.ResponseWriter, r *http.Request) {
			inFlight = level(w.d, "tokens")
			counting(44, 7)(n, rw, r)
		})
		w.prompted()
		assert.InDelta(t, 10_000-1100, inFlight, 0.001)
		w.prompted()
		assert.InDelta(t, 10_000-51-123, inFlight, 0.5)
		assert.Equal(t, []string{"m 92", "m 92"}, asked)
		w.get(t.Context(), "http://x.example/")
		assert.InDelta(t, 10_000-102, inFlight, 0.001)
		w.do(post(t.Context(), "http://x.example/"))
		assert.InDelta(t, 10_000-102, inFlight, 0.001)
		assert.Len(t, asked, 2)
	})
}

func TestTokensUncached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &transport.Tokens{Input: "in", Uncached: true}
		w := build(t, dispatcher.Config{Limits: tokenLimits("in")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual}, func(n int, rw http.ResponseWriter, r *http.Request) {
			say(rw, 200, `{"content":[{}],"usage":{"input_tokens":10,"cache_read_input_tokens":500,"output_tokens":3}}`)
		})
		assert.Equal(t, 200, w.do(post(t.Context(), "http://a.example/v1/messages")).status)
		synctest.Wait()
		assert.InDelta(t, 10_000-10, level(w.d, "in"), 0.001)
	})
}

// The hint of a throttle that names none is that of the tokens that are asked for.
func TestTokensInHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &transport.Tokens{Total: "tokens"}
		w := build(t, dispatcher.Config{Limits: tokenLimits("tokens")}, transport.Config{Cost: tokens.Cost, Actual: tokens.Actual, NoLearning: true}, script(
			status(429, "x-ratelimit-limit-tokens", "1230", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s")))
		got := w.prompted()
		var told *api.Error
		require.ErrorAs(t, got.failure, &told)
		assert.Equal(t, 6*s, told.Hint)
	})
}

// Nobody is asked what it has cost that was certainly not billed.
func TestActual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []api.Class
		cfg := transport.Config{Actual: func(_ *transport.Call, m api.Meaning) []dispatcher.Cost {
			asked = append(asked, m.Class)
			return []dispatcher.Cost{{Limit: "tokens", Tokens: 5}}
		}}
		w := build(t, dispatcher.Config{Limits: tokenLimits("tokens"), Retry: exact(9, s)}, cfg, script(status(429), status(500), hangUp))
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Equal(t, []api.Class{api.Server, api.OK}, asked)
		synctest.Wait()
		assert.InDelta(t, 10_000-5-1-5, level(w.d, "tokens"), 0.01, "the one of which nobody knows is charged as estimated")
	})
}

// What can't be settled is said once.
func TestNotSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []transport.Notice
		tokens := &transport.Tokens{Total: "tokens"}
		limits := tokenLimits("tokens")
		limits[0].Settled = false
		w := build(t, dispatcher.Config{Limits: limits}, transport.Config{
			Cost: tokens.Cost, Actual: tokens.Actual, OnNotice: func(n transport.Notice) { told = append(told, n) },
		}, counting(44, 7))
		for range 2 {
			assert.Equal(t, 200, w.prompted().status)
		}
		require.Len(t, told, 1)
		assert.Equal(t, transport.NotSettled, told[0].Kind)
		assert.Contains(t, told[0].String(), "Settled")
	})
}

// Who is told may tell it by the same client.
func TestNoticeOnItsOwnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		tokens := &transport.Tokens{Total: "tokens"}
		limits := tokenLimits("tokens")
		limits[0].Settled = false
		w = build(t, dispatcher.Config{Limits: limits}, transport.Config{
			Cost: tokens.Cost, Actual: tokens.Actual, OnNotice: func(transport.Notice) { assert.Equal(t, 200, w.prompted().status) },
		}, counting(44, 7))
		assert.Equal(t, 200, w.prompted().status)
		assert.Len(t, w.arrivals(), 2)
	})
}
