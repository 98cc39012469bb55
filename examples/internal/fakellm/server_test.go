package fakellm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// served is a Server behind a real listener, for tests in which no time passes.
func served(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return s, ts.URL
}

// chat is a request for one prompt.
func chat(prompt string) string {
	body, err := json.Marshal(map[string]any{"model": "fake-mini", "max_tokens": 200,
		"messages": []map[string]string{{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// post sends a body; the response's body comes separately, read to its end.
func post(url, body string, header ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequest(http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

func mustPost(t *testing.T, url, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	resp, data, err := post(url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

func TestAnswer(t *testing.T) {
	_, url := served(t, Config{})
	resp, data := mustPost(t, url, chat("Wie heißt die Hauptstadt?"))
	var got completion
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp.Header.Get("X-Ratelimit-Limit-Requests") != "" {
		t.Error("an unlimited server states a limit")
	}
	if got.Object != "chat.completion" || got.Model != "fake-mini" || len(got.Choices) != 1 || !strings.HasPrefix(got.ID, "chatcmpl-") {
		t.Fatalf("%s", data)
	}
	c := got.Choices[0]
	if c.FinishReason != "stop" || c.Message.Role != "assistant" || !strings.Contains(c.Message.Content, Digest("Wie heißt die Hauptstadt?")) {
		t.Errorf("%s", data)
	}
	// "Be brief." is 9 bytes, the prompt 26: 35 bytes are 9 tokens.
	if u := got.Usage; u.Prompt != 9 || u.Completion != tokens(len(c.Message.Content)) || u.Total != u.Prompt+u.Completion {
		t.Errorf("%+v", u)
	}
	if _, again := mustPost(t, url, chat("Wie heißt die Hauptstadt?")); !bytes.Equal(data, again) {
		t.Errorf("the same request was answered\n%s\nand then\n%s", data, again)
	}
}

func TestDigest(t *testing.T) {
	if got := Digest("abc"); got != "ba7816bf8f01" { // FIPS 180-2, B.1
		t.Error(got)
	}
}

func TestWhatThePromptIs(t *testing.T) {
	for _, c := range []struct{ name, messages, want string }{
		{"last of two", `[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, "c"},
		{"not the assistant", `[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`, "a"},
		{"no user", `[{"role":"system","content":"a"},{"role":"system","content":"b"}]`, "b"},
		{"parts", `[{"role":"user","content":[{"type":"text","text":"a "},{"type":"image_url"},{"type":"text","text":"b"}]}]`, "a b"},
		{"null", `[{"role":"user","content":null}]`, ""},
		{"escapes", `[{"role":"user","content":"\u00e9\n"}]`, "é\n"},
	} {
		r, err := parse([]byte(`{"model":"m","messages":`+c.messages+`}`), "")
		if err != nil || r.prompt() != c.want {
			t.Errorf("%s: %q, %v", c.name, r.prompt(), err)
		}
	}
}

func TestAnswerKeepsToItsAllowance(t *testing.T) {
	digest := Digest("x")
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		for allowed := 1; allowed < 60; allowed++ {
			r, err := parse(fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"x"}],%q:%d}`, field, allowed), "")
			if err != nil {
				t.Fatal(err)
			}
			got := answer(r)
			if got.Usage.Completion > max(allowed, 9) || !strings.Contains(got.Choices[0].Message.Content, digest) {
				t.Errorf("%s %d: %+v", field, allowed, got)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	long := chat(strings.Repeat("x", 3000))
	for _, c := range []struct {
		name, method, path, key, body string
		status                        int
		kind, code                    string
	}{
		{"no key", "POST", "/v1/chat/completions", "", chat("a"), 401, "invalid_request_error", "invalid_api_key"},
		{"wrong key", "POST", "/v1/chat/completions", "Bearer nope", chat("a"), 401, "invalid_request_error", "invalid_api_key"},
		{"key without scheme", "POST", "/v1/chat/completions", "sk-1", chat("a"), 401, "invalid_request_error", "invalid_api_key"},
		{"another scheme", "POST", "/v1/chat/completions", "Basic sk-1", chat("a"), 401, "invalid_request_error", "invalid_api_key"},
		{"malformed", "POST", "/v1/chat/completions", "Bearer sk-1", "{", 400, "invalid_request_error", ""},
		{"trailing", "POST", "/v1/chat/completions", "Bearer sk-1", chat("a") + "{}", 400, "invalid_request_error", ""},
		{"no messages", "POST", "/v1/chat/completions", "Bearer sk-1", `{"model":"m","messages":[]}`, 400, "invalid_request_error", ""},
		{"no model", "POST", "/v1/chat/completions", "Bearer sk-1", `{"messages":[{"role":"user","content":"a"}]}`, 400, "invalid_request_error", ""},
		{"empty", "POST", "/v1/chat/completions", "Bearer sk-1", "", 400, "invalid_request_error", ""},
		{"too long", "POST", "/v1/chat/completions", "Bearer sk-1", long, 413, "invalid_request_error", ""},
		{"other path", "POST", "/v1/engines", "Bearer sk-1", "", 404, "invalid_request_error", ""},
		{"other method", "GET", "/v1/chat/completions", "Bearer sk-1", "", 405, "invalid_request_error", ""},
		{"fine", "POST", "/v1/chat/completions", "bearer sk-2", chat("a"), 200, "", ""},
	} {
		s, url := served(t, Config{Keys: []string{"sk-1", "sk-2"}, MaxBody: 2000})
		req, err := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", c.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		kind, code := errorOf(t, data)
		if err != nil || resp.StatusCode != c.status || kind != c.kind || code != c.code {
			t.Errorf("%s: %d %s, %v", c.name, resp.StatusCode, data, err)
		}
		if strings.Contains(string(data), "nope") {
			t.Errorf("%s: a key in the answer: %s", c.name, data)
		}
		l := s.Ledger()
		want := map[int][3]int{401: {1, 1, 0}, 400: {1, 0, 1}, 413: {1, 0, 1}, 200: {1, 0, 0}}[c.status]
		if got := [3]int{l.Received, l.Unauthorized, l.Rejected}; got != want || l.InFlight != 0 {
			t.Errorf("%s: %+v", c.name, l)
		}
	}
}

// errorOf returns type and code of OpenAI's error body, and demands that all four of its fields are there.
func errorOf(t *testing.T, data []byte) (kind, code string) {
	t.Helper()
	var body struct{ Error map[string]any }
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if body.Error == nil {
		return "", ""
	}
	for _, field := range []string{"message", "type", "param", "code"} {
		if _, ok := body.Error[field]; !ok {
			t.Errorf("%s has no %s", data, field)
		}
	}
	kind, _ = body.Error["type"].(string)
	code, _ = body.Error["code"].(string)
	return kind, code
}

func TestRateLimitHeaders(t *testing.T) {
	_, url := served(t, Config{Rate: 0.001, Burst: 2})
	resp, _ := mustPost(t, url, chat("a"))
	if h := resp.Header; h.Get("X-Ratelimit-Limit-Requests") != "2" || h.Get("X-Ratelimit-Remaining-Requests") != "1" {
		t.Errorf("%v", h)
	}
	reset, err := time.ParseDuration(resp.Header.Get("X-Ratelimit-Reset-Requests"))
	if err != nil || reset > 1000*time.Second || reset < 900*time.Second || reset%time.Millisecond != 0 {
		t.Errorf("reset %v, %v", reset, err)
	}
	mustPost(t, url, chat("b"))
	resp, data := mustPost(t, url, chat("c"))
	kind, code := errorOf(t, data)
	if resp.StatusCode != 429 || kind != "requests" || code != "rate_limit_exceeded" {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
	var seconds, millis int64
	_, err1 := fmt.Sscan(resp.Header.Get("Retry-After"), &seconds)
	_, err2 := fmt.Sscan(resp.Header.Get("Retry-After-Ms"), &millis)
	if err1 != nil || err2 != nil || millis < 900_000 || millis > 1_000_000 || seconds != (millis+999)/1000 {
		t.Errorf("retry after %d s, %d ms", seconds, millis)
	}
}

func TestRetryHeadersRoundUp(t *testing.T) {
	for _, c := range []struct {
		wait        time.Duration
		seconds, ms string
	}{
		{1, "1", "1"}, {time.Millisecond, "1", "1"}, {time.Millisecond + 1, "1", "2"}, {time.Second, "1", "1000"},
		{time.Second + 1, "2", "1001"}, {90 * time.Second, "90", "90000"}, {1<<63 - 1, "9223372037", "9223372036855"},
	} {
		h := http.Header{}
		stampRetry(h, c.wait)
		if h.Get("Retry-After") != c.seconds || h.Get("Retry-After-Ms") != c.ms {
			t.Errorf("%v: %v", c.wait, h)
		}
	}
	if got := whole(6*time.Minute - 1); got.String() != "6m0s" {
		t.Error(got)
	}
	if got := whole(1<<63 - 1); got <= 0 {
		t.Error(got)
	}
}

func TestOutageBody(t *testing.T) {
	_, url := served(t, Config{OutageFor: time.Hour})
	resp, data := mustPost(t, url, chat("a"))
	if _, code := errorOf(t, data); resp.StatusCode != 503 || code != "service_unavailable" {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
	health, err := http.Get(url + "/healthz")
	if err != nil || health.StatusCode != 200 {
		t.Errorf("%v %v", health, err)
	}
	health.Body.Close()
}
