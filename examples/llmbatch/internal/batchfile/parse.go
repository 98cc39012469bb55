package batchfile

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ParseRecord reads a line of an output, without its end. Members that the format does not know are let pass, members it
// knows must be there once and have their types. The error is a *FormatError; the body is a slice of line.
func ParseRecord(line []byte) (Record, error) {
	r, bad := parseRecord(line)
	if bad != nil {
		return Record{}, bad
	}
	return r, nil
}

func parseRecord(line []byte) (r Record, bad *FormatError) {
	if !utf8.Valid(line) {
		return r, badFormat("byte %d is not valid UTF-8", badUTF8(line))
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return r, badFormat("a blank line")
	}
	if at, err := checkJSON(line); err != nil {
		return r, badFormat("malformed JSON at byte %d: %s", at, err)
	}
	top, bad := pick(bytes.TrimSpace(line), "", "id", "custom_id", "response", "error")
	if bad != nil {
		return r, bad
	}
	if r.ID, bad = textOf(top[0], "id"); bad != nil {
		return r, bad
	}
	if r.CustomID, bad = textOf(top[1], "custom_id"); bad != nil {
		return r, bad
	}
	if r.ID == "" || r.CustomID == "" {
		return r, badFormat("neither id nor custom_id may be empty")
	}
	response, failure := top[2], top[3]
	if (response[0] == 'n') == (failure[0] == 'n') {
		return r, badFormat("one of response and error must be null, and the other must not")
	}
	if response[0] == 'n' {
		r.Error, bad = parseFailure(failure)
	} else {
		r.Response, bad = parseResponse(response)
	}
	return r, bad
}

func parseResponse(raw json.RawMessage) (*Response, *FormatError) {
	values, bad := pick(raw, "response", "status_code", "request_id", "body")
	if bad != nil {
		return nil, bad
	}
	r := &Response{Body: values[2]}
	status, err := strconv.Atoi(string(values[0]))
	if err != nil || !validStatus(status) {
		got := kind(values[0])
		if got == "a number" {
			got = shorten(string(values[0]))
		}
		return nil, badFormat("response.status_code must be a whole number from 100 to 599, not %s", got)
	}
	r.StatusCode = status
	r.RequestID, bad = textOf(values[1], "response.request_id")
	return r, bad
}

func parseFailure(raw json.RawMessage) (*Failure, *FormatError) {
	values, bad := pick(raw, "error", "code", "message")
	if bad != nil {
		return nil, bad
	}
	f := new(Failure)
	if f.Code, bad = textOf(values[0], "error.code"); bad != nil {
		return nil, bad
	}
	f.Message, bad = textOf(values[1], "error.message")
	return f, bad
}

// pick returns the members called names of a valid JSON value, which is at path ("": the line itself).
func pick(raw json.RawMessage, path string, names ...string) ([]json.RawMessage, *FormatError) {
	dot := path + "."
	if path == "" {
		path, dot = "the line", ""
	}
	if raw[0] != '{' {
		return nil, badFormat("%s must be an object, not %s", path, kind(raw))
	}
	values := make([]json.RawMessage, len(names))
	for name, value := range members(raw) {
		i := slices.Index(names, name)
		if i < 0 {
			continue
		}
		if values[i] != nil {
			return nil, badFormat("%s%s is there twice", dot, name)
		}
		values[i] = value
	}
	for i, value := range values {
		if value == nil {
			return nil, badFormat("%s%s is missing", dot, names[i])
		}
	}
	return values, nil
}

// textOf is the text of a member that must be a string.
func textOf(raw json.RawMessage, path string) (string, *FormatError) {
	if raw[0] != '"' {
		return "", badFormat("%s must be a string, not %s", path, kind(raw))
	}
	return decodeString(raw), nil
}
