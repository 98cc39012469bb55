package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

const (
	date  = "Wed, 21 Oct 2026 07:28:00 GMT"
	later = "Wed, 21 Oct 2026 07:28:30 GMT"
	early = "Wed, 21 Oct 2026 07:27:00 GMT"
)

// dated is the moment of date.
var dated = time.Date(2026, 10, 21, 7, 28, 0, 0, time.UTC)

// S-L7: a date is compared with the answer's own, and no clock here is asked.
func TestRetryAfter(t *testing.T) {
	const month = 31 * 24 * time.Hour
	tests := []struct {
		name                string
		ms, seconds, atDate string // Retry-After-Ms, Retry-After, Date; empty is absent
		want                time.Duration
	}{
		{name: "nothing", want: policy.NoHint},
		{name: "only a date of the response", atDate: date, want: policy.NoHint},
		{name: "milliseconds", ms: "599", want: 599 * time.Millisecond},
		{name: "seconds", seconds: "2", want: 2 * time.Second},
		{name: "both, Azure's pair of 1 s and 0 ms", ms: "0", seconds: "1", want: time.Second},
		{name: "both, milliseconds are longer", ms: "1500", seconds: "1", want: 1500 * time.Millisecond},
		{name: "both, milliseconds are more exact and shorter", ms: "1", seconds: "1", want: time.Second},
		{name: "zero is an answer", seconds: "0", want: 0},
		{name: "zero milliseconds too", ms: "0", want: 0},
		{name: "a fraction of a second", seconds: "1.5", want: 1500 * time.Millisecond},
		{name: "a fraction of a millisecond", ms: "0.5", want: 500 * time.Microsecond},
		{name: "less than a nanosecond is not rounded to at once", seconds: "1e-10", want: 1},
		{name: "an exponent", seconds: "1e2", want: 100 * time.Second},
		{name: "spaces", seconds: " 3 ", want: 3 * time.Second},
		{name: "negative", seconds: "-1", want: policy.NoHint},
		{name: "negative, and next to nothing", seconds: "-1e-10", want: policy.NoHint},
		{name: "negative milliseconds beside good seconds", ms: "-1", seconds: "4", want: 4 * time.Second},
		{name: "bad milliseconds beside good seconds", ms: "soon", seconds: "4", want: 4 * time.Second},
		{name: "good milliseconds beside bad seconds", ms: "40", seconds: "soon", want: 40 * time.Millisecond},
		{name: "not a number", seconds: "NaN", want: policy.NoHint},
		{name: "infinite", seconds: "Inf", want: policy.NoHint},
		{name: "infinite in words", ms: "+Infinity", want: policy.NoHint},
		{name: "beyond a float", seconds: "1e999", want: policy.NoHint},
		{name: "beyond a duration", seconds: "9223372037", want: policy.NoHint},
		{name: "the most that is believed", seconds: "2678400", want: month},
		{name: "more than is believed", seconds: "2678401", want: policy.NoHint},
		{name: "a moment in place of a length", seconds: "1792567680", atDate: date, want: policy.NoHint},
		{name: "words", seconds: "a minute", want: policy.NoHint},
		{name: "a Go duration is no number", seconds: "6m0s", want: policy.NoHint},
		{name: "a date", seconds: later, atDate: date, want: 30 * time.Second},
		{name: "a date that has passed", seconds: early, atDate: date, want: 0},
		{name: "the date of the response itself", seconds: date, atDate: date, want: 0},
		{name: "a date in RFC 850's form", seconds: "Wednesday, 21-Oct-26 07:28:30 GMT", atDate: date, want: 30 * time.Second},
		{name: "a date beside milliseconds", ms: "45000", seconds: later, atDate: date, want: 45 * time.Second},
		{name: "milliseconds are no date", ms: later, atDate: date, want: policy.NoHint},
		{name: "a date without its zone", seconds: "Wed, 21 Oct 2026 07:28:30", atDate: date, want: policy.NoHint},
		{name: "a date that is more than is believed", seconds: "Fri, 31 Dec 9999 23:59:59 GMT", atDate: date, want: policy.NoHint},
		{name: "a date and nothing to compare it with", seconds: later, want: policy.NoHint},
		{name: "a date and one that is none", seconds: later, atDate: "yesterday", want: policy.NoHint},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{}
			for name, value := range map[string]string{"Retry-After-Ms": test.ms, "Retry-After": test.seconds, "Date": test.atDate} {
				if value != "" {
					header.Set(name, value)
				}
			}
			if got := api.RetryAfter(header, time.Time{}); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// Where the answer has no Date, the moment of its receipt stands in.
func TestRetryAfterReceived(t *testing.T) {
	h := headers("Retry-After", later)
	if got := api.RetryAfter(h, dated.Add(10*time.Second)); got != 20*time.Second {
		t.Errorf("got %v", got)
	}
	h.Set("Date", date)
	if got := api.RetryAfter(h, dated.Add(10*time.Second)); got != 30*time.Second {
		t.Errorf("beside a Date: %v", got)
	}
}

// A header may come more than once; a thousand of them are not read.
func TestRetryAfterTwice(t *testing.T) {
	if got := api.RetryAfter(headers("Retry-After", "1", "Retry-After", "3", "Retry-After", later, "Date", date), time.Time{}); got != 30*time.Second {
		t.Errorf("got %v", got)
	}
	h := headers("Retry-After", "1")
	for range 1000 {
		h.Add("Retry-After", "7")
	}
	if got := api.RetryAfter(h, time.Time{}); got != 7*time.Second {
		t.Errorf("got %v", got)
	}
}

// Headers before the body, the body before the limits; and what comes first counts even if it is shorter.
func TestHintPrecedence(t *testing.T) {
	limits := []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "60s"}
	text := `{"error":{"message":"Please try again in 599ms.","code":"rate_limit_exceeded"}}`
	details := `{"error":{"message":"Please retry in 7s.","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"4s"}]}}`
	broken := `{"error":{"message":"Please try again in 599ms.","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"-4s"}]}}`
	for _, test := range []struct {
		name    string
		headers []string
		body    string
		want    time.Duration
	}{
		{"headers first", append([]string{"retry-after-ms", "5"}, limits...), details, 5 * time.Millisecond},
		{"then details", limits, details, 4 * time.Second},
		{"then the text", limits, text, 599 * time.Millisecond},
		{"then the text, where the details make no sense", limits, broken, 599 * time.Millisecond},
		{"then the limits", limits, "", time.Second},
		{"or nothing", nil, "", policy.NoHint},
		{"a header that makes no sense is none", []string{"retry-after", "-1"}, text, 599 * time.Millisecond},
		{"minutes in the text", nil, `{"error":{"message":"… Please try again in 1h6m0.5s."}}`, 66*time.Minute + 500*time.Millisecond},
		{"a text without a wait", nil, `{"error":{"message":"Please try again in a while."}}`, policy.NoHint},
		{"a text with an absurd wait", nil, `{"error":{"message":"Please try again in 99999h."}}`, policy.NoHint},
		{"a text that ends there", nil, `{"error":{"message":"Please retry after "}}`, policy.NoHint},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := api.Read(api.Answer{Status: 429, Header: headers(test.headers...), Body: []byte(test.body)})
			if got.Hint != test.want {
				t.Errorf("got %v, want %v", got.Hint, test.want)
			}
		})
	}
}

// S-L7, and the four forms in which a reset is written.
func TestParseReset(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
	}{
		{"12ms", 12 * time.Millisecond}, // OpenAI
		{"1s", time.Second},
		{"6m0s", 6 * time.Minute},
		{"2m59.56s", 2*time.Minute + 59560*time.Millisecond}, // Groq
		{"7.66s", 7660 * time.Millisecond},
		{"0s", 0},
		{"59", 59 * time.Second}, // Azure
		{"0", 0},
		{"0.25", 250 * time.Millisecond},
		{"1792567713", 33 * time.Second},            // seconds since 1970
		{"1792567713.5", 33 * time.Second},          // of which the fraction does not matter
		{"1792567713250", 33250 * time.Millisecond}, // OpenRouter: milliseconds
		{"1792567600", 0},                           // past
		{"2026-10-21T07:28:45Z", 45 * time.Second},  // Anthropic
		{"2026-10-21T09:28:45+02:00", 45 * time.Second},
		{"2026-10-21T07:28:45.5Z", 45500 * time.Millisecond},
		{"2026-10-21T07:27:45Z", 0},
		{later, 30 * time.Second},
		{early, 0},
		{" 5 ", 5 * time.Second},
		{"-1", policy.NoHint},
		{"-5s", policy.NoHint},
		{"", policy.NoHint},
		{"soon", policy.NoHint},
		{"NaN", policy.NoHint},
		{"Inf", policy.NoHint},
		{"-Inf", policy.NoHint},
		{"1e300", policy.NoHint},
		{"999999999", policy.NoHint},           // seconds, and more than a month
		{"9223372036854775807", policy.NoHint}, // of what?
		{"2562047h", policy.NoHint},
		{"9999-12-31T23:59:59Z", policy.NoHint},
		{"99999999999999", policy.NoHint}, // a moment, a thousand years on
	} {
		if got := api.ParseReset(test.text, dated); got != test.want {
			t.Errorf("%q: got %v, want %v", test.text, got, test.want)
		}
	}
	for _, moment := range []string{"1792567713", "1792567713250", "2026-10-21T07:28:45Z", later} {
		if got := api.ParseReset(moment, time.Time{}); got != policy.NoHint {
			t.Errorf("%q with nothing to compare it with: %v", moment, got)
		}
	}
}
