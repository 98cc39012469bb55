package batchfile

import (
	"bytes"
	"encoding/json"
	"strings"
)

// withModel gives the item a body of the file, copied byte for byte where the body names its model. Where it doesn't, the default is put
// in as the first member, and everything behind the brace is copied: numbers, escapes and spaces stay what they were.
func (p *parser) withModel(item Item, body json.RawMessage, field string, model json.RawMessage) (Item, *LineError) {
	body = bytes.TrimSpace(body) // of a bare body, which is a whole line; what is around the object is not the object
	if model != nil {
		var bad *LineError
		if item.Model, bad = nonEmptyString(field, model); bad != nil {
			return Item{}, bad
		}
		item.Body = bytes.Clone(body)
		return item, nil
	}
	if p.model == "" {
		return Item{}, fault(ErrNoModel, field, "", "the body names no model; add one, or give a default with -model")
	}
	item.Model = p.model
	item.Body = make([]byte, 0, len(body)+len(`"model":"",`)+len(p.model))
	item.Body = append(item.Body, `{"model":`...)
	item.Body = appendString(item.Body, p.model)
	if body[skipSpace(body, 1)] != '}' {
		item.Body = append(item.Body, ',')
	}
	item.Body = append(item.Body, body[1:]...)
	return item, nil
}

// withPrompt gives the item a body built around a prompt, which comes as a JSON string: the file's own, where it has one.
func (p *parser) withPrompt(item Item, prompt json.RawMessage) (Item, *LineError) {
	if p.model == "" {
		return Item{}, fault(ErrNoModel, "model", "", "a prompt names no model; give one with -model")
	}
	const before, between, after = `{"model":`, `,"messages":[{"role":"user","content":`, `}]}`
	item.Model = p.model
	item.Body = make([]byte, 0, len(before)+len(p.model)+len(`""`)+len(between)+len(prompt)+len(after))
	item.Body = append(item.Body, before...)
	item.Body = appendString(item.Body, p.model)
	item.Body = append(item.Body, between...)
	item.Body = append(item.Body, prompt...)
	item.Body = append(item.Body, after...)
	return item, nil
}

// refuseStream is the fault of a body that asks for its answer bit by bit: nobody here would put that together, and what was billed
// would count as no answer. A nil body is that of Options.IDsOnly.
func refuseStream(body json.RawMessage) *LineError {
	if body == nil {
		return nil
	}
	for name, value := range members(body) {
		if name != "stream" || string(value) == "false" || string(value) == "null" {
			continue
		}
		e := fault(ErrField, "body.stream", "", "body.stream is %s; allowed: false, or leave it out: answers are read whole", shorten(string(value)))
		e.Allowed = []string{"false"}
		return e
	}
	return nil
}

// appendString appends s as a JSON string. json.Marshal would write <, > and & as escapes, which triples the size of
// HTML and makes it unreadable. Bytes that are no UTF-8 become U+FFFD, itself and not its escape, so that a line read and
// written again is the same.
func appendString(dst []byte, s string) []byte {
	special := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r > '~' })
	if special < 0 {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(strings.ToValidUTF8(s, "\ufffd")) // a string into memory: it can't fail
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
