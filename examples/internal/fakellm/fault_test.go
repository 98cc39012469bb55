package fakellm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a client sees of each fault, over a real connection, plain and streamed.
func TestFaultsOnTheWire(t *testing.T) {
	for _, f := range append(Transients(), Fatals()...) {
		for _, stream := range []string{"", `"stream":true,`} {
			s, url := served(t, Config{Rules: []Rule{{Fault: f}}, RetryAfter: 1200 * time.Millisecond, Stall: 20 * time.Millisecond})
			resp, data, err := post(url, `{`+stream+`"model":"m","messages":[{"role":"user","content":"a"}]}`)
			status := 0
			if resp != nil {
				status = resp.StatusCode
			}
			if status != f.Status() && (f != ResetMid || status != 0) { // a reset may overtake what was sent before it
				t.Errorf("%s: status %d, want %d; %v", f, status, f.Status(), err)
			}
			switch n := natures[f]; n.wire {
			case asReset:
				wantError(t, f, err, syscall.ECONNRESET)
			case asEOF:
				wantError(t, f, err, io.EOF)
			case asResetMid:
				wantError(t, f, err, syscall.ECONNRESET)
			case asEOFMid, asStall:
				wantError(t, f, err, io.ErrUnexpectedEOF)
			case asEmpty:
				if err != nil || len(data) != 0 {
					t.Errorf("%s: %q, %v", f, data, err)
				}
			case asShort:
				if err != nil || json.Valid(data) || len(data) == 0 {
					t.Errorf("%s: %q, %v", f, data, err)
				}
			case asPage:
				if err != nil || !strings.Contains(string(data), "<html>") {
					t.Errorf("%s: %q, %v", f, data, err)
				}
			case asWithheld:
				if err != nil || !strings.Contains(string(data), `"finish_reason":"content_filter"`) || strings.Contains(string(data), Digest("a")) {
					t.Errorf("%s: %q, %v", f, data, err)
				}
			default:
				kind, code := errorOf(t, data)
				if n.problem.Code != nil && code != *n.problem.Code || kind != n.problem.Type {
					t.Errorf("%s: %s", f, data)
				}
			}
			l := s.Ledger()
			if l.Faulted != 1 || l.Faults[f] != 1 || l.Billed != map[bool]int{true: 1}[f.Billed()] || l.InFlight != 0 {
				t.Errorf("%s: %+v", f, l)
			}
			if r := s.Prompt("a"); r != (Record{Sends: 1, Faulted: 1, Billed: l.Billed}) {
				t.Errorf("%s: %+v", f, r)
			}
		}
	}
}

func wantError(t *testing.T, f Fault, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", f, err, want)
	}
}

// The wait of a throttle in each of its forms: never less than was meant.
func TestFormsOfRetryAfter(t *testing.T) {
	const wait = 1200 * time.Millisecond
	for f, want := range map[Fault][2]string{
		Throttle429: {"", ""}, ThrottleSeconds: {"2", ""}, ThrottleFloat: {"1.200", ""}, ThrottleMillis: {"", "1200"}, SlowDown: {"", ""},
	} {
		_, url := served(t, Config{Rules: []Rule{{Fault: f}}, RetryAfter: wait})
		resp, _ := mustPost(t, url, chat("a"))
		if got := [2]string{resp.Header.Get("Retry-After"), resp.Header.Get("Retry-After-Ms")}; got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
	}
	_, url := served(t, Config{Rules: []Rule{{Fault: ThrottleDate}}, RetryAfter: wait})
	before := time.Now()
	resp, _ := mustPost(t, url, chat("a"))
	at, err := http.ParseTime(resp.Header.Get("Retry-After"))
	if err != nil || at.Before(before.Add(wait)) || at.After(time.Now().Add(wait+time.Second)) {
		t.Errorf("%v after %v: %v", at, before, err)
	}
}

// A stalled answer trickles until its client has had enough. Real time: the next byte is six minutes off, so only the hanging
// up can end it; and the server's Close, after the test, waits for that.
func TestStallEndsWithTheClient(t *testing.T) {
	s, url := served(t, Config{Rules: []Rule{{Fault: Stall}}, Stall: time.Hour})
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(chat("a")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if l := s.Ledger(); l.Faults[Stall] != 1 || l.Billed != 1 {
		t.Errorf("%+v", l)
	}
	hangUp()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	resp.Body.Close()
}

// What the dialects make of what has no code of its own.
func TestErrorsInDialects(t *testing.T) {
	for _, c := range []struct {
		dialect    Dialect
		path, body string
		fault      Fault
		status     int
		want       string
	}{
		{ByEndpoint, "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}`, Status529, 529, `"type":"overloaded_error"`},
		{ByEndpoint, "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}`, NoQuota, 400, "credit balance is too low"},
		{OpenAI, "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}`, TooLong, 400, "prompt is too long"},
		{ByEndpoint, "/openai/deployments/d/chat/completions", chat("a"), Throttle429, 429, `"code":"429"`},
		{ByEndpoint, "/openai/deployments/d/chat/completions", chat("a"), Filtered, 400, `"code":"content_filter"`},
		{Azure, "/v1/chat/completions", chat("a"), Status500, 500, `"code":"500"`},
		{OpenRouter, "/v1/chat/completions", chat("a"), NoMoney, 402, `"code":402`},
	} {
		_, url := served(t, Config{Dialect: c.dialect, Rules: []Rule{{Fault: c.fault}}})
		resp, err := http.Post(url+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(data), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.path, c.fault, resp.StatusCode, data, c.status, c.want)
		}
	}
}

// A bucket of 600 a minute of which 30 are taken, as each dialect tells it.
func TestHeadersOfDialects(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 250e6, time.UTC)
	l := level{limits: limits{true, 600, 570, 3 * time.Second}, max: 600, per: time.Minute}
	input := l
	input.counts = InputTokens
	other := l
	other.remaining = 580 // more is left of this one, so it is not told of
	for d, want := range map[Dialect]map[string]string{
		OpenAI: {"X-Ratelimit-Limit-Requests": "600", "X-Ratelimit-Remaining-Requests": "570", "X-Ratelimit-Reset-Requests": "3s"},
		Azure: {
			"X-Ratelimit-Limit-Requests": "600", "X-Ratelimit-Remaining-Requests": "570", "X-Ratelimit-Reset-Requests": "3",
			"X-Ratelimit-Renewalperiod-Requests": "60",
		},
		Anthropic: {
			"Anthropic-Ratelimit-Requests-Limit": "600", "Anthropic-Ratelimit-Requests-Remaining": "570",
			"Anthropic-Ratelimit-Requests-Reset": "2026-03-04T05:06:11Z", "Anthropic-Ratelimit-Input-Tokens-Limit": "600",
			"Anthropic-Ratelimit-Input-Tokens-Remaining": "570", "Anthropic-Ratelimit-Input-Tokens-Reset": "2026-03-04T05:06:11Z",
		},
		Mistral: {"X-Ratelimit-Limit-Req-Minute": "600", "X-Ratelimit-Remaining-Req-Minute": "570"},
		OpenRouter: {
			"X-Ratelimit-Limit": "600", "X-Ratelimit-Remaining": "570",
			"X-Ratelimit-Reset": strconv.FormatInt(now.UnixMilli()+3000, 10),
		},
		Silent: {},
	} {
		h := http.Header{}
		voice{headers: d}.stamp(h, []level{other, l, input}, now)
		got := map[string]string{}
		for name := range h {
			got[name] = h.Get(name)
		}
		if len(got) != len(want) {
			t.Errorf("%v: %v", d, got)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%v: %s is %q, want %q", d, name, got[name], value)
			}
		}
	}
}

// A limit's 429: with the wait as the dialect tells it, or with none at all.
func TestThrottlesOfDialects(t *testing.T) {
	for d, want := range map[Dialect][2]string{
		OpenAI: {"60", "60000"}, Azure: {"60", "60000"}, Anthropic: {"60", ""}, Mistral: {}, OpenRouter: {}, Silent: {},
	} {
		h := http.Header{}
		voice{headers: d}.stampRetry(h, time.Minute)
		if got := [2]string{h.Get("Retry-After"), h.Get("Retry-After-Ms")}; got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	_, url := served(t, Config{Dialect: Silent, Rate: 0.001, Burst: 1})
	mustPost(t, url, chat("a"))
	resp, data := mustPost(t, url, chat("a"))
	if resp.StatusCode != 429 || strings.Contains(string(data), "again in") || resp.Header.Get("Retry-After") != "" {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
	_, url = served(t, Config{Limits: []Limit{{Counts: Tokens, Max: 5, Per: time.Minute}}})
	resp, data = mustPost(t, url, chat("a"))
	if resp.StatusCode != 429 || !strings.Contains(string(data), "Limit 5, Requested ") || resp.Header.Get("Retry-After") != "" {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
}
