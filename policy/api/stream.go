package api

import (
	"bytes"
	"encoding/json"
)

// maxLine is how long a line of a stream may be, in bytes, to be looked into; longer ones are passed over.
const maxLine = 256 << 10

// Stream reads along with an answer that comes as a stream of events (text/event-stream, or JSON a line), to find what it was
// billed and whether it failed. Write to it what is read from the body. The zero Stream is at the beginning. It keeps no
// more than a line, of at most 256 KiB.
type Stream struct {
	Shape Shape // of the answer; see [Answer]

	line    []byte
	over    bool // the present line is too long
	events  int  // that carried data
	usage   Usage
	failure *Meaning
	early   bool // the failure was the first event
}

// Write never fails.
func (s *Stream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			s.keep(p)
			break
		}
		if len(s.line) == 0 && !s.over {
			s.read(p[:end])
		} else if s.keep(p[:end]); !s.over {
			s.read(s.line)
		}
		s.line, s.over = s.line[:0], false
		p = p[end+1:]
	}
	return n, nil
}

// keep keeps the beginning of a line.
func (s *Stream) keep(p []byte) {
	if len(s.line)+len(p) > maxLine {
		s.line, s.over = nil, true
	}
	if !s.over {
		s.line = append(s.line, p...)
	}
}

// Usage is what the answer has been billed so far, as far as the server has said it.
func (s *Stream) Usage() Usage { return s.usage }

// Failure returns what an event means that says the answer has failed. early is true if nothing had been said before. ok is
// false if there was none.
func (s *Stream) Failure() (m Meaning, early, ok bool) {
	if s.failure == nil {
		return Meaning{}, false, false
	}
	return *s.failure, s.early, true
}

// read takes one line.
func (s *Stream) read(line []byte) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok && (len(line) == 0 || line[0] != '{') { // the name of an event, a comment, or what is between two
		return
	}
	s.events++
	if !bytes.Contains(data, []byte(`"usage`)) && !bytes.Contains(data, []byte(`"error`)) && !bytes.Contains(data, []byte(`.failed"`)) {
		return // which spares most of them the parsing
	}
	var e event
	if !readsObject(bytes.TrimSpace(data), &e) {
		return
	}
	s.usage = s.usage.Max(e.Usage.Usage).Max(e.UsageMetadata.Usage).Max(e.Response.Usage.Usage).Max(e.Message.Usage.Usage)
	s.fail(e.fault())
}

// event is what we look at in an event of a stream, in all dialects.
type event struct {
	errorBody

	Choices       choices    `json:"choices"`
	Usage         usageBody  `json:"usage"`
	UsageMetadata usageBody  `json:"usageMetadata"`
	Message       inMessage  `json:"message"`
	Response      inResponse `json:"response"`
}

// inMessage is what is looked at within the first event of a message.
type inMessage struct {
	Usage usageBody `json:"usage"`
	text  text
}

// UnmarshalJSON never fails: of an error, it is a mere text.
func (m *inMessage) UnmarshalJSON(data []byte) error {
	var o struct {
		Usage usageBody `json:"usage"`
	}
	if readsObject(data, &o) {
		m.Usage = o.Usage
		return nil
	}
	return m.text.UnmarshalJSON(data)
}

// inResponse is what is looked at within an event of a response.
type inResponse struct {
	Usage usageBody       `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// UnmarshalJSON never fails.
func (r *inResponse) UnmarshalJSON(data []byte) error {
	var o struct {
		Usage usageBody       `json:"usage"`
		Error json.RawMessage `json:"error"`
	}
	if readsObject(data, &o) {
		*r = inResponse(o)
	}
	return nil
}

// fault is what an event says has failed; ok is false if it says nothing of the kind.
func (e *event) fault() (f fault, ok bool) {
	switch {
	case present(e.Error):
		f.read(e.Error)
	case present(e.Response.Error):
		f.read(e.Response.Error)
	case present(e.Choices.fault):
		f.read(e.Choices.fault)
	case e.Type == "error": // of OpenAI's responses
		f.take(&e.errorObject)
		f.kind, f.message = "", string(e.Message.text)
	default:
		return fault{}, false
	}
	return f, true
}

// fail notes the first failure.
func (s *Stream) fail(f fault, ok bool) {
	if !ok || s.failure != nil {
		return
	}
	m := Meaning{Class: classifyInside(f), Status: 200, Code: f.name(), Message: f.message}
	m.Retry = m.Class == Throttled || m.Class.transient()
	m.Hint = hint(Answer{}, m.Class, f)
	s.failure, s.early = &m, s.events == 1
}
