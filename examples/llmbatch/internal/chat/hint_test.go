package chat

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
)

func TestHint(t *testing.T) {
	const (
		date  = "Wed, 21 Oct 2026 07:28:00 GMT"
		later = "Wed, 21 Oct 2026 07:28:30 GMT"
		early = "Wed, 21 Oct 2026 07:27:00 GMT"
	)
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
		{name: "the most a duration holds", seconds: "9223372036", want: 9223372036 * time.Second},
		{name: "words", seconds: "a minute", want: policy.NoHint},
		{name: "a Go duration is no number", seconds: "6m0s", want: policy.NoHint},
		{name: "a date", seconds: later, atDate: date, want: 30 * time.Second},
		{name: "a date that has passed", seconds: early, atDate: date, want: 0},
		{name: "the date of the response itself", seconds: date, atDate: date, want: 0},
		{name: "a date long past, whatever the clock here", seconds: "Sun, 06 Nov 1994 08:49:37 GMT", want: 0},
		{name: "a date in RFC 850's form", seconds: "Wednesday, 21-Oct-26 07:28:30 GMT", atDate: date, want: 30 * time.Second},
		{name: "a date beside milliseconds", ms: "45000", seconds: later, atDate: date, want: 45 * time.Second},
		{name: "milliseconds are no date", ms: later, atDate: date, want: policy.NoHint},
		{name: "a date without its zone", seconds: "Wed, 21 Oct 2026 07:28:30", atDate: date, want: policy.NoHint},
		{name: "a date beyond all durations", seconds: "Fri, 31 Dec 9999 23:59:59 GMT", atDate: date, want: math.MaxInt64},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{}
			for name, value := range map[string]string{"Retry-After-Ms": test.ms, "Retry-After": test.seconds, "Date": test.atDate} {
				if value != "" {
					header.Set(name, value)
				}
			}
			if got := hint(header); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// A wrong clock here must not matter: the date is compared with the server's, and with ours only where it names none.
func TestHintDateWithoutResponseDate(t *testing.T) {
	at := time.Now().Add(time.Hour)
	for _, date := range []string{"", "yesterday"} {
		got := hint(http.Header{"Retry-After": {at.UTC().Format(http.TimeFormat)}, "Date": {date}})
		if got <= 50*time.Minute || got > time.Hour {
			t.Errorf("Date %q: got %v, want about an hour", date, got)
		}
	}
}

func FuzzHint(f *testing.F) {
	for _, seed := range [][3]string{
		{"599", "1", ""},
		{"-1", "NaN", ""},
		{"1e308", "9223372036.854775807", ""},
		{"0x1p62", "-0", "Wed, 21 Oct 2026 07:28:00 GMT"},
		{"", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"},
		{"", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"},
		{"\xff", "1_0", "Inf"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, ms, seconds, date string) {
		got := hint(http.Header{"Retry-After-Ms": {ms}, "Retry-After": {seconds}, "Date": {date}})
		if got < 0 && got != policy.NoHint {
			t.Errorf("ms %q, seconds %q, date %q: got %d", ms, seconds, date, got)
		}
		out := (&policy.Retry{MaxAttempts: 2}).Classify((&Error{Class: Throttled}).marked(got))
		if out.Hint < 0 || out.Hinted != (got != policy.NoHint) {
			t.Errorf("hint %v became %+v", got, out)
		}
	})
}
