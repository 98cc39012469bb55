package batchfile

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const (
	// ChatURL is the one endpoint that a Batch line may name.
	ChatURL = "/v1/chat/completions"
	// DefaultPromptField is the field of an object that holds the prompt, where Options.PromptField is empty.
	DefaultPromptField = "prompt"
)

// Form is how a line of the input is written.
type Form uint8

// The forms of a line.
const (
	FormBatch  Form = iota + 1 // an OpenAI Batch request
	FormBody                   // the body of a request alone
	FormPrompt                 // an object with the prompt in a field
	FormText                   // plain text: the line is the prompt
)

// String is the form in a word.
func (f Form) String() string {
	switch f {
	case FormBatch:
		return "batch"
	case FormBody:
		return "body"
	case FormPrompt:
		return "prompt"
	case FormText:
		return "text"
	}
	return "Form(" + strconv.Itoa(int(f)) + ")"
}

// Item is one request of the input. It shares no memory with the reader.
type Item struct {
	Index  int             // among the items of the file; the first is 0
	Line   int             // in the file, blank lines counted; the first is 1
	ID     string          // custom_id, or "line-" and the line's number
	URL    string          // the path to post to; always ChatURL
	Model  string          // what the body names: the file's own, or Options.Model
	Prompt string          // the text, for FormPrompt and FormText; a body's messages are not taken apart
	Body   json.RawMessage // what to post: the file's own bytes, but for a model that was put in or a body built around a prompt
	Form   Form            // how the line is written; 0 with Options.IDsOnly
	Hash   uint64          // of what is sent and its id, for whoever remembers items; the Reader leaves it 0
}

// lineID is the id of a line that brings none.
func lineID(line int) string { return "line-" + strconv.Itoa(line) }

// parser turns a line into an Item; it knows nothing of other lines.
type parser struct {
	promptField string
	model       string // for bodies that name none; "" when none was given
	idsOnly     bool
}

// fields are the members of an object that decide what it is; nil where missing. They are slices of the line.
type fields struct {
	customID, method, url, body, messages, input, model, prompt json.RawMessage

	names []string // of all members, in order
}

// text is a line of plain text.
func (p *parser) text(line []byte, n int) (Item, *LineError) {
	item := Item{Line: n, ID: lineID(n)}
	if p.idsOnly {
		return item, nil
	}
	item.Form, item.URL, item.Prompt = FormText, ChatURL, string(line)
	return p.withPrompt(item, appendString(nil, item.Prompt))
}

// object is a line that begins with a brace, in valid UTF-8.
func (p *parser) object(line []byte, n int) (Item, *LineError) {
	if at, err := checkJSON(line); err != nil {
		return Item{}, fault(ErrSyntax, "", "", "malformed JSON at byte %d: %s; a line must be one whole object", at, err)
	}
	f, bad := p.fields(line)
	if bad != nil {
		return Item{}, bad
	}
	item := Item{Line: n, ID: lineID(n)}
	if f.customID != nil {
		if item.ID, bad = nonEmptyString("custom_id", f.customID); bad != nil {
			return Item{}, bad
		}
	}
	if p.idsOnly {
		return item, nil
	}
	item.URL, item.Form = ChatURL, p.form(f)
	switch item.Form {
	case FormBatch:
		return p.batch(item, f)
	case FormBody:
		return p.bare(item, f, line)
	case FormPrompt:
		return p.prompt(item, f)
	default: // an object is never plain text
		return Item{}, p.noPrompt(f)
	}
}

// fields looks a line's members up. A member that matters must not be there twice: which one counts is anybody's guess.
func (p *parser) fields(line []byte) (f fields, bad *LineError) {
	for name, value := range members(line) {
		f.names = append(f.names, name)
		twice := false
		set := func(to *json.RawMessage) {
			twice = twice || *to != nil
			*to = value
		}
		switch name {
		case "custom_id":
			set(&f.customID)
		case "method":
			set(&f.method)
		case "url":
			set(&f.url)
		case "body":
			set(&f.body)
		case "messages":
			set(&f.messages)
		case "input":
			set(&f.input)
		case "model":
			set(&f.model)
		}
		if name == p.promptField { // which may be one of those above
			set(&f.prompt)
		}
		if twice {
			return f, fault(ErrField, name, "", "field %s is there twice; which one counts is not defined", Quote(name))
		}
	}
	return f, nil
}

// form tells the forms of an object apart; 0 for none of them. Data sets have fields named url, body or input too, so that a prompt
// where -prompt-field says it is wins against everything but a request's unmistakable marks: a body that is an object, an
// array of messages.
func (p *parser) form(f fields) Form {
	is := func(value json.RawMessage, first byte) bool { return len(value) > 0 && value[0] == first }
	switch {
	case is(f.body, '{'):
		return FormBatch
	case is(f.messages, '['):
		return FormBody
	case is(f.prompt, '"'), f.prompt != nil && f.input == nil && f.messages == nil:
		return FormPrompt
	case f.messages != nil, f.input != nil:
		return FormBody
	case f.body != nil, f.method != nil, f.url != nil:
		return FormBatch
	}
	return 0
}

// batch is an OpenAI Batch request.
func (p *parser) batch(item Item, f fields) (Item, *LineError) {
	if bad := oneOf(ErrMethod, "method", f.method, "POST"); bad != nil {
		return Item{}, bad
	}
	if bad := oneOf(ErrURL, "url", f.url, ChatURL); bad != nil {
		return Item{}, bad
	}
	if f.body == nil {
		return Item{}, fault(ErrField, "body", "", "body is missing; it is the object to post")
	}
	if f.body[0] != '{' {
		return Item{}, fault(ErrField, "body", "", "body must be an object, not %s", kind(f.body))
	}
	var model json.RawMessage
	for name, value := range members(f.body) {
		if name != "model" {
			continue
		}
		if model != nil {
			return Item{}, fault(ErrField, "body.model", "", "field \"model\" is there twice in the body; which one counts is not defined")
		}
		model = value
	}
	return p.withModel(item, f.body, "body.model", model)
}

// bare is a line that is itself the body.
func (p *parser) bare(item Item, f fields, line []byte) (Item, *LineError) {
	if f.customID != nil {
		return Item{}, fault(ErrField, "custom_id", item.ID, "custom_id in a bare body would be sent with it; "+
			`write {"custom_id":%s,"method":"POST","url":"%s","body":{…}}`, Quote(item.ID), ChatURL)
	}
	if f.messages != nil && f.messages[0] != '[' {
		return Item{}, fault(ErrField, "messages", "", "messages must be an array, not %s", kind(f.messages))
	}
	return p.withModel(item, line, "model", f.model)
}

// prompt is an object that holds a prompt; its other fields are the user's own and stay here, but for a custom_id.
func (p *parser) prompt(item Item, f fields) (Item, *LineError) {
	if f.prompt[0] != '"' {
		return Item{}, fault(ErrField, p.promptField, "", "field %s must be a string, the prompt, not %s", Quote(p.promptField), kind(f.prompt))
	}
	item.Prompt = decodeString(f.prompt)
	if strings.TrimSpace(item.Prompt) == "" {
		return Item{}, fault(ErrEmptyPrompt, p.promptField, item.Prompt, "the prompt in field %s is empty", Quote(p.promptField))
	}
	return p.withPrompt(item, f.prompt)
}

// noPrompt is the fault of an object that is none of the forms.
func (p *parser) noPrompt(f fields) *LineError {
	const most = 12 // names that are listed
	e := fault(ErrNoPrompt, p.promptField, "", "no field %s; the object is empty", Quote(p.promptField))
	if len(f.names) == 0 {
		return e
	}
	listed := make([]string, 0, most)
	for _, name := range f.names[:min(most, len(f.names))] {
		e.Found = append(e.Found, shorten(name))
		listed = append(listed, Quote(name))
	}
	more := ""
	if len(f.names) > most {
		more = fmt.Sprintf(" and %d more", len(f.names)-most)
	}
	e.Msg = fmt.Sprintf("no field %s; found: %s%s; say with -prompt-field which one holds the prompt",
		Quote(p.promptField), strings.Join(listed, ", "), more)
	return e
}

// oneOf checks a field that has one value to choose from.
func oneOf(sentinel error, field string, raw json.RawMessage, allowed string) *LineError {
	var e *LineError
	switch {
	case raw == nil:
		e = fault(sentinel, field, "", "%s is missing; allowed: %s", field, allowed)
	case raw[0] != '"':
		e = fault(sentinel, field, "", "%s must be a string, not %s; allowed: %s", field, kind(raw), allowed)
	default:
		value := decodeString(raw)
		if value == allowed {
			return nil
		}
		e = fault(sentinel, field, value, "%s %s is not supported; allowed: %s", field, Quote(value), allowed)
	}
	e.Allowed = []string{allowed}
	return e
}

// nonEmptyString is the text of a field that must have one.
func nonEmptyString(field string, raw json.RawMessage) (string, *LineError) {
	if raw[0] != '"' {
		return "", fault(ErrField, field, "", "%s must be a string, not %s", field, kind(raw))
	}
	s := decodeString(raw)
	if s == "" {
		return "", fault(ErrField, field, "", "%s must not be empty", field)
	}
	return s, nil
}
