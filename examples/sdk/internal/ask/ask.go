// Package ask asks one question through each of the SDKs, for tests and comparisons that treat them alike.
package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"

	"github.com/toller-go/toller/examples/sdk"
)

// Func asks a question and returns the answer.
type Func func(ctx context.Context, question string) (string, error)

// SDK is one way to ask.
type SDK struct {
	Name string
	// Over asks through a client whose transport takes care of everything, and Alone through one that does not, with the
	// SDK's own retries, so many after the first attempt. URL is that of the server, without a path.
	Over  func(url, model string, client *http.Client) Func
	Alone func(url, model string, client *http.Client, retries int) Func
}

// All are the SDKs, and net/http alone.
var All = []SDK{
	{
		Name: "openai-go",
		Over: func(url, model string, client *http.Client) Func {
			return chat(sdk.NewOpenAI(url+"/v1", "key", client), model)
		},
		Alone: func(url, model string, client *http.Client, retries int) Func {
			return chat(openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("key"),
				option.WithHTTPClient(client), option.WithMaxRetries(retries)), model)
		},
	},
	{
		Name: "go-openai",
		Over: func(url, model string, client *http.Client) Func {
			return goChat(sdk.NewGoOpenAI(url+"/v1", "key", client), model)
		},
		Alone: func(url, model string, client *http.Client, _ int) Func { // it has no retries
			return goChat(sdk.NewGoOpenAI(url+"/v1", "key", client), model)
		},
	},
	{
		Name: "anthropic-sdk-go",
		Over: func(url, model string, client *http.Client) Func {
			return message(sdk.NewAnthropic(url, "key", client), model)
		},
		Alone: func(url, model string, client *http.Client, retries int) Func {
			return message(anthropic.NewClient(anthropicoption.WithBaseURL(url), anthropicoption.WithAPIKey("key"),
				anthropicoption.WithHTTPClient(client), anthropicoption.WithMaxRetries(retries)), model)
		},
	},
	{
		Name: "net/http",
		Over: func(url, model string, client *http.Client) Func { return plain(url+"/v1", model, client) },
		Alone: func(url, model string, client *http.Client, _ int) Func {
			return plain(url+"/v1", model, client)
		},
	},
}

// Azure is go-openai with Azure's paths and headers.
var Azure = SDK{
	Name: "go-openai for Azure",
	Over: func(url, model string, client *http.Client) Func {
		return goChat(sdk.NewAzure(url, "key", client), model)
	},
}

// Responses is openai-go with its newer endpoint.
var Responses = SDK{
	Name: "openai-go, responses",
	Over: func(url, model string, client *http.Client) Func {
		c := sdk.NewOpenAI(url+"/v1", "key", client)
		return func(ctx context.Context, question string) (string, error) {
			r, err := c.Responses.New(ctx, responses.ResponseNewParams{
				Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(question)},
			})
			if err != nil {
				return "", err
			}
			return r.OutputText(), nil
		}
	},
}

// Embeddings is openai-go with embeddings. The answer is how many numbers there are.
var Embeddings = SDK{
	Name: "openai-go, embeddings",
	Over: func(url, model string, client *http.Client) Func {
		c := sdk.NewOpenAI(url+"/v1", "key", client)
		return func(ctx context.Context, text string) (string, error) {
			r, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{
				Model: model, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(text)},
			})
			if err != nil {
				return "", err
			}
			return fmt.Sprint(len(r.Data[0].Embedding), " numbers"), nil
		}
	},
}

func chat(c openai.Client, model string) Func {
	return func(ctx context.Context, question string) (string, error) {
		r, err := c.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
			Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
		})
		if err != nil {
			return "", err
		}
		return r.Choices[0].Message.Content, nil
	}
}

func goChat(c *goopenai.Client, model string) Func {
	return func(ctx context.Context, question string) (string, error) {
		r, err := c.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
			Model: model, Messages: []goopenai.ChatCompletionMessage{{Role: goopenai.ChatMessageRoleUser, Content: question}},
		})
		if err != nil {
			return "", err
		}
		return r.Choices[0].Message.Content, nil
	}
}

func message(c anthropic.Client, model string) Func {
	return func(ctx context.Context, question string) (string, error) {
		r, err := c.Messages.New(ctx, anthropic.MessageNewParams{
			Model: model, MaxTokens: 200,
			Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(question))},
		})
		if err != nil {
			return "", err
		}
		var text strings.Builder
		for _, block := range r.Content {
			text.WriteString(block.Text)
		}
		return text.String(), nil
	}
}

// StatusError is what asking through net/http returns for an answer that is none.
type StatusError struct {
	Status int
	Body   string
}

// Error has both.
func (e *StatusError) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Body) }

func plain(baseURL, model string, client *http.Client) Func {
	return func(ctx context.Context, question string) (string, error) {
		body, err := json.Marshal(map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": question}}})
		if err != nil {
			return "", err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/chat/completions", bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer key")
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return "", err
		}
		if resp.StatusCode != http.StatusOK {
			return "", &StatusError{resp.StatusCode, string(data)}
		}
		var answer struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return "", err
		}
		if len(answer.Choices) == 0 {
			return "", errors.New("an answer without choices")
		}
		return answer.Choices[0].Message.Content, nil
	}
}
