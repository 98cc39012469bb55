package batchfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
)

// members yields the names and the raw values of a JSON object in their order, the values as slices of obj. encoding/json would match
// names whatever their case, and keep the last of two members with one name in silence; here both are seen. obj must be
// a valid JSON object: the scan relies on it and checks nothing.
func members(obj []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for name, at := range spans(obj) {
			if !yield(name, json.RawMessage(obj[at.from:at.to:at.to])) {
				return
			}
		}
	}
}

// span is a part of a text: from the first index up to the second.
type span struct{ from, to int }

// spans yields where the values of the members are; see members.
func spans(obj []byte) iter.Seq2[string, span] {
	return func(yield func(string, span) bool) {
		i := skipSpace(obj, 0) + 1 // after the brace
		for {
			i = skipSpace(obj, i)
			if obj[i] == '}' {
				return
			}
			if obj[i] == ',' {
				i = skipSpace(obj, i+1)
			}
			nameEnd := skipString(obj, i)
			name := decodeString(obj[i:nameEnd])
			i = skipSpace(obj, skipSpace(obj, nameEnd)+1) // over the colon
			end := skipValue(obj, i)
			if !yield(name, span{i, end}) {
				return
			}
			i = end
		}
	}
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// skipString is the index after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue is the index after the value that begins at i. The value is a member's, so that a comma or a brace follows it.
func skipValue(b []byte, i int) int {
	if b[i] == '"' {
		return skipString(b, i)
	}
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the brace of the object around a number or a literal
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
}

// decodeString is the text of a valid JSON string in valid UTF-8.
func decodeString(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]) // nothing to decode, as nearly always
	}
	var s string
	_ = json.Unmarshal(raw, &s) // valid JSON, so it can't fail
	return s
}

// kind names the type of a valid JSON value, for errors.
func kind(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// checkJSON reports why line is no valid JSON, nil if it is, with the byte (the first is 1) at which that shows.
func checkJSON(line []byte) (at int64, err error) {
	if json.Valid(line) {
		return 0, nil
	}
	var raw json.RawMessage
	err = json.Unmarshal(line, &raw) // again, for the reason
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return syntax.Offset, err
	}
	return int64(len(line)), err
}
