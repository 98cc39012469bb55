package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/toller-go/toller/policy"
)

// Class is what an answer means.
type Class string

// The classes, but for success, which has no error.
const (
	BadAnswer  Class = "bad_answer"   // 2xx, but not a completion: tried again, maybe billed
	Throttled  Class = "throttled"    // too much was sent: the key cools down
	NeverFits  Class = "never_fits"   // larger than the model or the limit: final
	OutOfMoney Class = "out_of_money" // the account cannot pay: the key is of no use
	BadKey     Class = "bad_key"      // the key is refused: likewise
	BadRequest Class = "bad_request"  // the request is wrong: final
	Filtered   Class = "filtered"     // refused for its content: final
	Conflict   Class = "conflict"     // 408, 409, 425: tried again
	Server     Class = "server"       // 5xx: tried again
	Unsent     Class = "unsent"       // no connection was made: tried again, certainly not billed
	Ambiguous  Class = "ambiguous"    // the connection broke after sending: tried again, maybe billed
)

// Error is an attempt that did not give a completion. Status and Body are those of the answer; Status is 0 when there was
// none, and then Err says why.
type Error struct {
	Class     Class
	Status    int
	RequestID string
	Code      string // error.code of the body, or its type
	Message   string // error.message of the body
	Body      []byte
	Err       error
}

// Error says what the server said.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Class, e.Err)
	case e.Code != "" && e.Code != strconv.Itoa(e.Status): // some repeat the status there
		return fmt.Sprintf("%s: HTTP %d %s: %s", e.Class, e.Status, e.Code, e.Message)
	case e.Message != "":
		return fmt.Sprintf("%s: HTTP %d: %s", e.Class, e.Status, e.Message)
	default:
		return fmt.Sprintf("%s: HTTP %d", e.Class, e.Status)
	}
}

// Unwrap returns the error of the transport, if that is what failed.
func (e *Error) Unwrap() error { return e.Err }

// Usage is what an answer was billed, in tokens; zero when the server does not say.
type Usage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
}

// answerBody is what we look at in an answer. Each member is read by itself: an odd one must not cost us the others, and an
// answer that has been paid for is not thrown away because of its usage.
type answerBody struct {
	Choices json.RawMessage `json:"choices"`
	Usage   json.RawMessage `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

// isCompletion reports whether there is a choice, and none says that the model failed.
func (b answerBody) isCompletion() bool {
	var choices []struct {
		FinishReason json.RawMessage `json:"finish_reason"`
	}
	if json.Unmarshal(b.Choices, &choices) != nil || len(choices) == 0 {
		return false
	}
	for _, choice := range choices {
		if string(choice.FinishReason) == `"error"` {
			return false
		}
	}
	return true
}

// usage is what the server says it billed, as far as that makes sense.
func (b answerBody) usage() Usage {
	var u struct {
		Prompt     float64 `json:"prompt_tokens"`
		Completion float64 `json:"completion_tokens"`
	}
	if json.Unmarshal(b.Usage, &u) != nil || !(u.Prompt >= 0 && u.Completion >= 0 && u.Prompt+u.Completion < 1e12) {
		return Usage{}
	}
	return Usage{PromptTokens: int64(u.Prompt), CompletionTokens: int64(u.Completion)}
}

// judge says what an answer means.
func judge(resp *http.Response, text []byte) (Answer, error) {
	var body answerBody
	parsed := json.Unmarshal(text, &body) == nil
	failed := len(body.Error) > 0 && !bytes.Equal(body.Error, []byte("null")) // "error": null is no error
	id := resp.Header.Get("X-Request-Id")
	if resp.StatusCode/100 == 2 && parsed && !failed && body.isCompletion() {
		return Answer{Status: resp.StatusCode, RequestID: id, Body: text, Usage: body.usage()}, nil
	}
	e := &Error{Status: resp.StatusCode, RequestID: id, Body: text}
	e.Code, e.Message = readError(body.Error)
	e.Class = classify(resp.StatusCode, e.Code)
	if e.Class == BadAnswer && !parsed {
		e.Err = errors.New("the body is not the JSON of a completion")
	}
	return Answer{}, e.marked(hint(resp.Header))
}

func readError(text json.RawMessage) (code, message string) {
	var e struct{ Message, Type, Code any }
	if json.Unmarshal(text, &e) != nil {
		return "", ""
	}
	message, _ = e.Message.(string)
	switch c := e.Code.(type) {
	case string:
		code = c
	case float64:
		code = fmt.Sprint(c)
	}
	if code == "" {
		code, _ = e.Type.(string)
	}
	return code, message
}

var (
	moneyCodes = []string{
		"insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
		"organization_usage_limit_exceeded", "billing_hard_limit_reached",
	}
	sizeCodes = []string{"context_length_exceeded", "string_above_max_length"}
)

// classify is the table. The order matters: money is money, whatever the status.
func classify(status int, code string) Class {
	switch {
	case status == http.StatusPaymentRequired || slices.Contains(moneyCodes, code):
		return OutOfMoney
	case status/100 == 2:
		return BadAnswer
	case status == http.StatusTooManyRequests, status == 529, status == http.StatusServiceUnavailable && code == "slow_down":
		return Throttled
	case status == http.StatusRequestEntityTooLarge || slices.Contains(sizeCodes, code):
		return NeverFits
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return BadKey
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		return Conflict
	case status >= 500:
		return Server
	case code == "content_filter":
		return Filtered
	default:
		return BadRequest
	}
}

// marked tells the dispatcher what the class asks for. after is the server's hint.
func (e *Error) marked(after time.Duration) error {
	switch e.Class {
	case Throttled:
		return policy.Throttled(e, after)
	case OutOfMoney, BadKey:
		return policy.Unusable(e)
	case BadAnswer, Conflict, Server, Unsent, Ambiguous:
		return policy.TransientAfter(e, after)
	default:
		return policy.Fatal(e)
	}
}
