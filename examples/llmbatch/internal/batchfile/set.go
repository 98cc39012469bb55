package batchfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Member is a member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// ParseMember reads "name=value". The value is JSON; what is none is text, so that a string needs no quotes. The error says what is
// allowed.
func ParseMember(text string) (Member, error) {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" || !utf8.ValidString(text) {
		return Member{}, errors.New(`allowed: NAME=VALUE, such as temperature=0 or response_format={"type":"json_object"}`)
	}
	raw := json.RawMessage(value)
	if !json.Valid(raw) {
		raw = appendString(nil, value)
	}
	return Member{Name: name, Value: bytes.TrimSpace(raw)}, nil
}

// SetMember returns a body with one of its members set: its value is replaced, or the member put in front of the others. All other bytes
// stay what they were. body must be a valid JSON object, and is not changed.
func SetMember(body json.RawMessage, m Member) json.RawMessage {
	out := make([]byte, 0, len(body)+len(m.Name)+len(m.Value)+len(`"":,`))
	copied := 0
	for name, at := range spans(body) {
		if name == m.Name {
			out = append(append(out, body[copied:at.from]...), m.Value...)
			copied = at.to
		}
	}
	if copied > 0 {
		return append(out, body[copied:]...)
	}
	brace := skipSpace(body, 0) + 1
	out = append(out, body[:brace]...)
	out = appendString(out, m.Name)
	out = append(append(out, ':'), m.Value...)
	if body[skipSpace(body, brace)] != '}' {
		out = append(out, ',')
	}
	return append(out, body[brace:]...)
}

// FindMember returns the value of a member of a valid JSON object, the last if there are several; nil if there is none.
func FindMember(body json.RawMessage, name string) json.RawMessage {
	var found json.RawMessage
	for member, value := range members(body) {
		if member == name {
			found = value
		}
	}
	return found
}
