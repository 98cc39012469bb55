package api_test

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// answer is a row of the tables below: an answer as a vendor documents it, or as users have reported it, and what it means.
type answer struct {
	name    string
	status  int
	headers []string
	body    string
	class   api.Class
	code    string
	want    policy.Outcome
}

func (a *answer) test(t *testing.T, shape api.Shape) {
	t.Helper()
	h := headers(append([]string{"Date", "Wed, 21 Oct 2026 07:28:00 GMT", "X-Request-Id", "req_7"}, a.headers...)...)
	got := api.Read(api.Answer{Status: a.status, Header: h, Body: []byte(a.body), Shape: shape})
	if got.Class != a.class || got.Code != a.code || got.Status != a.status || got.RequestID != "req_7" {
		t.Errorf("got %+v; want %v, code %q", got, a.class, a.code)
	}
	if out := outcomeOf(got.Mark(&api.Error{Meaning: got})); out != a.want {
		t.Errorf("outcome %+v, want %+v", out, a.want)
	}
	if got.Retry != a.want.Retry || (got.Hint != policy.NoHint) != a.want.Hinted {
		t.Errorf("what it says and what it asks for differ: %+v", got)
	}
}

const openAILimit = `{"error":{"message":"Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): ` +
	`Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`

const geminiLimit = `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.",` +
	`"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.Help","links":[{"url":"https://ai.google.dev"}]},` +
	`{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests",` +
	`"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"model":"gemini-2.5-flash"},"quotaValue":"5"}]},` +
	`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"45.837906927s"}]}}`

func TestThrottles(t *testing.T) {
	const geminiWait = 45837906927 * time.Nanosecond
	for _, test := range []answer{
		{"OpenAI, rate limit", 429, []string{"retry-after", "20", "retry-after-ms", "20000", "x-ratelimit-remaining-requests", "0"},
			openAILimit, api.Throttled, "rate_limit_exceeded", hinted(throttled, 20*time.Second)},
		{"OpenAI, the wait in the text alone", 429, nil, openAILimit, api.Throttled, "rate_limit_exceeded", hinted(throttled, 20*time.Second)},
		{"OpenAI, without a hint", 429, nil, `{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}`,
			api.Throttled, "rate_limit_exceeded", throttled},
		{"OpenAI, tokens that fit", 429, nil, `{"error":{"message":"Rate limit reached for gpt-4 on tokens per min (TPM): Limit 10,000, Used 9,500, ` +
			`Requested 1,000. Please try again in 3s.","type":"tokens","code":"rate_limit_exceeded"}}`, api.Throttled, "rate_limit_exceeded", hinted(throttled, 3*time.Second)},
		{"OpenAI, all the tokens there are", 429, nil, `{"error":{"message":"Limit 30000, Requested 30000.","type":"tokens","code":"rate_limit_exceeded"}}`,
			api.Throttled, "rate_limit_exceeded", throttled},
		{"figures in an error about something else", 429, nil, `{"error":{"message":"Limit 5, Requested 6.","type":"x","code":"y"}}`, api.Throttled, "y", throttled},
		{"OpenAI, slow down", 503, nil, `{"error":{"message":"Slow down","type":"slow_down","param":null,"code":"slow_down"}}`,
			api.Throttled, "slow_down", throttled},
		{"slow_down in the type alone", 503, nil, `{"error":{"message":"Slow down","type":"slow_down","param":null,"code":null}}`,
			api.Throttled, "slow_down", throttled},
		{"Azure, both hints, code as a string", 429, []string{"retry-after", "1", "retry-after-ms", "0"},
			`{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded call rate limit."}}`,
			api.Throttled, "429", hinted(throttled, time.Second)},
		{"Azure, the wait in the text alone", 429, []string{"x-ratelimit-remaining-tokens", "-1", "x-ratelimit-limit-tokens", "-1", "x-ratelimit-reset-tokens", "0"},
			`{"error":{"code":"429","message":"Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds."}}`,
			api.Throttled, "429", hinted(throttled, 26*time.Second)},
		{"Anthropic, rate limit", 429, []string{"retry-after", "12", "anthropic-ratelimit-requests-remaining", "0"},
			`{"type":"error","error":{"type":"rate_limit_error","message":"Number of requests has exceeded your rate limit"},"request_id":"req_1"}`,
			api.Throttled, "rate_limit_error", hinted(throttled, 12*time.Second)},
		{"Anthropic, by its limits alone", 429, []string{"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "0",
			"anthropic-ratelimit-requests-reset", "2026-10-21T07:29:00Z"},
			`{"type":"error","error":{"type":"rate_limit_error","message":"…"}}`, api.Throttled, "rate_limit_error", hinted(throttled, 1200*time.Millisecond)},
		{"Anthropic, overloaded", 529, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
			api.Throttled, "overloaded_error", throttled},
		{"Gemini, a minute's quota", 429, nil, geminiLimit, api.Throttled, "RESOURCE_EXHAUSTED", hinted(throttled, geminiWait)},
		{"Gemini, a list around it", 429, nil, "[" + geminiLimit + "\n]\n", api.Throttled, "RESOURCE_EXHAUSTED", hinted(throttled, geminiWait)},
		{"Gemini, no details", 429, nil, `[{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}]`,
			api.Throttled, "RESOURCE_EXHAUSTED", throttled},
		{"Gemini, the wait in the text alone", 429, nil, `{"error":{"code":429,"message":"* Quota exceeded for metric: x, limit: 5\nPlease retry in 20.5s.","status":"RESOURCE_EXHAUSTED"}}`,
			api.Throttled, "RESOURCE_EXHAUSTED", hinted(throttled, 20500*time.Millisecond)},
		{"Groq", 429, []string{"retry-after", "7.66"}, `{"error":{"message":"Rate limit reached for model x on tokens per minute (TPM): Limit 6000, Used 5800, Requested 900. ` +
			`Please try again in 7.66s. Need more tokens?","type":"tokens","code":"rate_limit_exceeded"}}`, api.Throttled, "rate_limit_exceeded", hinted(throttled, 7660*time.Millisecond)},
		{"Mistral, no error member", 429, nil, `{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}`,
			api.Throttled, "rate_limited", throttled},
		{"Mistral, until the minute is over", 429, []string{"x-ratelimit-limit-req-minute", "60", "x-ratelimit-remaining-req-minute", "0"},
			`{"message":"Requests rate limit exceeded"}`, api.Throttled, "", hinted(throttled, time.Minute)},
		{"OpenRouter", 429, []string{"X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1792567713000"},
			`{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min."}}`, api.Throttled, "429", hinted(throttled, 33*time.Second)},
		{"OpenRouter, too much at the moment", 402, []string{"Retry-After", "3"},
			`{"error":{"code":402,"message":"…","metadata":{"limit_source":"openrouter_in_flight_budget"}}}`, api.Throttled, "402", hinted(throttled, 3*time.Second)},
		{"Scaleway, money in the text, not in the code", 429, nil,
			`{"error":{"message":"insufficient quota: try again later","type":"rate_limit","code":"too_many_requests"}}`,
			api.Throttled, "too_many_requests", throttled},
		{"a proxy, no JSON", 429, []string{"Retry-After", "0"}, "Too Many Requests\n", api.Throttled, "", hinted(throttled, 0)},
		{"a page without end", 429, nil, `{"error":{"code":"insufficient_quota","message":"` + strings.Repeat("x", 2<<20) + `"}}`, api.Throttled, "", throttled},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, api.Choices) })
	}
}

// Money, whatever the status, and whatever the hint; and keys.
func TestKeys(t *testing.T) {
	const perDay = `{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},` +
		`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"20s"}]}}`
	for _, test := range []answer{
		{"OpenAI, no quota", 429, []string{"retry-after", "1"},
			`{"error":{"message":"You exceeded your current quota, please check your plan and billing details.",` +
				`"type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
			api.OutOfMoney, "insufficient_quota", unusable},
		{"OpenAI, no quota in the type alone", 429, nil, `{"error":{"message":"…","type":"insufficient_quota","code":null}}`,
			api.OutOfMoney, "insufficient_quota", unusable},
		{"OpenAI, hard limit", 400, nil, `{"error":{"code":"billing_hard_limit_reached","message":"Billing hard limit has been reached",` +
			`"param":null,"type":"invalid_request_error"}}`, api.OutOfMoney, "billing_hard_limit_reached", unusable},
		{"OpenAI, no way to pay", 429, nil, `{"error":{"message":"Your account is not active, please check your billing details on our website.",` +
			`"type":"billing_not_active","param":null,"code":"billing_not_active"}}`, api.OutOfMoney, "billing_not_active", unusable},
		{"OpenAI, no way to pay, in the type alone", 429, nil, `{"error":{"message":"…","type":"billing_not_active","code":null}}`,
			api.OutOfMoney, "billing_not_active", unusable},
		{"OpenAI, organization", 429, nil, `{"error":{"code":"organization_usage_limit_exceeded"}}`, api.OutOfMoney, "organization_usage_limit_exceeded", unusable},
		{"credit", 429, nil, `{"error":{"code":"credit_balance_exhausted"}}`, api.OutOfMoney, "credit_balance_exhausted", unusable},
		{"spend limit of an organization", 429, nil, `{"error":{"code":"organization_spend_limit_exceeded"}}`, api.OutOfMoney, "organization_spend_limit_exceeded", unusable},
		{"spend limit of a project", 403, nil, `{"error":{"code":"project_spend_limit_exceeded","message":"…"}}`, api.OutOfMoney, "project_spend_limit_exceeded", unusable},
		{"OpenRouter, no credits", 402, nil, `{"error":{"code":402,"message":"Insufficient credits. Add more"}}`, api.OutOfMoney, "402", unusable},
		{"DeepSeek, no balance", 402, nil, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`,
			api.OutOfMoney, "invalid_request_error", unusable},
		{"402 without a body", 402, nil, "", api.OutOfMoney, "", unusable},
		{"Anthropic, limit of the organization", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your ` +
			`specified API usage limits. You will regain access on 2026-11-01 at 00:00 UTC."}}`, api.OutOfMoney, "invalid_request_error", unusable},
		{"Anthropic, limit of the workspace", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your ` +
			`specified workspace API usage limits."}}`, api.OutOfMoney, "invalid_request_error", unusable},
		{"Anthropic, no credit", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access ` +
			`the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}`, api.OutOfMoney, "invalid_request_error", unusable},
		{"Gemini, the day's quota, whatever it says of a wait", 429, nil, perDay, api.OutOfMoney, "RESOURCE_EXHAUSTED", unusable},
		{"no quota, with status 200", 200, nil, `{"error":{"code":"insufficient_quota","message":"…"}}`, api.OutOfMoney, "insufficient_quota", paid(unusable)},

		{"OpenAI, wrong key", 401, nil, `{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at …",` +
			`"type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, api.BadKey, "invalid_api_key", unusable},
		{"Azure, wrong key", 401, nil, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`, api.BadKey, "401", unusable},
		{"Anthropic, wrong key", 401, nil, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`,
			api.BadKey, "authentication_error", unusable},
		{"Mistral, wrong key", 401, nil, `{"message":"Unauthorized","request_id":"x"}`, api.BadKey, "", unusable},
		{"forbidden", 403, []string{"Retry-After", "5"}, `{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}`,
			api.BadKey, "unsupported_country_region_territory", unusable},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, api.Choices) })
	}
}

// What no further attempt can mend.
func TestFinal(t *testing.T) {
	for _, test := range []answer{
		{"OpenAI, context length", 400, nil, `{"error":{"message":"This model's maximum context length is 8192 tokens.",` +
			`"type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, api.NeverFits, "context_length_exceeded", final},
		{"OpenAI, string too long", 400, nil, `{"error":{"message":"Invalid 'messages[0].content'","type":"invalid_request_error",` +
			`"param":"messages[0].content","code":"string_above_max_length"}}`, api.NeverFits, "string_above_max_length", final},
		{"OpenAI, more tokens than a minute has", 429, []string{"retry-after", "2"}, `{"error":{"message":"Request too large for gpt-4 on tokens per min (TPM): ` +
			`Limit 30000, Requested 40,123. The input or output tokens must be reduced.","type":"tokens","code":"rate_limit_exceeded"}}`, api.NeverFits, "rate_limit_exceeded", refused},
		{"more than the limit, by the code alone", 429, nil, `{"error":{"message":"Limit 5, Requested 6.","code":"rate_limit_exceeded"}}`, api.NeverFits, "rate_limit_exceeded", refused},
		{"more than the limit, by the other type", 429, nil, `{"error":{"message":"Limit 5, Requested 6.","type":"tokens"}}`, api.NeverFits, "tokens", refused},
		{"more than the limit, by the type alone", 429, nil, `{"error":{"message":"Limit 5, Requested 6.","type":"requests"}}`, api.NeverFits, "requests", refused},
		{"Groq, over the tokens a minute", 413, []string{"retry-after", "23"},
			`{"error":{"message":"Request too large for model x: Limit 6000, Requested 7012","type":"tokens","code":"rate_limit_exceeded"}}`,
			api.NeverFits, "rate_limit_exceeded", refused},
		{"Anthropic, too large", 413, nil, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`, api.NeverFits, "request_too_large", refused},
		{"nginx, body too large", 413, nil, "<html><h1>413 Request Entity Too Large</h1></html>", api.NeverFits, "", refused},

		{"OpenAI, bad request", 400, []string{"Retry-After", "1"}, `{"error":{"message":"Invalid value","type":"invalid_request_error","param":"n","code":null}}`,
			api.BadRequest, "invalid_request_error", refused},
		{"Gemini, bad request", 400, nil, `{"error":{"code":400,"message":"Invalid JSON payload received.","status":"INVALID_ARGUMENT"}}`, api.BadRequest, "INVALID_ARGUMENT", refused},
		{"a text about limits in another error", 400, nil, `{"error":{"type":"other_error","message":"You have reached your specified API usage limits"}}`, api.BadRequest, "other_error", refused},
		{"no such model", 404, nil, `{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}`,
			api.BadRequest, "model_not_found", refused},
		{"FastAPI, a list of what is wrong", 422, nil, `{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`, api.BadRequest, "", refused},
		{"FastAPI, a text", 422, nil, `{"detail":"no"}`, api.BadRequest, "", refused},
		{"vLLM, a number for a code", 400, nil, `{"error":{"message":"max_tokens must be at least 1","type":"BadRequestError","code":400}}`,
			api.BadRequest, "BadRequestError", refused},
		{"vLLM of old, no error member", 400, nil, `{"object":"error","message":"max_tokens must be at least 1","type":"BadRequestError","param":null,"code":400}`,
			api.BadRequest, "BadRequestError", refused},
		{"a choice in a refusal is no answer", 400, nil, completion, api.BadRequest, "", refused},
		{"moved", 308, []string{"Location", "https://elsewhere.example/v1"}, "", api.BadRequest, "", refused},

		{"Azure, content filter", 400, nil, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}`,
			api.Filtered, "content_filter", final},
		{"OpenAI, an image against the rules", 400, nil, `{"error":{"code":"content_policy_violation","message":"…","type":"image_generation_user_error"}}`,
			api.Filtered, "content_policy_violation", final},
		{"OpenRouter, flagged by a moderation", 403, nil, `{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["violence"],` +
			`"flagged_input":"…","provider_name":"OpenAI"}}}`, api.Filtered, "403", final},
		{"a filter named in a 200", 200, nil, `{"error":{"code":"content_filter","message":"…"}}`, api.Filtered, "", final},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, api.Choices) })
	}
}

// What may go better the next time, though nobody sent too much.
func TestTransient(t *testing.T) {
	for _, test := range []answer{
		{"OpenAI, server error", 500, nil, `{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}`,
			api.Server, "server_error", transient},
		{"overloaded, with a hint", 503, []string{"Retry-After", "2"}, `{"error":{"message":"overloaded","type":"server_error","code":"engine_overloaded"}}`,
			api.Server, "engine_overloaded", hinted(transient, 2*time.Second)},
		{"Gemini, overloaded", 503, nil, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`, api.Server, "UNAVAILABLE", transient},
		{"no limit is looked at when a server fails", 500, []string{"x-ratelimit-remaining", "0", "x-ratelimit-limit", "9", "x-ratelimit-reset", "30"}, "", api.Server, "", transient},
		{"nor what the text says of a wait", 500, nil, `{"error":{"message":"Please try again in 20s."}}`, api.Server, "", transient},
		{"a code of too large, but the server's fault", 500, nil, `{"error":{"code":"context_length_exceeded"}}`, api.Server, "context_length_exceeded", transient},
		{"slow_down is for 503", 500, nil, `{"error":{"code":"slow_down"}}`, api.Server, "slow_down", transient},
		{"a proxy", 502, nil, "<html><h1>502 Bad Gateway</h1></html>", api.Server, "", transient},
		{"Cloudflare", 524, nil, "error code: 524", api.Server, "", transient},
		{"error is a string", 500, nil, `{"error":"model is loading"}`, api.Server, "", transient},
		{"timeout", 408, nil, `{"error":{"code":"Timeout","message":"The operation was timeout."}}`, api.Conflict, "Timeout", transient},
		{"conflict", 409, nil, "", api.Conflict, "", transient},
		{"too early", 425, []string{"Retry-After", "1"}, "", api.Conflict, "", hinted(transient, time.Second)},

		{"OpenRouter, an error in a 200", 200, nil, `{"error":{"code":502,"message":"Provider returned error"},"choices":[]}`, api.BadAnswer, "502", transient},
		{"OpenRouter, an error in a choice", 200, nil, `{"choices":[{"finish_reason":"error","error":{"code":502,"message":"…"}}]}`, api.BadAnswer, "502", transient},
		{"OpenRouter, a throttle in a 200", 200, nil, `{"error":{"code":429,"message":"Provider returned error"}}`, api.Throttled, "429", paid(throttled)},
		{"two errors, of which the first counts", 200, nil, `[{"error":{"code":"a"}},{"error":{"code":"b"}}]`, api.BadAnswer, "a", transient},
		{"finish_reason error alone", 200, nil, `{"choices":[{"finish_reason":"error"}]}`, api.BadAnswer, "", transient},
		{"an error beside choices", 200, nil, `{"error":{"message":"broke off"},"choices":[{"index":0}]}`, api.BadAnswer, "", transient},
		{"no choices", 200, nil, `{"id":"chatcmpl-1","object":"chat.completion","usage":{}}`, api.BadAnswer, "", transient},
		{"no choices, but billed", 200, nil, `{"object":"chat.completion","usage":{"prompt_tokens":1}}`, api.BadAnswer, "", transient},
		{"choices are null", 200, nil, `{"choices":null}`, api.BadAnswer, "", transient},
		{"choices are empty", 200, nil, `{"choices":[]}`, api.BadAnswer, "", transient},
		{"choices are a text", 200, nil, `{"choices":"many"}`, api.BadAnswer, "", transient},
		{"empty", 200, nil, "", api.BadAnswer, "", transient},
		{"no content", 204, nil, "", api.BadAnswer, "", transient},
		{"truncated", 200, nil, completion[:len(completion)-20], api.BadAnswer, "", transient},
		{"two documents", 200, nil, completion + completion, api.BadAnswer, "", transient},
		{"a captive portal", 200, []string{"Retry-After", "3"}, "<html>Please log in</html>", api.BadAnswer, "", hinted(transient, 3*time.Second)},
		{"JSON, no object", 200, nil, "[]", api.BadAnswer, "", transient},
		{"a list of no objects", 200, nil, "[1]", api.BadAnswer, "", transient},
		{"an answer in a list", 200, nil, "[" + completion + "]", api.BadAnswer, "", transient},
		{"a number", 200, nil, "7", api.BadAnswer, "", transient},
		{"a stream", 200, nil, "data: {\"choices\":[{\"delta\":{}}]}\n\ndata: [DONE]\n\n", api.BadAnswer, "", transient},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, api.Choices) })
	}
}

// Each shape wants its own member, and no other will do.
func TestWrongShape(t *testing.T) {
	bodies := map[api.Shape]string{
		api.Choices: completion, api.Responses: response, api.Embeddings: embeddings, api.Messages: message, api.Candidates: candidates,
	}
	for shape := range bodies {
		for other, body := range bodies {
			want := api.BadAnswer
			if shape == other {
				want = api.OK
			}
			if got := api.Read(api.Answer{Status: 200, Body: []byte(body), Shape: shape}); got.Class != want {
				t.Errorf("%v for %v: %+v", other, shape, got)
			}
		}
	}
	for shape, body := range map[api.Shape]string{
		api.Responses: `{"status":"failed","output":[],"error":{"code":"server_error","message":"…"}}`, api.Embeddings: `{"data":[ ]}`,
		api.Messages: `{"type":"error","error":{"type":"api_error","message":"…"}}`, api.Candidates: `{"candidates":[]}`,
	} {
		if got := api.Read(api.Answer{Status: 200, Body: []byte(body), Shape: shape}); got.Class != api.BadAnswer || !got.Retry {
			t.Errorf("%v, %s: %+v", shape, body, got)
		}
	}
	failed := `{"status":"failed","output":[]}`
	if got := api.Read(api.Answer{Status: 200, Body: []byte(failed), Shape: api.Responses}); got.Class != api.BadAnswer {
		t.Errorf("a response that failed and says no more: %+v", got)
	}
}

// Of a host of which nothing is known, one refusal says nothing about the other doors behind it.
func TestAnyKeys(t *testing.T) {
	for _, test := range []answer{
		{"unauthorized", 401, nil, "", api.BadRequest, "", refused},
		{"payment required", 402, nil, "", api.BadRequest, "", refused},
		{"forbidden", 403, nil, `{"error":{"code":"AccessDenied"}}`, api.BadRequest, "AccessDenied", refused},
		{"not found", 404, nil, "", api.BadRequest, "", refused},
		{"a throttle is one everywhere", 429, []string{"Retry-After", "1"}, "", api.Throttled, "", hinted(throttled, time.Second)},
		{"so is a code for money", 429, nil, `{"error":{"code":"insufficient_quota"}}`, api.OutOfMoney, "insufficient_quota", unusable},
		{"and a server error", 503, nil, "", api.Server, "", transient},
		{"problem+json", 400, nil, `{"type":"https://example.com/probs","title":"No","status":400,"detail":"…"}`, api.BadRequest, "https://example.com/probs", refused},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, api.Any) })
	}
}

func TestMessages(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"one"}}`:          "one",
		`{"error":"two"}`:                      "two",
		`{"error":"\u001b[2Jtwo\u009b\n"}`:     "\ufffd[2Jtwo\ufffd\n",
		`{"message":"three"}`:                  "three",
		`{"detail":"four"}`:                    "four",
		`{"detail":[{"msg":"five"},{}]}`:       "five",
		`{"detail":[]}`:                        "",
		`[{"error":{"message":"six"}}]`:        "six",
		`{"error":{"message":{"deep":"odd"}}}`: "",
		`{"error":7}`:                          "",
		`not JSON`:                             "",
		`[`:                                    "",
		`[]`:                                   "",
		``:                                     "",
	} {
		if got := api.Read(api.Answer{Status: 500, Body: []byte(body)}); got.Message != want || got.Class != api.Server {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

// A server can't fill logs and memory with what it says of an error.
func TestLongMessages(t *testing.T) {
	long := strings.Repeat("é", 10_000)
	for status, body := range map[int]string{
		200: `{"error":{"message":"` + long + `","code":"` + long + `"}}`,
		400: `{"error":{"message":"x` + long + `","code":"` + long + `"}}`,
	} {
		m := api.Read(api.Answer{Status: status, Body: []byte(body), Shape: api.Choices})
		if len(m.Message) < 4000 || len(m.Message) > 5000 || len(m.Code) > 5000 || !utf8.ValidString(m.Message) || !strings.HasSuffix(m.Message, "é…") {
			t.Errorf("%d: a message of %d bytes, a code of %d", status, len(m.Message), len(m.Code))
		}
	}
}

// Nor with lists of next to nothing.
func TestLongLists(t *testing.T) {
	const n = 200_000
	many := strings.Repeat("{},", n) + "{}"
	for shape, body := range map[api.Shape]string{
		api.Choices:    `{"choices":[` + many + `]}`,
		api.Responses:  `{"output":[{"content":[` + many + `]},` + many + `]}`,
		api.Messages:   `{"content":[` + many + `]}`,
		api.Embeddings: `{"data":[` + many + `]}`,
		api.Candidates: `{"candidates":[` + many + `]}`,
		api.Other:      `{"error":{"details":[{"@type":"google.rpc.QuotaFailure","violations":[` + many + `]},` + many + `]}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := api.Read(api.Answer{Status: 200, Body: []byte(body), Shape: shape})
		runtime.ReadMemStats(&after)
		if good := m.Class == api.OK; good != (shape != api.Other) {
			t.Errorf("%v: %+v", shape, m)
		}
		// What it has allocated in all, and let go again, is more than it ever held.
		if took := after.TotalAlloc - before.TotalAlloc; took > 8*uint64(len(body)) {
			t.Errorf("%v: %d bytes for an answer of %d", shape, took, len(body))
		}
	}
}

func TestRequestID(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{"X-Request-Id", "a", "Request-Id", "b"}, "a"},
		{[]string{"Request-Id", "b", "Apim-Request-Id", "c"}, "b"},
		{[]string{"apim-request-id", "c"}, "c"},
	} {
		if got := api.Read(api.Answer{Status: 200, Header: headers(test.headers...)}).RequestID; got != test.want {
			t.Errorf("%v: %q", test.headers, got)
		}
	}
}
