package batchfile

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// batchLine is an OpenAI Batch line around a body.
func batchLine(id, body string) string {
	return `{"custom_id": "` + id + `", "method": "POST", "url": "/v1/chat/completions", "body": ` + body + `}`
}

func TestForms(t *testing.T) {
	const odd = "{ \"z\" :1e400,\t\"model\": \"m\\u0031\" , \"messages\":[ {\"content\":\"\\u00e9\\/ \\ud83d\\ude00 é <b>\"} ],\"n\":12345678901234567890.10  }"
	for _, test := range []struct {
		name string
		line string
		opt  Options
		want Item
	}{
		{"batch, body verbatim", batchLine("a", odd), Options{Model: "default"},
			Item{ID: "a", Model: "m1", Body: json.RawMessage(odd), Form: FormBatch}},
		{"batch, members in any order, unknown ones ignored",
			`{"x":{"custom_id":"no"},"body":{"model":"m"},"url":"\/v1\/chat\/completions","method":"POST","custom_id":"\u0061\n"}`, Options{},
			Item{ID: "a\n", Model: "m", Body: json.RawMessage(`{"model":"m"}`), Form: FormBatch}},
		{"batch without custom_id", `{"method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}`, Options{},
			Item{ID: "line-1", Model: "m", Body: json.RawMessage(`{"model":"m"}`), Form: FormBatch}},
		{"batch, model put in", batchLine("a", `{ "n" : 1.0 , "messages":[]}`), Options{Model: `g"4`},
			Item{ID: "a", Model: `g"4`, Body: json.RawMessage(`{"model":"g\"4", "n" : 1.0 , "messages":[]}`), Form: FormBatch}},
		{"batch, model put into nothing", batchLine("a", `{ }`), Options{Model: "g"},
			Item{ID: "a", Model: "g", Body: json.RawMessage(`{"model":"g" }`), Form: FormBatch}},
		{"a model elsewhere in the body is not the model", batchLine("a", `{"metadata":{"model":"x"},"Model":"y"}`), Options{Model: "g"},
			Item{ID: "a", Model: "g", Body: json.RawMessage(`{"model":"g","metadata":{"model":"x"},"Model":"y"}`), Form: FormBatch}},
		{"bare, verbatim", " \t" + odd + " \r", Options{},
			Item{ID: "line-1", Model: "m1", Body: json.RawMessage(odd), Form: FormBody}},
		{"bare, metadata kept, model put in", `{"messages":[],"metadata":{"row": 7}}`, Options{Model: "g"},
			Item{ID: "line-1", Model: "g", Body: json.RawMessage(`{"model":"g","messages":[],"metadata":{"row": 7}}`), Form: FormBody}},
		{"bare input", `{"model":"m","input":"hello"}`, Options{},
			Item{ID: "line-1", Model: "m", Body: json.RawMessage(`{"model":"m","input":"hello"}`), Form: FormBody}},
		{"prompt, escapes kept", `{"prompt":"<\u00e9\/>é","answer":3}`, Options{Model: "g"},
			Item{ID: "line-1", Model: "g", Prompt: "<é/>é", Form: FormPrompt,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"<\u00e9\/>é"}]}`)}},
		{"prompt with custom_id", `{"custom_id":"q7","question":"Why?"}`, Options{Model: "g", PromptField: "question"},
			Item{ID: "q7", Model: "g", Prompt: "Why?", Form: FormPrompt,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"Why?"}]}`)}},
		{"prompt in a data set with fields of a request's names",
			`{"instruction":"Why?","input":"","body":"text","url":"http://x","method":"GET"}`, Options{Model: "g", PromptField: "instruction"},
			Item{ID: "line-1", Model: "g", Prompt: "Why?", Form: FormPrompt,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"Why?"}]}`)}},
		{"prompt field called body", `{"body":"Why?"}`, Options{Model: "g", PromptField: "body"},
			Item{ID: "line-1", Model: "g", Prompt: "Why?", Form: FormPrompt,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"Why?"}]}`)}},
		{"batch, not streamed", batchLine("a", `{"model":"m","stream":false,"x":{"stream":true}}`), Options{},
			Item{ID: "a", Model: "m", Body: json.RawMessage(`{"model":"m","stream":false,"x":{"stream":true}}`), Form: FormBatch}},
		{"batch, stream null", batchLine("a", `{"model":"m","stream":null}`), Options{},
			Item{ID: "a", Model: "m", Body: json.RawMessage(`{"model":"m","stream":null}`), Form: FormBatch}},
		{"text", "  Why \"<é>\"?\\ ", Options{Model: "g"},
			Item{ID: "line-1", Model: "g", Prompt: "  Why \"<é>\"?\\ ", Form: FormText,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"  Why \"<é>\"?\\ "}]}`)}},
		{"text that is JSON, but no object", `"quoted"`, Options{Model: "g"},
			Item{ID: "line-1", Model: "g", Prompt: `"quoted"`, Form: FormText,
				Body: json.RawMessage(`{"model":"g","messages":[{"role":"user","content":"\"quoted\""}]}`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Line, test.want.URL = 1, ChatURL
			items, err := readString(test.line+"\n", test.opt)
			if err != nil || len(items) != 1 || !reflect.DeepEqual(items[0], test.want) {
				t.Fatalf("got  %+v, %v\nwant %+v", items, err, test.want)
			}
			if !json.Valid(items[0].Body) {
				t.Errorf("the body is no JSON: %s", items[0].Body)
			}
			ids, err := readString(test.line+"\n", Options{IDsOnly: true})
			if want := (Item{Line: 1, ID: test.want.ID}); err != nil || len(ids) != 1 || !reflect.DeepEqual(ids[0], want) {
				t.Errorf("IDsOnly got %+v, %v, want %+v", ids, err, want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	model := Options{Model: "g"}
	many := make([]string, 14)
	for i := range many {
		many[i] = `"f` + string(rune('a'+i)) + `":1`
	}
	long := strings.Repeat("é", 100)
	for _, test := range []struct {
		name    string
		content string
		opt     Options
		is      error
		want    string
	}{
		{"malformed", "{\"prompt\":\"a\"}\n{'prompt': 'b'}\n", model, ErrSyntax,
			"prompts.jsonl:2: malformed JSON at byte 2: invalid character '\\'' looking for beginning of object key string; a line must be one whole object"},
		{"cut short", `{"prompt":"a"`, model, ErrSyntax,
			"prompts.jsonl:1: malformed JSON at byte 13: unexpected end of JSON input; a line must be one whole object"},
		{"two on a line", `{"prompt":"a"}{"prompt":"b"}`, model, ErrSyntax,
			"prompts.jsonl:1: malformed JSON at byte 15: invalid character '{' after top-level value; a line must be one whole object"},
		{"array on a line", "\n[{\"prompt\":\"a\"},\n{\"prompt\":\"b\"}]\n", model, ErrSyntax,
			"prompts.jsonl:2: the file holds a JSON array; put one object on each line (jq -c '.[]' does)"},
		{"array over lines", "[\n{\"prompt\":\"a\"}\n]\n", model, ErrSyntax,
			"prompts.jsonl:1: the file holds a JSON array; put one object on each line (jq -c '.[]' does)"},
		{"text among objects", "\n{\"prompt\":\"a\"}\nWhy?\n", model, ErrMixed,
			"prompts.jsonl:3: this line is plain text, but line 2 is an object; a file holds one or the other"},
		{"object among text", "Why?\n{\"prompt\":\"a\"}\n", model, ErrMixed,
			"prompts.jsonl:2: this line is an object, but line 1 is plain text; a file holds one or the other"},
		{"bad UTF-8", "{\"prompt\":\"a\xff\"}", model, ErrUTF8, "prompts.jsonl:1: byte 13 is not valid UTF-8; save the file as UTF-8"},
		{"bad UTF-8 text", "caf\xe9", model, ErrUTF8, "prompts.jsonl:1: byte 4 is not valid UTF-8; save the file as UTF-8"},
		{"too long", "Why?\n" + strings.Repeat("x", 33) + "\n", Options{Model: "g", MaxLine: 32}, ErrLineTooLong,
			"prompts.jsonl:2: the line is longer than 32 bytes, which is the limit"},
		{"only line too long", strings.Repeat("x", 33), Options{Model: "g", MaxLine: 32}, ErrLineTooLong,
			"prompts.jsonl:1: the line is longer than 32 bytes, which is the limit"},
		{"duplicate", "\n\n" + batchLine("a", "{}") + "\n" + batchLine("b", "{}") + "\n" + batchLine("a", "{}"), model, ErrDuplicateID,
			`prompts.jsonl:5: custom_id "a" is used already on line 3; every id must be unique`},
		{"duplicate of an id that was given", "{\"prompt\":\"a\"}\n{\"custom_id\":\"line-1\",\"prompt\":\"b\"}", model, ErrDuplicateID,
			`prompts.jsonl:2: custom_id "line-1" is used already on line 1; every id must be unique`},
		{"long id", batchLine(long, "{}") + "\n" + batchLine(long, "{}"), model, ErrDuplicateID,
			`prompts.jsonl:2: custom_id "` + strings.Repeat("é", 40) + `…" is used already on line 1; every id must be unique`},
		{"id no string", `{"custom_id":7,"prompt":"a"}`, model, ErrField, "prompts.jsonl:1: custom_id must be a string, not a number"},
		{"id null", `{"custom_id":null,"prompt":"a"}`, model, ErrField, "prompts.jsonl:1: custom_id must be a string, not null"},
		{"id empty", `{"custom_id":"","prompt":"a"}`, model, ErrField, "prompts.jsonl:1: custom_id must not be empty"},
		{"id twice", `{"custom_id":"a","custom_id":"b","prompt":"a"}`, model, ErrField,
			`prompts.jsonl:1: field "custom_id" is there twice; which one counts is not defined`},
		{"prompt twice", `{"prompt":"b","prompt":"a"}`, model, ErrField,
			`prompts.jsonl:1: field "prompt" is there twice; which one counts is not defined`},
		{"method", `{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{}}`, model, ErrMethod,
			`prompts.jsonl:1: method "GET" is not supported; allowed: POST`},
		{"no method", `{"custom_id":"a","url":"/v1/chat/completions","body":{}}`, model, ErrMethod,
			"prompts.jsonl:1: method is missing; allowed: POST"},
		{"url", `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}`, model, ErrURL,
			`prompts.jsonl:1: url "/v1/embeddings" is not supported; allowed: /v1/chat/completions`},
		{"url no string", `{"custom_id":"a","method":"POST","url":[],"body":{}}`, model, ErrURL,
			"prompts.jsonl:1: url must be a string, not an array; allowed: /v1/chat/completions"},
		{"no body", `{"custom_id":"a","method":"POST","url":"/v1/chat/completions"}`, model, ErrField,
			"prompts.jsonl:1: body is missing; it is the object to post"},
		{"body no object", `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":true}`, model, ErrField,
			"prompts.jsonl:1: body must be an object, not a boolean"},
		{"no model", batchLine("a", `{"messages":[]}`), Options{}, ErrNoModel,
			"prompts.jsonl:1: the body names no model; add one, or give a default with -model"},
		{"no model, bare", `{"messages":[]}`, Options{}, ErrNoModel,
			"prompts.jsonl:1: the body names no model; add one, or give a default with -model"},
		{"no model, prompt", `{"prompt":"a"}`, Options{}, ErrNoModel, "prompts.jsonl:1: a prompt names no model; give one with -model"},
		{"no model, text", `Why?`, Options{}, ErrNoModel, "prompts.jsonl:1: a prompt names no model; give one with -model"},
		{"model null", batchLine("a", `{"model":null}`), model, ErrField, "prompts.jsonl:1: body.model must be a string, not null"},
		{"model empty", `{"messages":[],"model":""}`, model, ErrField, "prompts.jsonl:1: model must not be empty"},
		{"model twice", batchLine("a", `{"model":"a","model":"b"}`), model, ErrField,
			`prompts.jsonl:1: field "model" is there twice in the body; which one counts is not defined`},
		{"messages no array", `{"messages":"hi"}`, model, ErrField, "prompts.jsonl:1: messages must be an array, not a string"},
		{"id in a bare body", `{"custom_id":"a","messages":[]}`, model, ErrField,
			`prompts.jsonl:1: custom_id in a bare body would be sent with it; write {"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{…}}`},
		{"no prompt field", `{"question":"a","answer":"b\u001b"}`, model, ErrNoPrompt,
			`prompts.jsonl:1: no field "prompt"; found: "question", "answer"; say with -prompt-field which one holds the prompt`},
		{"many fields", "{" + strings.Join(many, ",") + "}", model, ErrNoPrompt, `prompts.jsonl:1: no field "prompt"; found: "fa", "fb", "fc", ` +
			`"fd", "fe", "ff", "fg", "fh", "fi", "fj", "fk", "fl" and 2 more; say with -prompt-field which one holds the prompt`},
		{"no field at all", `{}`, model, ErrNoPrompt, `prompts.jsonl:1: no field "prompt"; the object is empty`},
		{"prompt no string", `{"q":["a"]}`, Options{Model: "g", PromptField: "q"}, ErrField,
			`prompts.jsonl:1: field "q" must be a string, the prompt, not an array`},
		{"prompt empty", `{"prompt":" \n"}`, model, ErrEmptyPrompt, `prompts.jsonl:1: the prompt in field "prompt" is empty`},
		{"streamed", batchLine("a", `{"stream":true}`), model, ErrField,
			"prompts.jsonl:1: body.stream is true; allowed: false, or leave it out: answers are read whole"},
		{"streamed, bare", `{"messages":[],"str\u0065am":1}`, model, ErrField,
			"prompts.jsonl:1: body.stream is 1; allowed: false, or leave it out: answers are read whole"},
		{"streamed at last", batchLine("a", `{"stream":true,"stream":false}`), model, ErrField,
			"prompts.jsonl:1: body.stream is true; allowed: false, or leave it out: answers are read whole"},
		{"empty file", "", model, ErrEmptyFile, "prompts.jsonl: the file is empty; one prompt or request a line is expected"},
		{"blank file", "\n \t\r\n\n", model, ErrEmptyFile, "prompts.jsonl: the file has blank lines only; one prompt or request a line is expected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			items, err := readString(test.content, test.opt)
			if err == nil || err.Error() != test.want {
				t.Fatalf("got  %v\nwant %s\nitems %+v", err, test.want, items)
			}
			var bad *LineError
			if !errors.Is(err, test.is) || !errors.As(err, &bad) || bad.File != "prompts.jsonl" {
				t.Errorf("the error does not match %v: %#v", test.is, bad)
			}
		})
	}
}

// TestFaultFields holds the typed error to its fields, which programs read instead of the text.
func TestFaultFields(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          LineError
	}{
		{"url", `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}`,
			LineError{Line: 1, Field: "url", Value: "/v1/embeddings", Allowed: []string{"/v1/chat/completions"}, Err: ErrURL}},
		{"method", `{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{}}`,
			LineError{Line: 1, Field: "method", Value: "GET", Allowed: []string{"POST"}, Err: ErrMethod}},
		{"duplicate", batchLine("a", "{}") + "\n\n" + batchLine("a", "{}"),
			LineError{Line: 3, Field: "custom_id", Value: "a", First: 1, Err: ErrDuplicateID}},
		{"mixed", `{"prompt":"a"}` + "\nWhy?", LineError{Line: 2, First: 1, Err: ErrMixed}},
		{"no prompt", `{"q":1,"a":2}`, LineError{Line: 1, Field: "prompt", Found: []string{"q", "a"}, Err: ErrNoPrompt}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readString(test.content, Options{Model: "g"})
			var bad *LineError
			if !errors.As(err, &bad) {
				t.Fatalf("%v is no LineError", err)
			}
			test.want.File, test.want.Msg = "prompts.jsonl", bad.Msg
			if !reflect.DeepEqual(*bad, test.want) {
				t.Errorf("got  %#v\nwant %#v", *bad, test.want)
			}
		})
	}
}
