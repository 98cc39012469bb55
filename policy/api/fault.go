package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/toller-go/toller/policy"
)

// maxFault is how long the body of an error may be, in bytes, to be looked into. No API has errors that are nearly as long.
const maxFault = 1 << 20

// fault is what an error says of itself.
type fault struct {
	code    string // as text, be it a number
	number  bool   // code is a number, such as the status once more
	kind    string // its type
	status  string // Gemini's name for the status
	message string

	perDay  bool          // the quota that is used up is one of a day
	flagged bool          // the input did not pass a moderation
	source  string        // OpenRouter's word for what limits
	hinted  bool          // the details name a wait
	retryIn time.Duration // the wait that they name
}

// word is what the tables look up: the code, or the type where the code is a mere number or missing.
func (f *fault) word() string {
	if f.code != "" && !f.number {
		return f.code
	}
	return f.kind
}

// name is what people are told.
func (f *fault) name() string {
	for _, name := range []string{f.word(), f.status, f.code} {
		if name != "" {
			return name
		}
	}
	return ""
}

// inFlightBudget reports whether only what is under way at the moment is too much for the account.
func (f *fault) inFlightBudget() bool { return f.source == "openrouter_in_flight_budget" }

// errorBody is the body of an error, in any dialect. Each member is read by itself: an odd one must not cost us the others.
type errorBody struct {
	Error  json.RawMessage `json:"error"`
	Detail json.RawMessage `json:"detail"` // FastAPI, and problem+json

	errorObject // of those that have it at the top
}

type errorObject struct {
	Object   text            `json:"object"`
	Message  text            `json:"message"`
	Type     text            `json:"type"`
	Code     code            `json:"code"`
	Status   text            `json:"status"`
	Details  json.RawMessage `json:"details"`
	Metadata json.RawMessage `json:"metadata"`
}

// readFault looks into the body of an error. What is no JSON says nothing.
func readFault(body []byte) fault {
	var f fault
	body = bytes.TrimSpace(body)
	if len(body) > maxFault || len(body) == 0 {
		return f
	}
	if body[0] == '[' { // Gemini's, where a stream was asked for
		var list []json.RawMessage
		if !readsList(body, &list) || len(list) == 0 {
			return f
		}
		body = list[0]
	}
	var b errorBody
	if !readsObject(body, &b) {
		return f
	}
	switch {
	case present(b.Error):
		f.read(b.Error)
	case present(b.Detail):
		f.message, f.kind = detail(b.Detail), string(b.Type)
	default:
		f.take(&b.errorObject)
	}
	return f
}

// read takes the member "error": an object, or a mere text.
func (f *fault) read(member json.RawMessage) {
	var o errorObject
	if readsObject(member, &o) {
		f.take(&o)
		return
	}
	var t text
	_ = t.UnmarshalJSON(member) // which takes what it can
	f.message = string(t)
}

func (f *fault) take(o *errorObject) {
	f.code, f.number = o.Code.text, o.Code.number
	f.kind, f.status, f.message = string(o.Type), string(o.Status), string(o.Message)
	f.readDetails(o.Details)
	f.readMetadata(o.Metadata)
}

// readDetails takes Google's details: which quota it was, and when to come back.
func (f *fault) readDetails(member json.RawMessage) {
	type detail struct {
		Type       text            `json:"@type"`
		RetryDelay text            `json:"retryDelay"`
		Violations json.RawMessage `json:"violations"`
	}
	type violation struct {
		QuotaID text `json:"quotaId"`
	}
	eachOf(member, func(d *detail) {
		switch {
		case strings.HasSuffix(string(d.Type), "google.rpc.RetryInfo"):
			if wait := goDuration(string(d.RetryDelay)); wait != policy.NoHint {
				f.hinted, f.retryIn = true, max(f.retryIn, wait)
			}
		case strings.HasSuffix(string(d.Type), "google.rpc.QuotaFailure"):
			eachOf(d.Violations, func(v *violation) {
				f.perDay = f.perDay || strings.Contains(string(v.QuotaID), "PerDay") // an identifier in CamelCase
			})
		}
	})
}

// readMetadata takes OpenRouter's metadata.
func (f *fault) readMetadata(member json.RawMessage) {
	var metadata struct {
		Flagged json.RawMessage `json:"flagged_input"`
		Source  text            `json:"limit_source"`
	}
	if !readsObject(member, &metadata) {
		return
	}
	f.flagged, f.source = present(metadata.Flagged), string(metadata.Source)
}

// detail is the text of FastAPI's detail: a text, or a list of what is wrong.
func detail(member json.RawMessage) string {
	var t text
	_ = t.UnmarshalJSON(member)
	if t != "" {
		return string(t)
	}
	var list []struct {
		Msg text `json:"msg"`
	}
	if readsList(member, &list) && len(list) > 0 {
		return string(list[0].Msg)
	}
	return ""
}

// present reports whether a member is there and not null: "error": null is no error.
func present(member json.RawMessage) bool { return len(member) > 0 && string(member) != "null" }

// decodes fills in a value, and reports whether all of it could be.
func decodes(data []byte, into any) bool { return json.Unmarshal(data, into) == nil }

// readsObject fills in a struct from a JSON object, as far as its members have the types they should, and reports whether it is
// one: an odd member must not cost us the others.
func readsObject(data []byte, into any) bool { return reads('{', data, into) }

// readsList is readsObject for a slice and a JSON list.
func readsList(data []byte, into any) bool { return reads('[', data, into) }

// eachOf calls do with each element of a JSON list, as far as its members have the types they should, and reports whether data is one.
// The element is valid during the call. However long the list is, there is one at a time.
func eachOf[T any](data []byte, do func(*T)) bool {
	if !isList(data) || !json.Valid(data) {
		return false
	}
	list := json.NewDecoder(bytes.NewReader(data))
	_, _ = list.Token() // its beginning; what is valid can be read to its end
	var element T
	for list.More() {
		element = *new(T)
		_ = list.Decode(&element)
		do(&element)
	}
	return true
}

// isList reports whether valid JSON is a list.
func isList(data []byte) bool { return len(data) >= 2 && data[0] == '[' }

func reads(begin byte, data []byte, into any) bool {
	if len(data) == 0 || data[0] != begin {
		return false
	}
	err := json.Unmarshal(data, into)
	var odd *json.UnmarshalTypeError
	return err == nil || errors.As(err, &odd)
}

// text is a JSON string, as far as it can be shown to people; anything else is read as an empty one.
type text string

// maxText is how much of a text is kept, in bytes: a server must not be able to fill our memory, and logs, with it.
const maxText = 4 << 10

// shown is what of a text is fit for a terminal: its beginning, without what would drive that.
func shown(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…" // it may be cut within a rune
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if decodes(data, &s) {
		*t = text(shown(s))
	}
	return nil
}

// code is a JSON string or number. A string that is a number counts as one: Azure's "429".
type code struct {
	text   string
	number bool
}

// UnmarshalJSON never fails.
func (c *code) UnmarshalJSON(data []byte) error {
	var t text
	_ = t.UnmarshalJSON(data)
	var n json.Number
	if t == "" && decodes(data, &n) {
		t = text(n)
	}
	_, err := strconv.ParseFloat(string(t), 64)
	c.text, c.number = string(t), err == nil
	return nil
}

// numberAfter returns the number that follows a word in a text, such as 30000 in "Limit 30,000,".
func numberAfter(s, word string) (float64, bool) {
	_, rest, ok := strings.Cut(s, word+" ")
	if !ok {
		return 0, false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != ',' })
	if end >= 0 {
		rest = rest[:end]
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(rest, ",", ""), 64)
	return n, err == nil
}
