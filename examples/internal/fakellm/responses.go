package fakellm

import (
	"errors"
	"strings"
)

// responsesRequest is what of a request for a response matters here.
type responsesRequest struct {
	Model        string       `json:"model"`
	Instructions string       `json:"instructions"`
	Input        conversation `json:"input"`
	MaxOutput    *int         `json:"max_output_tokens"`
	Stream       bool         `json:"stream"`
}

// response is the body of a 200.
type response struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	CreatedAt  int64           `json:"created_at"`
	Status     string          `json:"status"`
	Model      string          `json:"model"`
	Output     []outputMessage `json:"output"`
	Error      *problem        `json:"error"`              // always null here
	Incomplete *incomplete     `json:"incomplete_details"` // null, or why it is not complete
	Usage      *responseUsage  `json:"usage"`
}

type incomplete struct {
	Reason string `json:"reason"`
}

type outputMessage struct {
	Type    string       `json:"type"`
	ID      string       `json:"id"`
	Status  string       `json:"status"`
	Role    string       `json:"role"`
	Content []outputText `json:"content"`
}

type outputText struct {
	Type        string   `json:"type"`
	Text        string   `json:"text"`
	Annotations []string `json:"annotations"` // empty
}

type responseUsage struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
	Total  int `json:"total_tokens"`
}

// readResponses reads a request to /v1/responses.
func readResponses(body []byte) (asked, error) {
	var r responsesRequest
	if err := decode(body, &r); err != nil {
		return asked{}, err
	}
	allowance := 0
	if r.MaxOutput != nil {
		allowance = *r.MaxOutput
	}
	switch {
	case r.Model == "":
		return asked{}, errors.New("you must provide a model parameter")
	case len(r.Input) == 0:
		return asked{}, errors.New("you must provide an input")
	case allowance < 0 || r.MaxOutput != nil && allowance == 0:
		return asked{}, errors.New("max_output_tokens must be at least 1")
	}
	prompt := r.Input.prompt()
	content, u := spoken(prompt, len(r.Instructions)+r.Input.size(), allowance)
	made := response{
		ID: identify("resp_", r.Model, prompt), Object: "response", CreatedAt: created, Status: "completed", Model: r.Model,
		Output: []outputMessage{{
			Type: "message", ID: identify("msg_", r.Model, prompt), Status: "completed", Role: "assistant",
			Content: []outputText{{Type: "output_text", Text: content, Annotations: []string{}}},
		}},
		Usage: &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Total},
	}
	return asked{
		model: r.Model, prompt: prompt, usage: u, stream: r.Stream,
		body:   func(withheld bool) any { return made.withheld(withheld) },
		events: func(withheld bool) []event { return made.withheld(withheld).events() },
	}, nil
}

// withheld is the response, or what is left of it when a filter has taken its content.
func (r response) withheld(it bool) response {
	if it {
		r.Status, r.Output, r.Incomplete = "incomplete", []outputMessage{}, &incomplete{Reason: "content_filter"}
	}
	return r
}

// responseEvent is one event of a response that is streamed.
type responseEvent struct {
	Type     string    `json:"type"`
	Sequence int       `json:"sequence_number"`
	ItemID   string    `json:"item_id,omitempty"`
	Output   int       `json:"output_index"`
	Content  int       `json:"content_index"`
	Delta    string    `json:"delta,omitempty"`
	Response *response `json:"response,omitempty"`
}

// events is the response as a stream: it begins, a word each, and all of it at the end.
func (r response) events() []event {
	var all []event
	add := func(e responseEvent) {
		e.Sequence = len(all)
		all = append(all, event{name: e.Type, data: e})
	}
	begun := r
	begun.Status, begun.Output, begun.Usage, begun.Incomplete = "in_progress", []outputMessage{}, nil, nil
	add(responseEvent{Type: "response.created", Response: &begun})
	for _, item := range r.Output {
		for word := range strings.SplitAfterSeq(item.Content[0].Text, " ") {
			add(responseEvent{Type: "response.output_text.delta", ItemID: item.ID, Delta: word})
		}
	}
	add(responseEvent{Type: "response." + r.Status, Response: &r})
	return all
}
