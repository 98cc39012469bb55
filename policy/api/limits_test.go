package api_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// seen is an observation without what is not exported.
type seen struct {
	limit      string
	most, left float64
	reset      time.Duration
	span       time.Duration
	window     bool
	rate       policy.Rate // zero: it cannot be told
}

func observe(h http.Header, received time.Time) []seen {
	var all []seen
	for _, o := range api.Limits(h, received) {
		rate, _ := o.Rate()
		all = append(all, seen{o.Limit, o.Max, o.Remaining, o.Reset, o.Span, o.Window, rate})
	}
	return all
}

func TestLimits(t *testing.T) {
	minute := time.Minute
	for _, test := range []struct {
		name    string
		headers []string
		want    []seen
	}{
		{"nothing", nil, nil},
		{"OpenAI", []string{
			"x-ratelimit-limit-requests", "10000", "x-ratelimit-remaining-requests", "9000", "x-ratelimit-reset-requests", "6s",
			"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6ms",
		}, []seen{
			{limit: "requests", most: 10000, left: 9000, reset: 6 * time.Second, rate: policy.PerMinute(10000)},
			{limit: "tokens", most: 150000, left: 149984, reset: 6 * time.Millisecond}, // too little is missing to tell
		}},
		{"OpenAI, of a project", []string{
			"x-ratelimit-limit-project-requests", "60", "x-ratelimit-remaining-project-requests", "30", "x-ratelimit-reset-project-requests", "30s",
			"x-ratelimit-limit-project-tokens", "1000", "x-ratelimit-remaining-project-tokens", "1000", "x-ratelimit-reset-project-tokens", "0s",
		}, []seen{
			{limit: "project-requests", most: 60, left: 30, reset: 30 * time.Second, rate: policy.PerMinute(60)},
			{limit: "project-tokens", most: 1000, left: 1000},
		}},
		{"Anthropic", []string{
			"date", date,
			"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49", "anthropic-ratelimit-requests-reset", "2026-10-21T07:28:02Z",
			"anthropic-ratelimit-tokens-limit", "40000", "anthropic-ratelimit-tokens-remaining", "39000", "anthropic-ratelimit-tokens-reset", "2026-10-21T07:28:03Z",
			"anthropic-ratelimit-input-tokens-limit", "40000", "anthropic-ratelimit-input-tokens-remaining", "0", "anthropic-ratelimit-input-tokens-reset", "2026-10-21T07:29:00Z",
			"anthropic-ratelimit-output-tokens-limit", "8000", "anthropic-ratelimit-output-tokens-remaining", "8000", "anthropic-ratelimit-output-tokens-reset", "2026-10-21T07:28:00Z",
		}, []seen{
			{limit: "requests", most: 50, left: 49, reset: 2 * time.Second, span: minute, rate: policy.PerMinute(50)},
			{limit: "tokens", most: 40000, left: 39000, reset: 3 * time.Second, span: minute, rate: policy.PerMinute(40000)},
			{limit: "input-tokens", most: 40000, left: 0, reset: minute, span: minute, rate: policy.PerMinute(40000)},
			{limit: "output-tokens", most: 8000, left: 8000, reset: 0, span: minute, rate: policy.PerMinute(8000)},
		}},
		{"Azure", []string{
			"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "59", "x-ratelimit-reset-requests", "1", "x-ratelimit-renewalperiod-requests", "10",
			"x-ratelimit-limit-tokens", "20000", "x-ratelimit-remaining-tokens", "10000", "x-ratelimit-reset-tokens", "30",
		}, []seen{
			{limit: "requests", most: 60, left: 59, reset: time.Second, span: 10 * time.Second, rate: policy.Per(60, 10*time.Second)},
			{limit: "tokens", most: 20000, left: 10000, reset: 30 * time.Second, rate: policy.PerMinute(20000)},
		}},
		{"Azure, which does not know", []string{
			"x-ratelimit-limit-tokens", "-1", "x-ratelimit-remaining-tokens", "-1", "x-ratelimit-reset-tokens", "0",
			"x-ratelimit-remaining-requests", "79",
		}, []seen{{limit: "requests", most: api.Unknown, left: 79, reset: policy.NoHint}}},
		{"Gemini, which says nothing", []string{"content-type", "application/json"}, nil},
		{"Groq, requests of a day", []string{
			"x-ratelimit-limit-requests", "14400", "x-ratelimit-remaining-requests", "14370", "x-ratelimit-reset-requests", "2m59.56s",
			"x-ratelimit-limit-tokens", "18000", "x-ratelimit-remaining-tokens", "17997", "x-ratelimit-reset-tokens", "7.66ms",
		}, []seen{
			{limit: "requests", most: 14400, left: 14370, reset: 2*minute + 59560*time.Millisecond, rate: policy.PerDay(14400)},
			{limit: "tokens", most: 18000, left: 17997, reset: 7660 * time.Microsecond},
		}},
		{"Mistral", []string{
			"date", later,
			"x-ratelimit-limit-req-minute", "60", "x-ratelimit-remaining-req-minute", "59",
			"x-ratelimit-limit-tokens-minute", "500000", "x-ratelimit-remaining-tokens-minute", "499995",
		}, []seen{
			{limit: "requests", most: 60, left: 59, reset: 30 * time.Second, span: minute, window: true, rate: policy.PerMinute(60)},
			{limit: "tokens", most: 500000, left: 499995, reset: 30 * time.Second, span: minute, window: true, rate: policy.PerMinute(500000)},
		}},
		{"OpenRouter", []string{"date", date, "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "5", "X-RateLimit-Reset", "1792567713000"},
			[]seen{{limit: "requests", most: 20, left: 5, reset: 33 * time.Second, window: true}}},
		{"more left than there is", []string{"x-ratelimit-limit-requests", "10", "x-ratelimit-remaining-requests", "11", "x-ratelimit-reset-requests", "5s"},
			[]seen{{limit: "requests", most: 10, left: api.Unknown, reset: 5 * time.Second}}},
		{"a limit of nothing", []string{"x-ratelimit-limit-requests", "0", "x-ratelimit-remaining-requests", "0"},
			[]seen{{limit: "requests", most: api.Unknown, left: 0, reset: policy.NoHint}}},
		{"nonsense", []string{"x-ratelimit-limit-requests", "many", "x-ratelimit-remaining-requests", "NaN", "x-ratelimit-reset-requests", "soon"}, nil},
		{"only a reset", []string{"x-ratelimit-reset-requests", "5s"}, nil},
		{"beyond belief", []string{"x-ratelimit-limit-requests", "1e300", "x-ratelimit-remaining-requests", "Inf"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := observe(headers(test.headers...), time.Time{}); !slices.Equal(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// The window of a clock on the wall needs the time of day: of the answer, or of its receipt.
func TestLimitsWithoutDate(t *testing.T) {
	h := headers("x-ratelimit-limit-req-minute", "60", "x-ratelimit-remaining-req-minute", "0")
	for received, want := range map[time.Time]time.Duration{dated.Add(15 * time.Second): 45 * time.Second, {}: policy.NoHint} {
		if got := api.Limits(h, received); len(got) != 1 || got[0].Reset != want {
			t.Errorf("received %v: %+v", received, got)
		}
		if got := api.Read(api.Answer{Status: 429, Header: h, Received: received}); got.Hint != want {
			t.Errorf("received %v: hint %v", received, got.Hint)
		}
	}
}

// The span of a limit follows from what is missing and the time that takes to fill, as far as that is exact enough.
func TestRate(t *testing.T) {
	for _, test := range []struct {
		name              string
		most, left, reset string
		want              policy.Rate
	}{
		{"one of few is missing", "60", "59", "1s", policy.PerMinute(60)},
		{"a second's", "100", "50", "500ms", policy.PerSecond(100)},
		{"ten seconds'", "100", "50", "5s", policy.Per(100, 10*time.Second)},
		{"an hour's", "100", "50", "30m0s", policy.PerHour(100)},
		{"a day's", "200", "100", "12h0m0s", policy.PerDay(200)},
		{"of no usual span: the longest that it can be", "100", "50", "1m0s", policy.Per(100, 60_010*time.Millisecond*100/49)},
		{"of no usual span, and what is left is no whole number", "100", "50.5", "1m0s", policy.Per(100, 60_010*time.Millisecond*1000/495)},
		{"of a few, one more may be left than it says", "10", "3", "630ms", policy.PerSecond(10)},
		{"of a few, and of no usual span", "8", "1", "1.6s", policy.Rate{}},
		{"of one that is missing, nobody knows how much is", "500", "499", "60ms", policy.Rate{}},
		{"a minute, rounded to seconds", "30", "0", "59", policy.PerMinute(30)},
		{"a minute, and a little more", "100", "50", "30.2s", policy.PerMinute(100)},
		{"a minute, and a little less", "100", "50", "29.8s", policy.PerMinute(100)},
		{"too coarse to tell", "30", "29", "2", policy.Rate{}},
		{"too fine to tell", "150000", "149999", "1ms", policy.Rate{}},
		{"of no usual span, and coarse", "100", "50", "10", policy.Rate{}},
		{"nothing is missing", "60", "60", "0s", policy.Rate{}},
		{"something is missing, but fills in no time", "60", "59", "0s", policy.Rate{}},
		{"longer than is believed", "1000000", "999999", "24h0m0s", policy.Rate{}},
	} {
		h := headers("x-ratelimit-limit-requests", test.most, "x-ratelimit-remaining-requests", test.left, "x-ratelimit-reset-requests", test.reset)
		got, ok := api.Limits(h, time.Time{})[0].Rate()
		if got != test.want || ok != !test.want.IsZero() {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// What is used up has something again long before it is full.
func TestHintFromLimits(t *testing.T) {
	for _, test := range []struct {
		name    string
		tokens  float64
		headers []string
		want    time.Duration
	}{
		{"requests: the time of one", 0, []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m0s"}, time.Second},
		{"of what is left nobody waits", 0, []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "1", "x-ratelimit-reset-requests", "59s"}, policy.NoHint},
		{"tokens: the time of those that are asked for", 3000, []string{"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s"}, 3 * time.Second},
		{"tokens: more than there are", 90000, []string{"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s"}, time.Minute},
		{"tokens that nobody has counted", 0, []string{"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s"}, policy.NoHint},
		{"of a bucket without a size", 0, []string{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m0s"}, policy.NoHint},
		{"a window comes back at once", 0, []string{"x-ratelimit-limit", "60", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "40"}, 40 * time.Second},
		{"a window without a size", 0, []string{"x-ratelimit-remaining", "0", "x-ratelimit-reset", "40"}, 40 * time.Second},
		{"the longest of all", 600, []string{
			"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m0s",
			"x-ratelimit-limit-tokens", "6000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s",
		}, 6 * time.Second},
		{"the longest of all, which comes first", 1, []string{
			"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m0s",
			"x-ratelimit-limit-tokens", "6000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s",
		}, time.Second},
		{"no word on when", 0, []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0"}, policy.NoHint},
	} {
		got := api.Read(api.Answer{Status: 429, Header: headers(test.headers...), Tokens: test.tokens})
		if got.Hint != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got.Hint, test.want)
		}
	}
}

// Two dialects in one answer, as proxies have it: each limit is there once.
func TestLimitsOnce(t *testing.T) {
	h := headers("x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "9", "x-ratelimit-limit", "100", "x-ratelimit-remaining", "50")
	if got := observe(h, dated); len(got) != 1 || got[0].most != 60 {
		t.Errorf("%+v", got)
	}
}
