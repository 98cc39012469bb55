package api

import (
	"net/http"
	"time"

	"github.com/toller-go/toller/policy"
)

// Answer is what came back for one request, as far as its meaning depends on it.
type Answer struct {
	Status int
	Header http.Header
	// Body is the whole body, or its beginning when Cut is set. It is read and not kept.
	Body []byte
	// Cut says that Body is only the beginning, or can't be read, because it is compressed perhaps: then nothing is concluded
	// from what is missing in it. It is not for a body that broke off, which is an attempt without an answer: see [Broken].
	Cut bool
	// Shape is what a good answer would look like.
	Shape Shape
	// Tokens is what the request was expected to cost, input and output; 0 when nobody has counted.
	Tokens float64
	// Received is when the answer came, by the clock on the wall. It stands in for a missing Date header; zero if that is not
	// known either, and then a hint that names a moment is none.
	Received time.Time
}

// Meaning is what an answer, or the lack of one, means.
type Meaning struct {
	Class  Class
	Retry  bool          // another attempt may go better
	Billed Billed        // whether the server has charged for the attempt
	Hint   time.Duration // how long the server asks to be left alone, at most MaxWait; policy.NoHint if it does not say. Of a Retry only

	Status    int    // as of the answer; 0 when there was none
	RequestID string // the server's own; empty when it names none
	Code      string // of an error: its code, or its type or status where that is a mere number
	Message   string // of an error, for people

	Usage     Usage
	Finish    string // why the model stopped, in the server's word
	Truncated bool   // the model stopped because it came to the end of what it was allowed
}

// Read says what an answer means.
func Read(a Answer) Meaning {
	m := Meaning{Status: a.Status, RequestID: requestID(a.Header), Hint: policy.NoHint}
	good := a.Status/100 == 2
	if a.Shape == Any && (good || a.Status/100 == 3 || a.Status/100 == 1) {
		m.Billed = BilledYes
		return m
	}
	var f fault
	if good {
		f = m.readGood(a)
	} else {
		f = readFault(a.Body)
		m.Class = classify(a.Status, a.Shape, f)
		m.Billed = billedFor(a.Status, m.Class)
	}
	if m.Class == OK || m.Class == Filtered && good {
		return m
	}
	m.Code, m.Message = f.name(), f.message
	m.Retry = m.Class == Throttled || m.Class.transient()
	m.heed(a.Header)
	if m.Retry {
		m.Hint = hint(a, m.Class, f)
	}
	return m
}

// heed takes the server's word on whether to try again, but only where it breaks a tie (shared by OpenAI and Anthropic): a
// throttle is waited out whatever it says, and what can never succeed is not sent again.
func (m *Meaning) heed(h http.Header) {
	switch word := h.Get("X-Should-Retry"); {
	case word == "true" && m.Class == BadRequest:
		m.Retry = true
	case word == "false" && m.Class.transient():
		m.Retry = false
	}
}

// Mark marks err, which tells of this answer, with what the answer asks of a dispatcher, by the marks of package policy:
//
//   - [Throttled] cools the key down, for Hint if there is one, and is tried again;
//   - [OutOfMoney] and [BadKey] make the key unusable until somebody resets it;
//   - what may be tried again is transient, with Hint as a floor, and a failure to the breaker;
//   - what is transient by its class, but not to be tried again because the server says so, or the caller by taking Retry away, is
//     a failure to the breaker all the same;
//   - the others say nothing about the backend, and are final.
//
// Besides, what was certainly not billed is marked as such. A nil err stays nil, and that of an [OK] is returned as it is.
func (m Meaning) Mark(err error) error {
	switch {
	case err == nil || m.Class == OK:
		return err
	case m.Class == Throttled:
		err = policy.Throttled(err, m.Hint)
	case m.Class == OutOfMoney || m.Class == BadKey:
		err = policy.Unusable(err)
	case m.Retry:
		err = policy.TransientAfter(err, m.Hint)
	case m.Class.transient():
		err = policy.Failed(err)
	case m.Class == Filtered:
		err = policy.Neutral(err)
	default:
		err = policy.Fatal(err)
	}
	if m.Billed == BilledNo {
		err = policy.Unbilled(err)
	}
	return err
}

// requestID is what the server calls the request by.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "Apim-Request-Id"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}
