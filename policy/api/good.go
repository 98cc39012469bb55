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
	read, ok := readBodies(a.Body)
	if !ok {
		if a.Shape == Other {
			return fault{}
		}
		m.Class, m.Billed = BadAnswer, BilledMaybe
		return fault{message: "the body is not the whole JSON of an answer"}
	}
	m.Usage, m.Finish = read.usage, read.last.finish(a.Shape)
	m.Truncated = slices.Contains(truncatedWords, m.Finish)
	switch {
	case read.failed:
		m.Class = classifyInside(read.fault)
	case read.last.filtered(a.Shape):
		m.Class = Filtered
	case !read.last.is(a.Shape) || read.list && !a.Shape.listed() || m.Finish == "error" || m.Finish == "failed":
		m.Class = BadAnswer
		read.fault.message = "the body is not an answer of the expected kind"
	}
	if m.Class != OK && !m.Usage.Known() {
		m.Billed = BilledMaybe
	}
	return read.fault
}

// bodies is what is read of an answer: of one body, or of the list of them that Gemini sends in place of a stream. They are read one
// after the other, as are other lists of which a server may send millions: together they could fill our memory.
type bodies struct {
	list   bool
	last   goodBody
	usage  Usage
	failed bool
	fault  fault // the first
}

// readBodies reads an answer. ok is false if it is no JSON, or holds nothing.
func readBodies(body []byte) (read bodies, ok bool) {
	body = bytes.TrimSpace(body)
	if read.list = isList(body); !read.list {
		ok = readsObject(body, &read.last)
		read.add(&read.last)
		return read, ok
	}
	n, objects := 0, true
	list := eachOf(body, func(member *json.RawMessage) {
		read.last = goodBody{}
		objects = readsObject(*member, &read.last) && objects
		read.add(&read.last)
		n++
	})
	return read, list && objects && n > 0
}

func (r *bodies) add(b *goodBody) {
	r.usage = r.usage.Max(b.usage())
	if member := b.fault(); member != nil && !r.failed {
		r.failed = true
		r.fault.read(member)
	}
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
	type one struct {
		Finish  text            `json:"finish_reason"`
		Error   json.RawMessage `json:"error"`
		Message struct {
			Refusal text `json:"refusal"`
		} `json:"message"`
	}
	eachOf(data, func(choice *one) {
		c.n++
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
	})
	return nil
}

// outputs is what matters of the output of a response.
type outputs struct {
	list    bool
	refused bool // there is a refusal, and no text
}

// UnmarshalJSON never fails.
func (o *outputs) UnmarshalJSON(data []byte) error {
	type item struct {
		Content json.RawMessage `json:"content"`
	}
	type part struct {
		Type text `json:"type"`
	}
	written := false
	o.list = eachOf(data, func(i *item) {
		eachOf(i.Content, func(p *part) {
			o.refused = o.refused || p.Type == "refusal"
			written = written || p.Type == "output_text"
		})
	})
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
	type one struct {
		Finish text `json:"finishReason"`
	}
	eachOf(data, func(candidate *one) {
		c.n++
		if c.finish == "" {
			c.finish = string(candidate.Finish)
		}
		if slices.Contains(filteredWords, string(candidate.Finish)) {
			c.withheld++
		}
	})
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
