package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/openai/openai-go/v3"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/sdk/internal/ask"
	"github.com/toller-go/toller/policy"
)

// seen is what an SDK's own error says.
type seen struct {
	status int
	code   string // "" where the SDK has none
}

// own finds the SDK's own error, as its users do.
func own(err error) (seen, bool) {
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return seen{e.StatusCode, e.Code}, true
	}
	if e, ok := errors.AsType[*goopenai.APIError](err); ok {
		code, _ := e.Code.(string)
		return seen{e.HTTPStatusCode, code}, true
	}
	if e, ok := errors.AsType[*anthropic.Error](err); ok {
		return seen{e.StatusCode, string(e.Type())}, true
	}
	if e, ok := errors.AsType[*ask.StatusError](err); ok {
		var body struct{ Error struct{ Code string } }
		if json.Unmarshal([]byte(e.Body), &body) != nil {
			return seen{}, false
		}
		return seen{e.Status, body.Error.Code}, true
	}
	return seen{}, false
}

// What each kind looks like through the SDKs of OpenAI's API, and through Anthropic's.
var fatals = map[fakellm.Fault]struct{ openAI, anthropic seen }{
	fakellm.BadRequest:   {seen{400, "invalid_value"}, seen{400, "invalid_request_error"}},
	fakellm.BadKey:       {seen{401, "invalid_api_key"}, seen{401, "authentication_error"}},
	fakellm.NoMoney:      {seen{402, "payment_required"}, seen{402, "billing_error"}},
	fakellm.Forbidden:    {seen{403, "permission_denied"}, seen{403, "permission_error"}},
	fakellm.NotFound:     {seen{404, "model_not_found"}, seen{404, "not_found_error"}},
	fakellm.TooLarge:     {seen{413, "request_too_large"}, seen{413, "request_too_large"}},
	fakellm.Unacceptable: {seen{422, "unprocessable_entity"}, seen{422, "invalid_request_error"}},
	fakellm.NoQuota:      {seen{429, "insufficient_quota"}, seen{400, "invalid_request_error"}},
	fakellm.TooLong:      {seen{400, "context_length_exceeded"}, seen{400, "invalid_request_error"}},
	fakellm.Filtered:     {seen{400, "content_filter"}, seen{400, "invalid_request_error"}},
}

// insist is ten attempts for what is worth it.
var insist = dispatcher.Config{Retry: policy.Retry{MaxAttempts: 10}}

// Each fatal kind through each SDK: sent once, and what comes back is the SDK's own error, found by errors.As.
func TestFatalFaultsThroughEverySDK(t *testing.T) {
	for _, s := range ask.All {
		for _, f := range fakellm.Fatals() {
			if f == fakellm.Withheld { // which is an answer
				continue
			}
			t.Run(s.Name+"/"+string(f), func(t *testing.T) {
				want, known := fatals[f]
				require.True(t, known, "a fault that is new: say what it looks like")
				expected := want.openAI
				if s.Name == "anthropic-sdk-go" {
					expected = want.anthropic
				}
				api, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: f}}})
				client := through(t, insist, transport.Config{})
				_, err := s.Over(url, model, client)(t.Context(), "why")
				got, ok := own(err)
				assert.True(t, ok, "not the SDK's own error: %v", err)
				assert.Equal(t, expected, got)
				assert.Equal(t, fakellm.Record{Sends: 1, Faulted: 1}, api.Prompt("why"))
			})
		}
	}
}

// An answer that a filter has taken away is an answer: it is paid for, and not asked for again.
func TestWithheldAnswersAreNotAskedForAgain(t *testing.T) {
	for _, s := range append([]ask.SDK{ask.Responses}, ask.All...) {
		t.Run(s.Name, func(t *testing.T) {
			api, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: fakellm.Withheld}}})
			client := through(t, insist, transport.Config{})
			answer, err := s.Over(url, model, client)(t.Context(), "why")
			assert.NoError(t, err)
			assert.Empty(t, answer)
			assert.Equal(t, fakellm.Record{Sends: 1, Faulted: 1, Billed: 1}, api.Prompt("why"))
		})
	}
}

// A fault that stays as it is, longer than there are attempts: the caller has the last answer in the SDK's own error, and
// why it was the last.
func TestTransientFaultsThatStay(t *testing.T) {
	for _, s := range ask.All {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			api, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: fakellm.Status503}}})
			client := through(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 3, Delay: 1}}, transport.Config{})
			_, err := s.Over(url, model, client)(t.Context(), "why")
			got, ok := own(err)
			assert.True(t, ok, "not the SDK's own error: %v", err)
			assert.Equal(t, 503, got.status)
			assert.Equal(t, 3, api.Prompt("why").Sends)
		})
		t.Run(s.Name+"/reset", func(t *testing.T) {
			t.Parallel()
			api, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: fakellm.Reset}}})
			client := through(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 3, Delay: 1}}, transport.Config{})
			_, err := s.Over(url, model, client)(t.Context(), "why")
			_, ok := errors.AsType[*transport.Error](err)
			assert.True(t, ok, "not the transport's error: %v", err)
			assert.Equal(t, 3, api.Prompt("why").Sends)
		})
	}
}

// A caller who gives up is heard of at once, in the context's own words.
func TestGivingUpThroughEverySDK(t *testing.T) {
	for _, s := range ask.All {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			api, url := hostile(t, fakellm.Config{Latency: fakellm.Range{Min: time.Hour}})
			client := through(t, insist, transport.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				for api.Ledger().Admitted == 0 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			_, err := s.Over(url, model, client)(ctx, "why")
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, 1, api.Ledger().Received)
		})
	}
}

// Failure tells users of net/http, who have the answer itself, why it was the last.
func TestFailureOfAnAnswer(t *testing.T) {
	_, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: fakellm.NoQuota}}})
	client := through(t, insist, transport.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/embeddings", http.NoBody)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	assert.Equal(t, 400, resp.StatusCode) // no body is no request
	assert.Error(t, transport.Failure(resp))
}
