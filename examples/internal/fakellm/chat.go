package fakellm

import (
	"errors"
	"strings"
)

// request is what of a chat completion request matters here; other fields are accepted and ignored, as a server does
// that is older than its client.
type request struct {
	Model         string    `json:"model"`
	Messages      []message `json:"messages"`
	MaxTokens     *int      `json:"max_tokens"`
	MaxCompletion *int      `json:"max_completion_tokens"`
	Stream        bool      `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// parse reads a request's body. The error is written for the client. A deployment stands for the model.
func parse(body []byte, deployment string) (request, error) {
	var r request
	if err := decode(body, &r); err != nil {
		return r, err
	}
	if deployment != "" {
		r.Model = deployment
	}
	switch {
	case r.Model == "":
		return r, errors.New("you must provide a model parameter")
	case len(r.Messages) == 0:
		return r, errors.New("[] is too short - 'messages'")
	case r.MaxTokens != nil && *r.MaxTokens < 1, r.MaxCompletion != nil && *r.MaxCompletion < 1:
		return r, errors.New("max_tokens must be at least 1")
	}
	return r, nil
}

// prompt returns the text of the last user message, or of the last message when no user speaks.
func (r request) prompt() string { return conversation(r.Messages).prompt() }

// allowance is how many tokens the answer may have; 0 is no limit.
func (r request) allowance() int {
	switch {
	case r.MaxCompletion != nil:
		return *r.MaxCompletion
	case r.MaxTokens != nil:
		return *r.MaxTokens
	}
	return 0
}

// completion is the body of a 200.
type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   usage    `json:"usage"`
}

type choice struct {
	Index        int    `json:"index"`
	Message      reply  `json:"message"`
	FinishReason string `json:"finish_reason"`
}

type reply struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// answer makes the one answer that r has.
func answer(r request) completion {
	content, u := spoken(r.prompt(), conversation(r.Messages).size(), r.allowance())
	return completion{
		ID: identify("chatcmpl-", r.Model, r.prompt()), Object: "chat.completion", Created: created, Model: r.Model,
		Choices: []choice{{Message: reply{Role: "assistant", Content: content}, FinishReason: "stop"}},
		Usage:   u,
	}
}

// readChat reads a request for a chat completion. Azure names the model by its deployment.
func readChat(body []byte, deployment string) (asked, error) {
	r, err := parse(body, deployment)
	if err != nil {
		return asked{}, err
	}
	made := answer(r)
	return asked{
		model: r.Model, prompt: r.prompt(), usage: made.Usage, stream: r.Stream,
		body:   func(withheld bool) any { return made.withheld(withheld) },
		events: func(withheld bool) []event { return made.withheld(withheld).events(r.StreamOptions.IncludeUsage) },
	}, nil
}

// withheld is the completion, or what is left of it when a filter has taken its content.
func (c completion) withheld(it bool) completion {
	if it {
		c.Choices = []choice{{Message: reply{Role: "assistant"}, FinishReason: "content_filter"}}
	}
	return c
}

// chunk is one event of a completion that is streamed.
type chunk struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chunkDelta `json:"choices"`
	Usage   *usage       `json:"usage,omitempty"`
}

type chunkDelta struct {
	Index        int       `json:"index"`
	Delta        chunkText `json:"delta"`
	FinishReason *string   `json:"finish_reason"` // nil is null, until the last
}

type chunkText struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

// events is the completion as a stream: the role, a word each, why it ended, the usage if that was asked for, and [DONE].
func (c completion) events(tellUsage bool) []event {
	var all []event
	add := func(usage *usage, deltas ...chunkDelta) {
		if deltas == nil {
			deltas = []chunkDelta{}
		}
		all = append(all, event{data: chunk{
			ID: c.ID, Object: "chat.completion.chunk", Created: c.Created, Model: c.Model, Choices: deltas, Usage: usage,
		}})
	}
	add(nil, chunkDelta{Delta: chunkText{Role: "assistant"}})
	for word := range strings.SplitAfterSeq(c.Choices[0].Message.Content, " ") {
		add(nil, chunkDelta{Delta: chunkText{Content: word}})
	}
	add(nil, chunkDelta{FinishReason: &c.Choices[0].FinishReason})
	if tellUsage {
		add(&c.Usage)
	}
	return append(all, event{data: done})
}
