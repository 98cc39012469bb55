package fakellm

import (
	"errors"
	"strings"
)

// messagesRequest is what of a request to Anthropic's API matters here.
type messagesRequest struct {
	Model     string       `json:"model"`
	MaxTokens int          `json:"max_tokens"`
	System    text         `json:"system"`
	Messages  conversation `json:"messages"`
	Stream    bool         `json:"stream"`
}

// said is the body of a 200.
type said struct {
	ID           string      `json:"id"`
	Type         string      `json:"type"`
	Role         string      `json:"role"`
	Model        string      `json:"model"`
	Content      []saidText  `json:"content"`
	StopReason   *string     `json:"stop_reason"`   // null while it is not known
	StopSequence *string     `json:"stop_sequence"` // always null here
	Usage        countsOfOne `json:"usage"`
}

type saidText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// countsOfOne is the usage of one message.
type countsOfOne struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
}

// readMessages reads a request to /v1/messages.
func readMessages(body []byte) (asked, error) {
	var r messagesRequest
	if err := decode(body, &r); err != nil {
		return asked{}, err
	}
	switch {
	case r.Model == "":
		return asked{}, errors.New("model: Field required")
	case len(r.Messages) == 0:
		return asked{}, errors.New("messages: at least one message is required")
	case r.MaxTokens < 1:
		return asked{}, errors.New("max_tokens: Input should be greater than or equal to 1")
	}
	prompt := r.Messages.prompt()
	content, u := spoken(prompt, len(r.System)+r.Messages.size(), r.MaxTokens)
	stop := "end_turn"
	made := said{
		ID: identify("msg_", r.Model, prompt), Type: "message", Role: "assistant", Model: r.Model,
		Content: []saidText{{Type: "text", Text: content}}, StopReason: &stop, Usage: countsOfOne{Input: u.Prompt, Output: u.Completion},
	}
	return asked{
		model: r.Model, prompt: prompt, usage: u, stream: r.Stream,
		body:   func(withheld bool) any { return made.withheld(withheld) },
		events: func(withheld bool) []event { return made.withheld(withheld).events() },
	}, nil
}

// withheld is the message, or what is left of it when the model refuses.
func (s said) withheld(it bool) said {
	if it {
		refusal := "refusal"
		s.Content, s.StopReason = []saidText{}, &refusal
	}
	return s
}

// saidEvent is one event of a message that is streamed. Which fields there are depends on the type.
type saidEvent struct {
	Type    string       `json:"type"`
	Message *said        `json:"message,omitempty"`
	Index   *int         `json:"index,omitempty"`
	Block   *saidText    `json:"content_block,omitempty"`
	Delta   any          `json:"delta,omitempty"`
	Usage   *countsOfOne `json:"usage,omitempty"`
}

// saidStop is the delta of the event that tells why the model stopped.
type saidStop struct {
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

// events is the message as a stream: its usage comes in two parts, that of the prompt first.
func (s said) events() []event {
	var all []event
	add := func(e saidEvent) { all = append(all, event{name: e.Type, data: e}) }
	begun := s
	begun.Content, begun.StopReason, begun.Usage.Output = []saidText{}, nil, 1
	add(saidEvent{Type: "message_start", Message: &begun})
	add(saidEvent{Type: "ping"})
	for i, part := range s.Content {
		add(saidEvent{Type: "content_block_start", Index: &i, Block: &saidText{Type: "text"}})
		for word := range strings.SplitAfterSeq(part.Text, " ") {
			add(saidEvent{Type: "content_block_delta", Index: &i, Delta: saidText{Type: "text_delta", Text: word}})
		}
		add(saidEvent{Type: "content_block_stop", Index: &i})
	}
	add(saidEvent{Type: "message_delta", Delta: saidStop{StopReason: s.StopReason}, Usage: &s.Usage})
	add(saidEvent{Type: "message_stop"})
	return all
}
