package api_test

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// outcomeOf is what a dispatcher makes of an error.
func outcomeOf(err error) policy.Outcome { return (&policy.Retry{MaxAttempts: 2}).Classify(err) }

// The outcomes that a meaning may ask for, but for hints.
var (
	final     = policy.Outcome{Verdict: policy.VerdictNeutral}
	refused   = policy.Outcome{Verdict: policy.VerdictNeutral, Unbilled: true}
	transient = policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	throttled = policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true, Unbilled: true}
	unusable  = policy.Outcome{Verdict: policy.VerdictUnusable, Unbilled: true}
)

// hinted is an outcome with the server's word on when to come back.
func hinted(out policy.Outcome, hint time.Duration) policy.Outcome {
	out.Hinted, out.Hint = true, hint
	return out
}

// paid is an outcome of which it is not certain that it was not billed.
func paid(out policy.Outcome) policy.Outcome {
	out.Unbilled = false
	return out
}

// headers are names and values in turn.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const completion = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"Hello.","refusal":null},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}`

const response = `{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[{"type":"message",` +
	`"content":[{"type":"output_text","text":"Hello."}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":8},"output_tokens":87,` +
	`"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}`

const embeddings = `{"object":"list","data":[{"object":"embedding","embedding":[0.0023,-0.0093],"index":0}],"model":"text-embedding-3-small",` +
	`"usage":{"prompt_tokens":8,"total_tokens":8}}`

const message = `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi!"}],"model":"claude","stop_reason":"end_turn",` +
	`"stop_sequence":null,"usage":{"input_tokens":95,"cache_creation_input_tokens":10,"cache_read_input_tokens":200,"output_tokens":7}}`

const candidates = `{"candidates":[{"content":{"parts":[{"text":"Hello."}],"role":"model"},"finishReason":"STOP","index":0}],` +
	`"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":12,"totalTokenCount":36,"thoughtsTokenCount":20}}`

func TestGood(t *testing.T) {
	tests := []struct {
		name      string
		shape     api.Shape
		status    int
		body      string
		usage     api.Usage
		finish    string
		truncated bool
	}{
		{name: "OpenAI, chat completion", shape: api.Choices, body: completion, usage: api.Usage{Input: 9, Cached: 4, Output: 3}, finish: "stop"},
		{name: "OpenAI, response", shape: api.Responses, body: response, usage: api.Usage{Input: 36, Cached: 8, Output: 87}, finish: "completed"},
		{name: "OpenAI, embeddings", shape: api.Embeddings, body: embeddings, usage: api.Usage{Input: 8}},
		{name: "Anthropic, message", shape: api.Messages, body: message, usage: api.Usage{Input: 305, Cached: 200, Output: 7}, finish: "end_turn"},
		{name: "Gemini, candidates", shape: api.Candidates, body: candidates, usage: api.Usage{Input: 4, Output: 32}, finish: "STOP"},
		{name: "Gemini, a list in place of a stream", shape: api.Candidates, body: `[{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":4}}` + "\n,\r\n" + candidates + "]\n", usage: api.Usage{Input: 4, Output: 32}, finish: "STOP"},
		{name: "a response in the background", shape: api.Responses, body: `{"status":"queued","output":[],"error":null,"usage":null}`, finish: "queued"},
		{name: "a message without words", shape: api.Messages, body: `{"content":[],"stop_reason":"end_turn"}`, finish: "end_turn"},
		{name: "error is null", shape: api.Choices, body: `{"choices":[{"index":0}],"error":null,"usage":{"prompt_tokens":1,"completion_tokens":2}}`, usage: api.Usage{Input: 1, Output: 2}},
		{name: "error is null, between spaces", shape: api.Choices, body: `{"error" : null , "choices":[{}]}`},
		{name: "no usage", shape: api.Choices, body: `{"choices":[{"index":0}]}`},
		{name: "usage is null", shape: api.Choices, body: `{"choices":[{"index":0}],"usage":null}`},
		{name: "usage is a text", shape: api.Choices, body: `{"choices":[{"index":0}],"usage":"much"}`},
		{name: "usage is negative", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":12,"completion_tokens":-1}}`},
		{name: "usage is beyond belief", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":1e30,"completion_tokens":5}}`},
		{name: "usage beyond belief, and not beyond arithmetic", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":1e12,"completion_tokens":5}}`},
		{name: "xAI, reasoning in the total alone", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,` +
			`"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}}}`, usage: api.Usage{Input: 10120, Cached: 128, Output: 4308}},
		{name: "Gemini as OpenAI, nothing but thoughts", shape: api.Choices, body: `{"choices":[{}],"usage":{"completion_tokens":0,"total_tokens":81,"prompt_tokens":21}}`,
			usage: api.Usage{Input: 21, Output: 60}},
		{name: "LiteLLM, cached twice", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":13000,"completion_tokens":5,"total_tokens":13005,` +
			`"prompt_tokens_details":{"cached_tokens":12000},"cache_read_input_tokens":12000,"cache_creation_input_tokens":900}}`,
			usage: api.Usage{Input: 13000, Cached: 12000, Output: 5}},
		{name: "two dialects", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"input_tokens":7,"output_tokens":5}}`,
			usage: api.Usage{Input: 7, Output: 5}},
		{name: "two dialects, one of them empty", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":5,"input_tokens":0,"output_tokens":0}}`,
			usage: api.Usage{Input: 7, Output: 5}},
		{name: "a total that leaves the cache out", shape: api.Messages, body: `{"content":[],"usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10,"cache_read_input_tokens":100}}`,
			usage: api.Usage{Input: 104, Cached: 100, Output: 6}},
		{name: "a total beyond belief", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":1e30}}`, usage: api.Usage{Input: 7, Output: 5}},
		{name: "a total alone", shape: api.Embeddings, body: `{"data":[{}],"usage":{"total_tokens":8}}`},
		{name: "usage in part", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":5,"prompt_tokens_details":"none"}}`, usage: api.Usage{Input: 5}},
		{name: "more from the cache than there was", shape: api.Choices, body: `{"choices":[{}],"usage":{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}}`, usage: api.Usage{Input: 5, Cached: 5}},
		{name: "cut at the length that was asked for", shape: api.Choices, body: `{"choices":[{"finish_reason":"length"}]}`, finish: "length", truncated: true},
		{name: "one of two is cut", shape: api.Choices, body: `{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}`, finish: "length", truncated: true},
		{name: "Mistral, cut at the model's length", shape: api.Choices, body: `{"choices":[{"finish_reason":"model_length"}]}`, finish: "model_length", truncated: true},
		{name: "a response cut", shape: api.Responses, body: `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}`, finish: "max_output_tokens", truncated: true},
		{name: "a message cut", shape: api.Messages, body: `{"content":[{}],"stop_reason":"max_tokens"}`, finish: "max_tokens", truncated: true},
		{name: "candidates cut", shape: api.Candidates, body: `{"candidates":[{"finishReason":"MAX_TOKENS"}]}`, finish: "MAX_TOKENS", truncated: true},
		{name: "a response that says something beside a refusal", shape: api.Responses, body: `{"output":[{"content":[{"type":"refusal"}]},{"content":[{"type":"output_text"}]}]}`},
		{name: "one of two choices is filtered", shape: api.Choices, body: `{"choices":[{"finish_reason":"stop"},{"finish_reason":"content_filter"}]}`, finish: "stop"},
		{name: "another 2xx", shape: api.Choices, status: 201, body: `{"choices":[{"index":0}]}`},
		{name: "white space around it", shape: api.Choices, body: "\n  {\"choices\":[{}]}\r\n"},
		{name: "members nobody knows", shape: api.Choices, body: `{"choices":[{}],"x_groq":{"id":"req_1"},"system_fingerprint":null}`},
		{name: "members of odd types", shape: api.Choices, body: `{"choices":[{"message":7,"finish_reason":{}}],"status":[],"incomplete_details":"x","promptFeedback":1}`},
		{name: "another endpoint", shape: api.Other, body: `{"object":"list","data":[]}`},
		{name: "another endpoint, no JSON", shape: api.Other, body: "RIFF...."},
		{name: "anything", shape: api.Any, body: `{"error":"none of our business"}`},
		{name: "nothing", shape: api.Any, status: 204},
		{name: "not modified", shape: api.Any, status: 304},
		{name: "switching protocols", shape: api.Any, status: 101},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.status == 0 {
				test.status = 200
			}
			got := api.Read(api.Answer{Status: test.status, Header: headers("X-Request-Id", "req_7"), Body: []byte(test.body), Shape: test.shape})
			want := api.Meaning{
				Class: api.OK, Billed: api.BilledYes, Hint: policy.NoHint, Status: test.status, RequestID: "req_7", Usage: test.usage,
				Finish: test.finish, Truncated: test.truncated,
			}
			if got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if err := errors.New("x"); got.Mark(err) != err { //nolint:errorlint // as it is
				t.Error("an answer that is well is marked")
			}
		})
	}
}

// What was cut off, or can't be read, is not held against the answer.
func TestGoodCut(t *testing.T) {
	for _, body := range []string{"", completion[:50], "\x1f\x8b..."} {
		got := api.Read(api.Answer{Status: 200, Body: []byte(body), Cut: true, Shape: api.Choices})
		if got.Class != api.OK || got.Billed != api.BilledYes || got.Usage.Known() {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

// Refused for its content with a 200: a result of its own kind.
func TestWithheld(t *testing.T) {
	tests := []struct {
		name   string
		shape  api.Shape
		body   string
		billed api.Billed
	}{
		{"OpenAI, filtered", api.Choices, `{"choices":[{"finish_reason":"content_filter","message":{"content":""}}],"usage":{"prompt_tokens":9}}`, api.BilledYes},
		{"OpenAI, filtered, without usage", api.Choices, `{"choices":[{"finish_reason":"content_filter"}]}`, api.BilledMaybe},
		{"OpenAI, a refusal", api.Choices, `{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I can't."}}],"usage":{"prompt_tokens":9}}`, api.BilledYes},
		{"OpenAI, a response that refuses", api.Responses, `{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}]}`, api.BilledMaybe},
		{"OpenAI, a response filtered", api.Responses, `{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]}`, api.BilledMaybe},
		{"Anthropic, a refusal", api.Messages, `{"content":[],"stop_reason":"refusal","usage":{"input_tokens":5,"output_tokens":1}}`, api.BilledYes},
		{"Gemini, blocked", api.Candidates, `{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}`, api.BilledYes},
		{"Gemini, stopped", api.Candidates, `{"candidates":[{"finishReason":"PROHIBITED_CONTENT"}]}`, api.BilledMaybe},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := api.Read(api.Answer{Status: 200, Header: headers("Retry-After", "5"), Body: []byte(test.body), Shape: test.shape})
			if got.Class != api.Filtered || got.Retry || got.Billed != test.billed || got.Hint != policy.NoHint {
				t.Errorf("%+v", got)
			}
			if out := outcomeOf(got.Mark(errors.New("withheld"))); out != final {
				t.Errorf("outcome %+v", out)
			}
		})
	}
}

// The server's word decides where the table could go either way, and nowhere else.
func TestShouldRetry(t *testing.T) {
	money := `{"error":{"code":"insufficient_quota"}}`
	tests := []struct {
		name   string
		status int
		body   string
		word   string
		want   policy.Outcome
	}{
		{"a bad request that may be repeated", 400, "", "true", policy.Outcome{Verdict: policy.VerdictFailure, Retry: true, Unbilled: true}},
		{"a server that won't do better", 500, "", "false", policy.Outcome{Verdict: policy.VerdictFailure}},
		{"a conflict that won't pass", 409, "", "false", policy.Outcome{Verdict: policy.VerdictFailure}},
		{"an answer that is none", 200, "", "false", policy.Outcome{Verdict: policy.VerdictFailure}},
		{"what it would have been anyway", 502, "", "true", transient},
		{"a throttle", 429, "", "false", throttled},
		{"money", 429, money, "true", unusable},
		{"a wrong key", 401, "", "true", unusable},
		{"too large", 413, "", "true", refused},
		{"not a word it knows", 500, "", "no", transient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := api.Read(api.Answer{Status: test.status, Header: headers("X-Should-Retry", test.word), Body: []byte(test.body), Shape: api.Choices})
			err := m.Mark(&api.Error{Meaning: m})
			if out := outcomeOf(err); out != test.want {
				t.Errorf("outcome %+v, want %+v", out, test.want)
			}
			if m.Retry != test.want.Retry {
				t.Errorf("retry %v", m.Retry)
			}
		})
	}
}

// Every class has a mark, and a class that nobody has thought of fails for good rather than for ever.
func TestMarks(t *testing.T) {
	tests := []struct {
		want    policy.Outcome
		retry   bool
		classes []api.Class
	}{
		{transient, true, []api.Class{api.BadAnswer, api.Conflict, api.Server, api.Unsent, api.Ambiguous, api.BadRequest}},
		{policy.Outcome{Verdict: policy.VerdictFailure}, false, []api.Class{api.BadAnswer, api.Conflict, api.Server, api.Unsent, api.Ambiguous}},
		{paid(throttled), true, []api.Class{api.Throttled}},
		{paid(throttled), false, []api.Class{api.Throttled}},
		{paid(unusable), false, []api.Class{api.OutOfMoney, api.BadKey}},
		{final, false, []api.Class{api.NeverFits, api.BadRequest, api.Filtered, 200}},
	}
	for _, test := range tests {
		for _, class := range test.classes {
			for _, billed := range []api.Billed{api.BilledMaybe, api.BilledNo, api.BilledYes} {
				m := api.Meaning{Class: class, Retry: test.retry, Hint: policy.NoHint, Billed: billed}
				want := test.want
				want.Unbilled = billed == api.BilledNo
				if got := outcomeOf(m.Mark(&api.Error{Meaning: m})); got != want {
					t.Errorf("%v, retry %v, billed %v: outcome %+v, want %+v", class, test.retry, billed, got, want)
				}
				if m.Mark(nil) != nil {
					t.Errorf("%v marks nothing", class)
				}
			}
		}
	}
	broken := api.Broken(true)
	broken.Retry = false // one attempt too many
	if got := outcomeOf(broken.Mark(syscall.ECONNRESET)); got != (policy.Outcome{Verdict: policy.VerdictFailure}) {
		t.Errorf("a reset that is not to be tried again: %+v", got)
	}
	m := api.Meaning{Class: api.Server, Retry: true, Hint: time.Second}
	if got := outcomeOf(m.Mark(&api.Error{Meaning: m})); got != hinted(transient, time.Second) {
		t.Errorf("with a hint: %+v", got)
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("connection reset")
	tests := []struct {
		err  *api.Error
		want string
	}{
		{&api.Error{Meaning: api.Meaning{Class: api.Server, Status: 502}}, "server: HTTP 502"},
		{&api.Error{Meaning: api.Meaning{Class: api.Throttled, Status: 429, Code: "429", Message: "Slow down."}}, "throttled: HTTP 429: Slow down."},
		{
			&api.Error{Meaning: api.Meaning{Class: api.BadKey, Status: 401, Code: "invalid_api_key", Message: "Incorrect API key."}},
			"bad_key: HTTP 401 invalid_api_key: Incorrect API key.",
		},
		{&api.Error{Meaning: api.Meaning{Class: api.Ambiguous}, Err: cause}, "ambiguous: connection reset"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if !errors.Is(tests[3].err, cause) {
		t.Error("the cause is lost")
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for class := api.OK; class <= api.Ambiguous; class++ {
		name := class.String()
		if seen[name] || strings.ContainsAny(name, "( ") {
			t.Errorf("class %d is called %q", class, name)
		}
		seen[name] = true
	}
	for shape := api.Any; shape <= api.Candidates; shape++ {
		if name := shape.String(); strings.Contains(name, "(") {
			t.Errorf("shape %d is called %q", shape, name)
		}
	}
	for _, test := range []struct{ got, want string }{
		{api.Class(99).String(), "Class(99)"}, {api.Shape(99).String(), "Shape(99)"}, {api.Billed(99).String(), "Billed(99)"},
		{api.BilledNo.String(), "no"}, {api.BilledMaybe.String(), "maybe"}, {api.BilledYes.String(), "yes"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestShapeOf(t *testing.T) {
	tests := []struct {
		path  string
		shape api.Shape
		model string
	}{
		{"/v1/chat/completions", api.Choices, ""},
		{"/v1/completions", api.Choices, ""},
		{"/v1/responses", api.Responses, ""},
		{"/v1/responses/resp_1", api.Any, ""},
		{"/v1/embeddings", api.Embeddings, ""},
		{"/v1/messages", api.Messages, ""},
		{"/v1/messages/count_tokens", api.Any, ""},
		{"/v1/models", api.Any, ""},
		{"/openai/deployments/my-gpt/chat/completions", api.Choices, "my-gpt"},
		{"/v1beta/models/gemini-2.5-flash:generateContent", api.Candidates, "gemini-2.5-flash"},
		{"/v1beta/models/gemini-2.5-flash:streamGenerateContent", api.Candidates, "gemini-2.5-flash"},
		{"/v1beta/models/gemini-embedding-001:embedContent", api.Other, "gemini-embedding-001"},
		{"/v1beta/openai/chat/completions", api.Choices, ""},
		{"/v1/projects/p/locations/l/publishers/google/models/g:predict", api.Any, "g"},
		{"", api.Any, ""},
		{"responses", api.Responses, ""},
	}
	for _, test := range tests {
		if got := api.ShapeOf(test.path); got != test.shape {
			t.Errorf("%s: %v, want %v", test.path, got, test.shape)
		}
		if got := api.ModelOf(test.path); got != test.model {
			t.Errorf("%s: model %q, want %q", test.path, got, test.model)
		}
	}
}
