package batchfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Record is one line of an output, in the output format of OpenAI Batch. It has either a Response or an Error.
type Record struct {
	ID       string    // "batch_req_…"; Write and AppendRecord take RecordID(CustomID) where it is empty
	CustomID string    // the id of the item; never empty
	Response *Response // the last HTTP answer, also when it was a refusal
	Error    *Failure  // why there was no answer
}

// Response is an answer of the server.
type Response struct {
	StatusCode int    // 100 to 599
	RequestID  string // the server's, "" if it sent none
	Body       []byte // as it came; in a Record from ParseRecord, as it is stored: JSON always
}

// Failure is why an item has no answer, in a word for programs and a sentence for people.
type Failure struct {
	Code    string
	Message string
}

// RecordID derives the id of a record from the id of its item: the same one on every run, so that outputs can be compared.
func RecordID(customID string) string {
	sum := sha256.Sum256([]byte(customID))
	return "batch_req_" + hex.EncodeToString(sum[:16])
}

// Succeeded says that the server answered with 2xx and a JSON object without an error: some gateways send their errors with
// status 200, and a body that is no object was cut short. Whether the answer is a good one is not judged here.
func (r Record) Succeeded() bool {
	if r.Response == nil || r.Response.StatusCode/100 != 2 {
		return false
	}
	body := bytes.TrimSpace(r.Response.Body)
	if len(body) == 0 || body[0] != '{' || !json.Valid(body) {
		return false
	}
	for name, value := range members(body) {
		if name == "error" && value[0] != 'n' {
			return false
		}
	}
	return true
}

// AppendRecord appends the record as one line, its end included. A body that is JSON is kept byte for byte, unless it spans
// lines: then the white space between its tokens goes. Anything else becomes a JSON string. The error is a *FormatError, and
// dst is returned as it was.
func AppendRecord(dst []byte, r Record) ([]byte, error) {
	switch {
	case r.CustomID == "":
		return dst, badFormat("custom_id is empty")
	case !utf8.ValidString(r.CustomID): // it would be written as another id
		return dst, badFormat("custom_id %s is not valid UTF-8", Quote(r.CustomID))
	case (r.Response == nil) == (r.Error == nil):
		return dst, badFormat("custom_id %s must have either a response or an error", Quote(r.CustomID))
	case r.Response != nil && !validStatus(r.Response.StatusCode):
		return dst, badFormat("custom_id %s has status code %d; allowed: 100 to 599", Quote(r.CustomID), r.Response.StatusCode)
	}
	if r.ID == "" {
		r.ID = RecordID(r.CustomID)
	}
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, r.ID)
	dst = append(dst, `,"custom_id":`...)
	dst = appendString(dst, r.CustomID)
	if r.Error != nil {
		dst = append(dst, `,"response":null,"error":{"code":`...)
		dst = appendString(dst, r.Error.Code)
		dst = append(dst, `,"message":`...)
		dst = appendString(dst, r.Error.Message)
		return append(dst, "}}\n"...), nil
	}
	dst = append(dst, `,"response":{"status_code":`...)
	dst = strconv.AppendInt(dst, int64(r.Response.StatusCode), 10)
	dst = append(dst, `,"request_id":`...)
	dst = appendString(dst, r.Response.RequestID)
	dst = append(dst, `,"body":`...)
	dst = appendBody(dst, r.Response.Body)
	return append(dst, "},\"error\":null}\n"...), nil
}

func validStatus(code int) bool { return code >= 100 && code <= 599 }

// tooDeep says that a valid body would make a line that is not: encoding/json, and so ParseRecord, refuses what is nested deeper than
// 10,000 levels, and the line adds two.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) < 5000 {
		return false
	}
	return !json.Valid(bytes.Join([][]byte{[]byte("[["), body, []byte("]]")}, nil))
}

// appendBody appends what a server sent as one line of JSON.
func appendBody(dst, body []byte) []byte {
	if !json.Valid(body) || tooDeep(body) {
		return appendString(dst, string(body))
	}
	body = bytes.TrimSpace(body)
	if !utf8.Valid(body) { // encoding/json lets that pass inside strings; other readers don't
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	if !bytes.ContainsAny(body, "\r\n") {
		return append(dst, body...)
	}
	var line bytes.Buffer
	_ = json.Compact(&line, body) // valid JSON, so it can't fail
	return append(dst, line.Bytes()...)
}
