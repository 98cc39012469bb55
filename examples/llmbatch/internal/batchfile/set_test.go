package batchfile

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestSetMember(t *testing.T) {
	tests := []struct{ body, text, want string }{
		{`{}`, "a=1", `{"a":1}`},
		{`{ }`, "a=1", `{"a":1 }`},
		{`{"b": 2}`, "a=1", `{"a":1,"b": 2}`},
		{`{"b": 2 , "a" :  [ 1, {"a":0} ] ,"c":"\u00e4"}`, "a=1", `{"b": 2 , "a" :  1 ,"c":"\u00e4"}`},
		{`{"a":1,"a":2}`, "a=3", `{"a":3,"a":3}`},
		{`{"x":1e2}`, `q="s"`, `{"q":"s","x":1e2}`},
		{`{"x":1}`, "x=a <b> & \"c\"=d", `{"x":"a <b> & \"c\"=d"}`},
		{`{"x":1}`, "x=", `{"x":""}`},
		{`{"x":1}`, "x= null ", `{"x":null}`},
		{`{"x":1}`, `a"b={"c":[1,2]}`, `{"a\"b":{"c":[1,2]},"x":1}`},
	}
	for _, test := range tests {
		m, err := ParseMember(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		body := json.RawMessage(test.body)
		if got := SetMember(body, m); string(got) != test.want || !json.Valid(got) {
			t.Errorf("%s in %s: got %s, want %s", test.text, test.body, got, test.want)
		}
		if string(body) != test.body {
			t.Errorf("%s became %s", test.body, body)
		}
	}
	for _, text := range []string{"", "a", "=1", "a=\xff"} {
		if m, err := ParseMember(text); err == nil || !strings.Contains(err.Error(), "NAME=VALUE") {
			t.Errorf("%q: %+v, %v", text, m, err)
		}
	}
}

// What is set is in every form's body, and a model among it is the item's.
func TestReadSet(t *testing.T) {
	opt := Options{Model: "m", Set: []Member{{"model", json.RawMessage(`"n"`)}, {"top_p", json.RawMessage(`1`)}}}
	for _, line := range []string{"hello", `{"prompt":"hello"}`, `{"messages":[]}`, `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[]}}`} {
		item, err := NewReader(strings.NewReader(line), "x", opt).Next()
		if err != nil || item.Model != "n" || !strings.Contains(string(item.Body), `"top_p":1`) || !strings.Contains(string(item.Body), `"model":"n"`) {
			t.Errorf("%s: %+v %s %v", line, item, item.Body, err)
		}
	}
}

// A body that asks for a stream is none that can be sent; -set can take that back.
func TestReadSetStream(t *testing.T) {
	line := `{"model":"m","messages":[],"stream":true}`
	for value, want := range map[string]error{"false": nil, "null": nil, "true": ErrField} {
		opt := Options{Set: []Member{{"stream", json.RawMessage(value)}}}
		if item, err := NewReader(strings.NewReader(line), "x", opt).Next(); !errors.Is(err, want) || err == nil && len(item.Body) == 0 {
			t.Errorf("%s: %s, %v; want %v", value, item.Body, err, want)
		}
	}
}
