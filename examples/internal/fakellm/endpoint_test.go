package fakellm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// asks posts a body to a path of a server of its own.
func asks(t *testing.T, path, body string) (*http.Response, string, *Server) {
	t.Helper()
	s, url := served(t, Config{})
	resp, err := http.Post(url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data), s
}

// Each endpoint: the answer names its prompt, and is billed what it says it is.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		prompt           string
		content          func(v map[string]any) string
		in, out          string // the names of the counts
	}{
		{
			"responses", "/v1/responses", `{"model":"m","input":"Why?","instructions":"Be brief."}`, "Why?",
			func(v map[string]any) string {
				return dig(v, "output", 0, "content", 0, "text").(string)
			}, "input_tokens", "output_tokens",
		},
		{
			"responses of a list", "/v1/responses",
			`{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Why?"}]},{"role":"assistant","content":"So."}]}`, "Why?",
			func(v map[string]any) string {
				return dig(v, "output", 0, "content", 0, "text").(string)
			}, "input_tokens", "output_tokens",
		},
		{
			"messages", "/v1/messages", `{"model":"m","max_tokens":99,"system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Why?"}]}`, "Why?",
			func(v map[string]any) string { return dig(v, "content", 0, "text").(string) }, "input_tokens", "output_tokens",
		},
		{
			"azure", "/openai/deployments/d/chat/completions?api-version=1", `{"messages":[{"role":"user","content":"Why?"}]}`, "Why?",
			func(v map[string]any) string {
				return dig(v, "choices", 0, "message", "content").(string)
			}, "prompt_tokens", "completion_tokens",
		},
	} {
		resp, data, s := asks(t, c.path, c.body)
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, data)
			continue
		}
		l := s.Ledger()
		if content := c.content(v); !strings.Contains(content, Digest(c.prompt)) || l.CompletionTokens != int64(tokens(len(content))) {
			t.Errorf("%s: %q, billed %d", c.name, content, l.CompletionTokens)
		}
		if dig(v, "usage", c.in) != float64(l.PromptTokens) || dig(v, "usage", c.out) != float64(l.CompletionTokens) {
			t.Errorf("%s: %s, billed %d + %d", c.name, data, l.PromptTokens, l.CompletionTokens)
		}
		if r := s.Prompt(c.prompt); r.Completed != 1 || l.Completed != 1 {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

// dig follows a path of names and places into what JSON was decoded to.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(map[string]any)[step]
		case int:
			v = v.([]any)[step]
		}
	}
	return v
}

func TestEmbeddings(t *testing.T) {
	for _, body := range []string{`{"model":"m","input":"a"}`, `{"model":"m","input":["a"],"encoding_format":"float"}`} {
		_, data, s := asks(t, "/v1/embeddings", body)
		var got struct {
			Data []struct{ Embedding []float64 }
		}
		if err := json.Unmarshal([]byte(data), &got); err != nil || len(got.Data) != 1 || len(got.Data[0].Embedding) != dimensions {
			t.Fatalf("%s: %v", data, err)
		}
		square := 0.0
		for _, x := range got.Data[0].Embedding {
			square += x * x
		}
		if math.Abs(square-1) > 1e-5 {
			t.Errorf("%s is not of length 1", data)
		}
		if l := s.Ledger(); l.PromptTokens != 1 || l.CompletionTokens != 0 || l.Completed != 1 {
			t.Errorf("%+v", l)
		}
	}
	_, data, s := asks(t, "/v1/embeddings", `{"model":"m","input":["a","bc"],"encoding_format":"base64"}`)
	var got struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(data), &got); err != nil || len(got.Data) != 2 {
		t.Fatalf("%s: %v", data, err)
	}
	if raw, err := base64.StdEncoding.DecodeString(got.Data[1].Embedding); err != nil || len(raw) != 4*dimensions {
		t.Errorf("%s: %v", data, err)
	}
	if s.Prompt("a\nbc").Completed != 1 {
		t.Errorf("%+v", s.Ledger())
	}
}

func TestBadRequestsToEndpoints(t *testing.T) {
	for path, bodies := range map[string][]string{
		"/v1/responses":  {`{`, `{"input":"a"}`, `{"model":"m"}`, `{"model":"m","input":[]}`, `{"model":"m","input":"a","max_output_tokens":0}`, `{"model":"m","input":5}`},
		"/v1/embeddings": {`{`, `{"input":"a"}`, `{"model":"m"}`, `{"model":"m","input":"a","encoding_format":"int8"}`},
		"/v1/messages":   {`{`, `{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}`, `{"model":"m","max_tokens":1}`, `{"model":"m","messages":[{"role":"user","content":"a"}]}`},
	} {
		for _, body := range bodies {
			resp, data, s := asks(t, path, body)
			if l := s.Ledger(); resp.StatusCode != 400 || l.Rejected != 1 {
				t.Errorf("%s %s: %d %s, %+v", path, body, resp.StatusCode, data, l)
			}
			if anthropic := strings.HasPrefix(data, `{"error":{"message":`) && strings.Contains(data, `"type":"error"`); anthropic != (path == "/v1/messages") {
				t.Errorf("%s %s: %s", path, body, data)
			}
		}
	}
	for _, path := range []string{"/v1/", "/openai/deployments/", "/openai/deployments/d", "/openai/deployments/d/messages", "/openai/deployments//embeddings"} {
		if resp, data, s := asks(t, path, `{}`); resp.StatusCode != 404 || s.Ledger().Received != 0 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, data)
		}
	}
}

// Every kind of key, and the wrong ones, open the door or not.
func TestKeysOfAllDialects(t *testing.T) {
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"Authorization", "Bearer k", 200}, {"X-Api-Key", "k", 200}, {"Api-Key", "k", 200}, {"Api-Key", "x", 401}, {"Authorization", "k", 401},
	} {
		_, url := served(t, Config{Keys: []string{"k"}})
		if resp, data := mustPost(t, url, chat("a"), c.name, c.value); resp.StatusCode != c.status {
			t.Errorf("%s: %s: %d %s", c.name, c.value, resp.StatusCode, data)
		}
	}
}

// Streams say the same as answers that are whole, and end with what was billed.
func TestStreams(t *testing.T) {
	prompt := Digest("Why?")
	for _, c := range []struct {
		path, body string
		words      func(event map[string]any) string
		last       string
	}{
		{
			"/v1/chat/completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Why?"}]}`,
			func(v map[string]any) string {
				if choices := v["choices"].([]any); len(choices) > 0 {
					return dig(choices, 0, "delta", "content").(string)
				}
				return ""
			}, "data: [DONE]\n\n",
		},
		{
			"/v1/responses", `{"model":"m","stream":true,"input":"Why?"}`,
			func(v map[string]any) string {
				if delta, ok := v["delta"].(string); ok {
					return delta
				}
				return ""
			}, "",
		},
		{
			"/v1/messages", `{"model":"m","stream":true,"max_tokens":99,"messages":[{"role":"user","content":"Why?"}]}`,
			func(v map[string]any) string {
				if delta, ok := v["delta"].(map[string]any); ok && delta["text"] != nil {
					return delta["text"].(string)
				}
				return ""
			}, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		},
	} {
		resp, data, s := asks(t, c.path, c.body)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || !strings.HasSuffix(data, c.last) {
			t.Errorf("%s: %d %v\n%s", c.path, resp.StatusCode, resp.Header, data)
		}
		text, billed := "", 0.0
		for line := range strings.Lines(data) {
			rest, ok := strings.CutPrefix(line, "data: {")
			if !ok {
				continue
			}
			var v map[string]any
			if err := json.Unmarshal([]byte("{"+rest), &v); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			text += c.words(v)
			for _, u := range []any{v["usage"], responseUsageOf(v)} {
				if u, ok := u.(map[string]any); ok {
					for _, name := range []string{"completion_tokens", "output_tokens"} {
						if n, ok := u[name].(float64); ok {
							billed = n
						}
					}
				}
			}
		}
		l := s.Ledger()
		if !strings.Contains(text, prompt) || tokens(len(text)) != int(l.CompletionTokens) || billed != float64(l.CompletionTokens) || l.Completed != 1 {
			t.Errorf("%s: %q, says %v, billed %d", c.path, text, billed, l.CompletionTokens)
		}
	}
}

func responseUsageOf(event map[string]any) any {
	if r, ok := event["response"].(map[string]any); ok {
		return r["usage"]
	}
	return nil
}

// A stream takes its time between words; and who leaves early has not had the answer.
func TestStreamTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{WordDelay: time.Second, Latency: Range{Min: time.Minute}})
		body := `{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}`
		a, err := entrance{}.understand([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, took := recordedBody(t.Context(), s, body)
		if want := time.Minute + time.Duration(len(a.events(false))-1)*time.Second; took != want {
			t.Errorf("%v, want %v", took, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+1500*time.Millisecond)
		defer cancel()
		rec, took := recordedBody(ctx, s, body)
		if l := s.Ledger(); took != time.Minute+1500*time.Millisecond || l.Completed != 1 || l.Abandoned != 1 || l.Billed != 2 {
			t.Errorf("left after %v and %q: %+v", took, rec.Body, l)
		}
	})
}
