package api

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Why a model stopped, in the words of all dialects.
var (
	truncatedWords = []string{
		"length", "model_length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "MAX_TOKENS",
	}
	filteredWords = []string{
		"content_filter", "refusal", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
	}
)

// readGood fills in what a 2xx means, and returns its error if it has one inside.
func (m *Meaning) readGood(a Answer) fault {
	m.Class, m.Billed = OK, BilledYes
	if a.Cut {
		return fault{} // nothing can be said of it
	}
	bodies, ok := readBodies(a.Body)
	if !ok {
		if a.Shape == Other {
			return fault{}
		}
		m.Class, m.Billed = BadAnswer, BilledMaybe
		return fault{message: "the body is not the whole JSON of an answer"}
	}
	var f fault
	failed := false
	for i := range bodies {
		b := &bodies[i]
		m.Usage = m.Usage.Max(b.usage())
		if member := b.fault(); member != nil && !failed {
			failed = true
			f.read(member)
		}
	}
	last := &bodies[len(bodies)-1]
	m.Finish, m.Truncated = last.finish(a.Shape), slices.Contains(truncatedWords, last.finish(a.Shape))
	switch {
	case failed:
		m.Class = classifyInside(f)
	case last.filtered(a.Shape):
		m.Class = Filtered
	case !last.is(a.Shape) || m.Finish == "error" || m.Finish == "failed":
		m.Class = BadAnswer
		f.message = "the body is not an answer of the expected kind"
	}
	if m.Class != OK && !m.Usage.Known() {
		m.Billed = BilledMaybe
	}
	return f
}

// readBodies reads one answer, or the list of them that Gemini sends in place of a stream. ok is false if it is no JSON, or
// holds nothing.
func readBodies(body []byte) (_ []goodBody, ok bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, false
	}
	if body[0] == '[' {
		var list []json.RawMessage
		if !readsList(body, &list) || len(list) == 0 {
			return nil, false
		}
		bodies := make([]goodBody, len(list))
		for i, member := range list {
			if !readsObject(member, &bodies[i]) {
				return nil, false
			}
		}
		return bodies, true
	}
	one := make([]goodBody, 1)
	ok = readsObject(body, &one[0])
	return one, ok
}

// goodBody is what we look at in an answer. Each member is read by itself: an odd one must not cost us the others, and an
// answer that has been paid for is not thrown away because of its usage.
type goodBody struct {
	Error json.RawMessage `json:"error"`

	Choices choices `json:"choices"`

	Output     outputs `json:"output"`
	Status     text    `json:"status"`
	Incomplete struct {
		Reason text `json:"reason"`
	} `json:"incomplete_details"`

	Data       items `json:"data"`
	Content    items `json:"content"`
	StopReason text  `json:"stop_reason"`

	Candidates candidates `json:"candidates"`
	Feedback   struct {
		BlockReason text `json:"blockReason"`
	} `json:"promptFeedback"`

	Usage         usageBody `json:"usage"`
	UsageMetadata usageBody `json:"usageMetadata"`
}

// fault returns the member that says what went wrong, or nil.
func (b *goodBody) fault() json.RawMessage {
	switch {
	case present(b.Error):
		return b.Error
	case present(b.Choices.fault):
		return b.Choices.fault
	default:
		return nil
	}
}

// is reports whether the body has what an answer of the given shape must have.
func (b *goodBody) is(shape Shape) bool {
	switch shape {
	case Choices:
		return b.Choices.n > 0
	case Responses:
		return b.Output.list
	case Embeddings:
		return b.Data.some
	case Messages:
		return b.Content.list
	case Candidates:
		return b.Candidates.n > 0
	default:
		return true
	}
}

// finish is why the model stopped, in the server's word.
func (b *goodBody) finish(shape Shape) string {
	switch shape {
	case Choices:
		return b.Choices.finish
	case Responses:
		if b.Incomplete.Reason != "" {
			return string(b.Incomplete.Reason)
		}
		return string(b.Status)
	case Messages:
		return string(b.StopReason)
	case Candidates:
		if b.Feedback.BlockReason != "" {
			return string(b.Feedback.BlockReason)
		}
		return b.Candidates.finish
	default:
		return ""
	}
}

// filtered reports whether the answer, or all there is of it, was withheld for its content.
func (b *goodBody) filtered(shape Shape) bool {
	switch shape {
	case Choices:
		return b.Choices.n > 0 && b.Choices.withheld == b.Choices.n
	case Responses:
		return b.Output.refused || slices.Contains(filteredWords, b.finish(shape))
	case Candidates:
		return b.Feedback.BlockReason != "" || b.Candidates.n > 0 && b.Candidates.withheld == b.Candidates.n
	default:
		return slices.Contains(filteredWords, b.finish(shape))
	}
}

// choices is what matters of the choices of a completion.
type choices struct {
	n        int
	withheld int             // of n
	finish   string          // of the first; or the one that says that the model failed, or was cut short
	fault    json.RawMessage // of the first that has one
}

// UnmarshalJSON never fails: what is no list of choices is none.
func (c *choices) UnmarshalJSON(data []byte) error {
	var list []struct {
		Finish  text            `json:"finish_reason"`
		Error   json.RawMessage `json:"error"`
		Message struct {
			Refusal text `json:"refusal"`
		} `json:"message"`
	}
	if !readsList(data, &list) {
		return nil
	}
	c.n = len(list)
	for _, choice := range list {
		finish := string(choice.Finish)
		if c.finish == "" || finish == "error" || c.finish != "error" && slices.Contains(truncatedWords, finish) {
			c.finish = finish
		}
		if slices.Contains(filteredWords, finish) || choice.Message.Refusal != "" {
			c.withheld++
		}
		if c.fault == nil && present(choice.Error) {
			c.fault = choice.Error
		}
	}
	return nil
}

// outputs is what matters of the output of a response.
type outputs struct {
	list    bool
	refused bool // there is a refusal, and no text
}

// UnmarshalJSON never fails.
func (o *outputs) UnmarshalJSON(data []byte) error {
	var list []struct {
		Content []struct {
			Type text `json:"type"`
		} `json:"content"`
	}
	if !readsList(data, &list) {
		return nil
	}
	o.list = true
	written := false
	for _, item := range list {
		for _, part := range item.Content {
			o.refused = o.refused || part.Type == "refusal"
			written = written || part.Type == "output_text"
		}
	}
	o.refused = o.refused && !written
	return nil
}

// candidates is what matters of Gemini's candidates.
type candidates struct {
	n        int
	withheld int
	finish   string
}

// UnmarshalJSON never fails.
func (c *candidates) UnmarshalJSON(data []byte) error {
	var list []struct {
		Finish text `json:"finishReason"`
	}
	if !readsList(data, &list) {
		return nil
	}
	c.n = len(list)
	for _, candidate := range list {
		if c.finish == "" {
			c.finish = string(candidate.Finish)
		}
		if slices.Contains(filteredWords, string(candidate.Finish)) {
			c.withheld++
		}
	}
	return nil
}

// items is a list of which only that it is one matters: it may be of millions of numbers.
type items struct {
	list bool
	some bool // it is not empty
}

// UnmarshalJSON never fails.
func (l *items) UnmarshalJSON(data []byte) error {
	l.list = isList(data)
	l.some = l.list && len(bytes.TrimSpace(data[1:len(data)-1])) > 0
	return nil
}

// isList reports whether valid JSON is a list.
func isList(data []byte) bool { return len(data) >= 2 && data[0] == '[' }
