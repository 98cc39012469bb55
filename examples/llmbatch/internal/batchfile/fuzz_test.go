package batchfile

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzLine: no line makes the reader panic, and what it accepts is a body that can be posted: valid JSON in UTF-8, an object, with the model
// that the item names, and verbatim where nothing had to be put in.
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		batchLine("a", `{"model":"m","messages":[{"content":"\ud800 \u00e9"}], "n":1e400}`),
		batchLine("a", `{ }`), `{"messages":[],"metadata":{}}`, `{"prompt":"\\\""}`, `{"input":[]}`, "Why?", "\ufeff{}", "[{", "{", "\xff", `{"a":{"b":[1,"]}"]}}`,
	} {
		f.Add([]byte(line), "prompt", "g")
		f.Add([]byte(line), "a", "")
	}
	f.Fuzz(func(t *testing.T, line []byte, field, model string) {
		r := NewReader(bytes.NewReader(line), "fuzz", Options{PromptField: field, Model: model})
		item, err := r.Next()
		if err != nil {
			return
		}
		var body map[string]any
		if !utf8.ValidString(model) {
			return // flags are not lines
		}
		dec := json.NewDecoder(bytes.NewReader(item.Body))
		dec.UseNumber()
		if err := dec.Decode(&body); err != nil || !json.Valid(item.Body) || !utf8.Valid(item.Body) || item.Body[0] != '{' {
			t.Fatalf("%q: accepted body %q: %v", line, item.Body, err)
		}
		if body["model"] != item.Model || item.Model == "" || item.ID == "" {
			t.Fatalf("%q: item %+v", line, item)
		}
		own := item.Form == FormBatch || item.Form == FormBody
		if own && model == "" && !bytes.Contains(line, item.Body) {
			t.Fatalf("%q: body %q is not verbatim", line, item.Body)
		}
		if !own && item.Prompt == "" {
			t.Fatalf("%q: no prompt", line)
		}
	})
}

// FuzzMembers holds the scanner to encoding/json's own decoder.
func FuzzMembers(f *testing.F) {
	for _, obj := range []string{`{}`, ` { "a" : [1, {"b":"]}"}] , "\u0061":-1.5e3,"c":"\\\"","d":null } `, `{"a":1}`, `{"a":true ,"":{}}`} {
		f.Add([]byte(obj))
	}
	f.Fuzz(func(t *testing.T, obj []byte) {
		if !json.Valid(obj) || !utf8.Valid(obj) || bytes.TrimLeft(obj, " \t\r\n")[0] != '{' {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(obj))
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		for name, value := range members(obj) {
			key, err := dec.Token()
			var want json.RawMessage
			if err != nil || key != name || dec.Decode(&want) != nil || !bytes.Equal(value, want) {
				t.Fatalf("%q: got %q: %q, want %q: %q (%v)", obj, name, value, key, want, err)
			}
		}
		if dec.More() {
			t.Fatalf("%q: members stopped early", obj)
		}
	})
}

// FuzzRecord: a body of any bytes makes one line that reads back as the same record.
func FuzzRecord(f *testing.F) {
	for _, body := range []string{`{"a": 1}`, "{\n\"a\":\r\n\"\u2028\"}", "<html>", "", "\xff", "\"\xff\"", "null", "1 "} {
		f.Add("a", 200, "req", []byte(body))
		f.Add("é", 599, "\xff", []byte(body))
	}
	f.Fuzz(func(t *testing.T, id string, status int, request string, body []byte) {
		line, err := AppendRecord(nil, Record{CustomID: id, Response: &Response{StatusCode: status, RequestID: request, Body: body}})
		if err != nil {
			return
		}
		if bytes.IndexByte(line, '\n') != len(line)-1 || bytes.IndexByte(line, '\r') >= 0 {
			t.Fatalf("not one line: %q", line)
		}
		r, err := ParseRecord(line[:len(line)-1])
		if err != nil || r.CustomID != id || r.ID != RecordID(id) || r.Response.StatusCode != status {
			t.Fatalf("%q reads back as %+v, %v", line, r, err)
		}
		again, err := AppendRecord(nil, r)
		if err != nil || !bytes.Equal(again, line) {
			t.Fatalf("%q is written again as %q, %v", line, again, err)
		}
	})
}
