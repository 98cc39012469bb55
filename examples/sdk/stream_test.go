package sdk_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/sdk"
	"github.com/toller-go/toller/policy"
)

// streamed asks and reads the answer to its end: what there was of it, how many tokens it says that was, and how it ended.
type streamed func(ctx context.Context, question string) (text string, tokens int64, err error)

// streams are the SDKs with streams.
var streams = map[string]func(url string, client *http.Client) streamed{
	"openai-go": func(url string, client *http.Client) streamed {
		c := sdk.NewOpenAI(url+"/v1", "key", client)
		return func(ctx context.Context, question string) (string, int64, error) {
			stream := c.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
				Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
				StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
			})
			defer stream.Close()
			all := openai.ChatCompletionAccumulator{}
			text := ""
			for stream.Next() {
				all.AddChunk(stream.Current())
				for _, choice := range stream.Current().Choices {
					text += choice.Delta.Content
				}
			}
			return text, all.Usage.CompletionTokens, stream.Err()
		}
	},
	"openai-go, responses": func(url string, client *http.Client) streamed {
		c := sdk.NewOpenAI(url+"/v1", "key", client)
		return func(ctx context.Context, question string) (text string, tokens int64, err error) {
			stream := c.Responses.NewStreaming(ctx, responses.ResponseNewParams{
				Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(question)},
			})
			defer stream.Close()
			for stream.Next() {
				switch event := stream.Current(); event.Type {
				case "response.output_text.delta":
					text += event.Delta
				case "response.completed":
					tokens = event.Response.Usage.OutputTokens
				}
			}
			return text, tokens, stream.Err()
		}
	},
	"go-openai": func(url string, client *http.Client) streamed {
		c := sdk.NewGoOpenAI(url+"/v1", "key", client)
		return func(ctx context.Context, question string) (text string, tokens int64, err error) {
			stream, err := c.CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{
				Model: model, Messages: []goopenai.ChatCompletionMessage{{Role: goopenai.ChatMessageRoleUser, Content: question}},
				StreamOptions: &goopenai.StreamOptions{IncludeUsage: true},
			})
			if err != nil {
				return "", 0, err
			}
			defer stream.Close()
			for {
				chunk, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return text, tokens, nil
				}
				if err != nil {
					return text, tokens, err
				}
				for _, choice := range chunk.Choices {
					text += choice.Delta.Content
				}
				if chunk.Usage != nil {
					tokens = int64(chunk.Usage.CompletionTokens)
				}
			}
		}
	},
	"anthropic-sdk-go": func(url string, client *http.Client) streamed {
		c := sdk.NewAnthropic(url, "key", client)
		return func(ctx context.Context, question string) (string, int64, error) {
			stream := c.Messages.NewStreaming(ctx, anthropic.MessageNewParams{
				Model: model, MaxTokens: 200, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(question))},
			})
			defer stream.Close()
			all, text := anthropic.Message{}, strings.Builder{}
			for stream.Next() {
				if err := all.Accumulate(stream.Current()); err != nil {
					return "", 0, err
				}
				text.WriteString(stream.Current().Delta.Text)
			}
			return text.String(), all.Usage.OutputTokens, stream.Err()
		}
	},
}

// Whatever fails before a stream begins is tried again: here every transient fault that comes before the first byte, one after
// the other. Then it comes through as it is sent, bit by bit.
func TestStreamsThroughEverySDK(t *testing.T) {
	var rules []fakellm.Rule
	faults := []fakellm.Fault{
		fakellm.Status500, fakellm.Status502, fakellm.Status529, fakellm.ThrottleMillis, fakellm.Reset, fakellm.EOF, fakellm.Empty, fakellm.ErrorIn200,
	}
	for _, f := range faults {
		rules = append(rules, fakellm.Rule{Fault: f, Times: 1})
	}
	for name, over := range streams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, url := hostile(t, fakellm.Config{Rules: rules, RetryAfter: 20 * time.Millisecond, WordDelay: time.Millisecond})
			client := through(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 10, Delay: 1}}, transport.Config{})
			text, tokens, err := over(url, client)(t.Context(), "why")
			assert.NoError(t, err)
			assert.Contains(t, text, fakellm.Digest("why"))
			assert.Equal(t, int64(len(text)+3)/4, tokens)
			assert.Equal(t, fakellm.Record{Sends: 1 + len(faults), Faulted: len(faults), Completed: 1, Billed: 2}, api.Prompt("why"))
		})
	}
}

// What breaks when there is a beginning is the caller's to see: he has seen that, and it is not sent again.
func TestStreamsThatBreakAreNotRepeated(t *testing.T) {
	for name, over := range streams {
		for _, f := range []fakellm.Fault{fakellm.EOFMid, fakellm.Stall} {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				t.Parallel()
				api, url := hostile(t, fakellm.Config{Rules: []fakellm.Rule{{Fault: f}}, Stall: time.Hour})
				client := through(t, insist, transport.Config{IdleTimeout: 300 * time.Millisecond})
				text, _, err := over(url, client)(t.Context(), "why")
				assert.Error(t, err)
				assert.NotEmpty(t, text)
				assert.Equal(t, 1, api.Prompt("why").Sends)
			})
		}
	}
}

// A stream takes a worker until it is read, and its caller can leave it: then the worker is free again.
func TestStreamsThatAreLeft(t *testing.T) {
	_, url := hostile(t, fakellm.Config{WordDelay: 50 * time.Millisecond})
	client := through(t, dispatcher.Config{Workers: 1}, transport.Config{})
	c := sdk.NewOpenAI(url+"/v1", "key", client)
	for range 3 {
		stream := c.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
			Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("why")},
		})
		assert.True(t, stream.Next())
		assert.NoError(t, stream.Close())
	}
}
