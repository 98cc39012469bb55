package chat

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
)

// outcomeOf is what the dispatcher makes of an error.
func outcomeOf(err error) policy.Outcome { return (&policy.Retry{MaxAttempts: 2}).Classify(err) }

// The outcomes that a class may ask for, but for hints.
var (
	final     = policy.Outcome{Verdict: policy.VerdictNeutral}
	transient = policy.Outcome{Verdict: policy.VerdictFailure, Retry: true}
	throttled = policy.Outcome{Verdict: policy.VerdictNeutral, Retry: true, Throttled: true}
	unusable  = policy.Outcome{Verdict: policy.VerdictUnusable}
)

// hinted is an outcome with the server's word on when to come back.
func hinted(out policy.Outcome, hint time.Duration) policy.Outcome {
	out.Hinted, out.Hint = true, hint
	return out
}

// answerOf is an answer as judge gets it. Headers are names and values in turn.
func answerOf(status int, headers ...string) *http.Response {
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(""))}
}

const completion = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`

func TestSuccess(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		usage  Usage
	}{
		{"OpenAI", 200, completion, Usage{9, 3}},
		{"error is null", 200, `{"choices":[{"index":0}],"error":null,"usage":{"prompt_tokens":1,"completion_tokens":2}}`, Usage{1, 2}},
		{"error is null, between spaces", 200, `{"error" : null , "choices":[{}]}`, Usage{}},
		{"no usage", 200, `{"choices":[{"index":0}]}`, Usage{}},
		{"usage is null", 200, `{"choices":[{"index":0}],"usage":null}`, Usage{}},
		{"cut at the length that was asked for", 200, `{"choices":[{"finish_reason":"length"}]}`, Usage{}},
		{"another 2xx", 201, `{"choices":[{"index":0}]}`, Usage{}},
		{"white space around it", 200, "\n  {\"choices\":[{}]}\r\n", Usage{}},
		{"members nobody knows", 200, `{"choices":[{}],"x_groq":{"id":"req_1"},"system_fingerprint":null}`, Usage{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := judge(answerOf(test.status, "X-Request-Id", "req_7"), []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != test.status || got.RequestID != "req_7" || string(got.Body) != test.body || got.Usage != test.usage {
				t.Errorf("got %+v, body %s", got, got.Body)
			}
		})
	}
}

func TestClasses(t *testing.T) {
	const openAILimit = `{"error":{"message":"Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): ` +
		`Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`
	tests := []struct {
		name    string
		status  int
		headers []string
		body    string
		class   Class
		code    string
		want    policy.Outcome
	}{
		// Throttles.
		{"OpenAI, rate limit", 429, []string{"retry-after", "20", "retry-after-ms", "20000", "x-ratelimit-remaining-requests", "0"},
			openAILimit, Throttled, "rate_limit_exceeded", hinted(throttled, 20*time.Second)},
		{"OpenAI, rate limit without a hint", 429, nil, openAILimit, Throttled, "rate_limit_exceeded", throttled},
		{"OpenAI, slow down", 503, nil, `{"error":{"message":"Slow down","type":"slow_down","param":null,"code":"slow_down"}}`,
			Throttled, "slow_down", throttled},
		{"slow_down in the type alone", 503, nil, `{"error":{"message":"Slow down","type":"slow_down","param":null,"code":null}}`,
			Throttled, "slow_down", throttled},
		{"Azure, both hints, code as a string", 429, []string{"retry-after", "1", "retry-after-ms", "0"},
			`{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded call rate limit."}}`,
			Throttled, "429", hinted(throttled, time.Second)},
		{"Anthropic, rate limit", 429, []string{"retry-after", "12", "anthropic-ratelimit-requests-remaining", "0"},
			`{"type":"error","error":{"type":"rate_limit_error","message":"Number of requests has exceeded your rate limit"}}`,
			Throttled, "rate_limit_error", hinted(throttled, 12*time.Second)},
		{"Anthropic, overloaded", 529, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
			Throttled, "overloaded_error", throttled},
		{"Gemini, an array around it", 429, nil, `[{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}]`,
			Throttled, "", throttled},
		{"Mistral, no error member", 429, nil, `{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}`,
			Throttled, "", throttled},
		{"Scaleway, money in the text, not in the code", 429, nil,
			`{"error":{"message":"insufficient quota: try again later","type":"rate_limit","code":"too_many_requests"}}`,
			Throttled, "too_many_requests", throttled},
		{"a proxy, no JSON", 429, []string{"Retry-After", "0"}, "Too Many Requests\n", Throttled, "", hinted(throttled, 0)},

		// Money: whatever the status, and whatever the hint.
		{"OpenAI, no quota", 429, []string{"retry-after", "1"},
			`{"error":{"message":"You exceeded your current quota, please check your plan and billing details.",` +
				`"type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
			OutOfMoney, "insufficient_quota", unusable},
		{"OpenAI, no quota in the type alone", 429, nil, `{"error":{"message":"…","type":"insufficient_quota","code":null}}`,
			OutOfMoney, "insufficient_quota", unusable},
		{"OpenAI, hard limit", 400, nil, `{"error":{"code":"billing_hard_limit_reached","message":"Billing hard limit has been reached",` +
			`"param":null,"type":"invalid_request_error"}}`, OutOfMoney, "billing_hard_limit_reached", unusable},
		{"OpenRouter, no credits", 402, nil, `{"error":{"code":402,"message":"Insufficient credits. Add more"}}`, OutOfMoney, "402", unusable},
		{"DeepSeek, no balance", 402, nil, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`,
			OutOfMoney, "invalid_request_error", unusable},
		{"spend limit of a project", 403, nil, `{"error":{"code":"project_spend_limit_exceeded","message":"…"}}`, OutOfMoney, "project_spend_limit_exceeded", unusable},
		{"402 without a body", 402, nil, "", OutOfMoney, "", unusable},
		{"no quota, with status 200", 200, nil, `{"error":{"code":"insufficient_quota","message":"…"}}`, OutOfMoney, "insufficient_quota", unusable},

		// Keys.
		{"OpenAI, wrong key", 401, nil, `{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at …",` +
			`"type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, BadKey, "invalid_api_key", unusable},
		{"Anthropic, wrong key", 401, nil, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`,
			BadKey, "authentication_error", unusable},
		{"forbidden", 403, []string{"Retry-After", "5"}, `{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}`,
			BadKey, "unsupported_country_region_territory", unusable},

		// Too large, for ever.
		{"OpenAI, context length", 400, nil, `{"error":{"message":"This model's maximum context length is 8192 tokens.",` +
			`"type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, NeverFits, "context_length_exceeded", final},
		{"OpenAI, string too long", 400, nil, `{"error":{"message":"Invalid 'messages[0].content'","type":"invalid_request_error",` +
			`"param":"messages[0].content","code":"string_above_max_length"}}`, NeverFits, "string_above_max_length", final},
		{"Groq, over the tokens a minute", 413, []string{"retry-after", "23"},
			`{"error":{"message":"Request too large for model x: Limit 6000, Requested 7012","type":"tokens","code":"rate_limit_exceeded"}}`,
			NeverFits, "rate_limit_exceeded", final},
		{"nginx, body too large", 413, nil, "<html><h1>413 Request Entity Too Large</h1></html>", NeverFits, "", final},

		// The request is wrong.
		{"OpenAI, bad request", 400, []string{"Retry-After", "1"}, `{"error":{"message":"Invalid value","type":"invalid_request_error","param":"n","code":null}}`,
			BadRequest, "invalid_request_error", final},
		{"no such model", 404, nil, `{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}`,
			BadRequest, "model_not_found", final},
		{"FastAPI, detail", 422, nil, `{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`, BadRequest, "", final},
		{"vLLM, a number for a code", 400, nil, `{"error":{"message":"max_tokens must be at least 1","type":"BadRequestError","code":400}}`,
			BadRequest, "400", final},
		{"a choice in a refusal is no answer", 400, nil, completion, BadRequest, "", final},
		{"Azure, content filter", 400, nil, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}`,
			Filtered, "content_filter", final},
		{"moved", 308, []string{"Location", "https://elsewhere.example/v1"}, "", BadRequest, "", final},

		// Servers that fail.
		{"OpenAI, server error", 500, nil, `{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}`,
			Server, "server_error", transient},
		{"overloaded, with a hint", 503, []string{"Retry-After", "2"}, `{"error":{"message":"overloaded","type":"server_error","code":"engine_overloaded"}}`,
			Server, "engine_overloaded", hinted(transient, 2*time.Second)},
		{"slow_down is for 503", 500, nil, `{"error":{"code":"slow_down"}}`, Server, "slow_down", transient},
		{"a proxy", 502, nil, "<html><h1>502 Bad Gateway</h1></html>", Server, "", transient},
		{"Cloudflare", 524, nil, "error code: 524", Server, "", transient},
		{"error is a string", 500, nil, `{"error":"model is loading"}`, Server, "", transient},
		{"timeout", 408, nil, `{"error":{"code":"Timeout","message":"The operation was timeout."}}`, Conflict, "Timeout", transient},
		{"conflict", 409, nil, "", Conflict, "", transient},
		{"too early", 425, []string{"Retry-After", "1"}, "", Conflict, "", hinted(transient, time.Second)},

		// 2xx, and yet no completion.
		{"OpenRouter, an error in a 200", 200, nil, `{"error":{"code":502,"message":"Provider returned error"},"choices":[]}`, BadAnswer, "502", transient},
		{"an error beside choices", 200, nil, `{"error":{"message":"broke off"},"choices":[{"index":0}]}`, BadAnswer, "", transient},
		{"no choices", 200, nil, `{"id":"chatcmpl-1","object":"chat.completion","usage":{"prompt_tokens":1}}`, BadAnswer, "", transient},
		{"choices are null", 200, nil, `{"choices":null}`, BadAnswer, "", transient},
		{"choices are empty", 200, nil, `{"choices":[]}`, BadAnswer, "", transient},
		{"empty", 200, nil, "", BadAnswer, "", transient},
		{"no content", 204, nil, "", BadAnswer, "", transient},
		{"truncated", 200, nil, completion[:len(completion)-20], BadAnswer, "", transient},
		{"two documents", 200, nil, completion + completion, BadAnswer, "", transient},
		{"a captive portal", 200, []string{"Retry-After", "3"}, "<html>Please log in</html>", BadAnswer, "", hinted(transient, 3*time.Second)},
		{"JSON, no object", 200, nil, "[]", BadAnswer, "", transient},
		{"a stream", 200, nil, "data: {\"choices\":[{\"delta\":{}}]}\n\ndata: [DONE]\n\n", BadAnswer, "", transient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			headers := append([]string{"X-Request-Id", "req_7"}, test.headers...)
			answer, err := judge(answerOf(test.status, headers...), []byte(test.body))
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("got %+v, %v", answer, err)
			}
			if got.Class != test.class || got.Code != test.code {
				t.Errorf("class %s, code %q; want %s, %q", got.Class, got.Code, test.class, test.code)
			}
			if got.Status != test.status || got.RequestID != "req_7" || string(got.Body) != test.body {
				t.Errorf("the answer is not kept as it came: %+v, body %s", got, got.Body)
			}
			if out := outcomeOf(err); out != test.want {
				t.Errorf("outcome %+v, want %+v", out, test.want)
			}
		})
	}
}

// Every class has a mark, and a class that nobody has thought of fails for good rather than for ever.
func TestMarks(t *testing.T) {
	tests := []struct {
		want    policy.Outcome
		classes []Class
	}{
		{transient, []Class{BadAnswer, Conflict, Server, Unsent, Ambiguous}},
		{throttled, []Class{Throttled}},
		{unusable, []Class{OutOfMoney, BadKey}},
		{final, []Class{NeverFits, BadRequest, Filtered, "unheard_of"}},
	}
	for _, test := range tests {
		for _, class := range test.classes {
			if got := outcomeOf((&Error{Class: class}).marked(policy.NoHint)); got != test.want {
				t.Errorf("%s: outcome %+v, want %+v", class, got, test.want)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("connection reset")
	tests := []struct {
		err  *Error
		want string
	}{
		{&Error{Class: Server, Status: 502}, "server: HTTP 502"},
		{&Error{Class: BadKey, Status: 401, Code: "invalid_api_key", Message: "Incorrect API key."}, "bad_key: HTTP 401 invalid_api_key: Incorrect API key."},
		{&Error{Class: Ambiguous, Err: cause}, "ambiguous: connection reset"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if !errors.Is(tests[2].err, cause) {
		t.Error("the cause is lost")
	}
}
