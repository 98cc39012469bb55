package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// rules are those of the processor when nothing binds.
var rules = processorRules{requestsPerMinute: 1e6, tokensPerMinute: 1e9, attempts: 5, pause: 15 * time.Second, throttled: byMessage}

// arrival is when a prompt came, from the first one on.
type arrival struct {
	id string
	at time.Duration
}

// scripted is an API that answers as it is told, and notes what comes.
type scripted struct {
	prompts []prompt
	answer  func(n int) (status int, body string) // to the request with that number, from 1; 200 is well, whatever the body
	good    *fakellm.Server

	mu       sync.Mutex
	began    time.Time // guarded by mu
	arrivals []arrival // guarded by mu
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	if len(s.arrivals) == 0 {
		s.began = time.Now()
	}
	for _, p := range s.prompts {
		if bytes.Contains(body, []byte(p.text)) {
			s.arrivals = append(s.arrivals, arrival{p.id, time.Since(s.began)})
		}
	}
	n := len(s.arrivals)
	s.mu.Unlock()
	status, text := s.answer(n)
	if status == http.StatusOK {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.good.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// story runs the processor over so many prompts.
func story(t *testing.T, r processorRules, n int, answer func(n int) (status int, body string)) (lines, []arrival) {
	t.Helper()
	good, err := fakellm.New(fakellm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	api := &scripted{prompts: somePrompts(n, 1), answer: answer, good: good}
	got, _ := inBubble(t, api.prompts, contender{run: r.run}, func() http.Handler { return api })
	return got, api.arrivals
}

// well answers everything.
func well(int) (int, string) { return 200, "" }

const throttle = `{"error":{"message":"Rate limit reached for requests.","type":"requests","code":"rate_limit_exceeded"}}`

// times are arrivals at these times of prompts with these numbers.
func times(pairs ...any) []arrival {
	var all []arrival
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, arrival{fmt.Sprintf("prompt-%d", pairs[i]), pairs[i+1].(time.Duration)})
	}
	return all
}

// After a throttle nothing is sent for 15 s, and then what was throttled before anything new, one a millisecond.
func TestProcessorPauses(t *testing.T) {
	const ms = time.Millisecond
	got, arrivals := story(t, rules, 3, func(n int) (int, string) {
		if n == 1 {
			return 429, throttle
		}
		return 200, ""
	})
	want := times(1, 0*ms, 1, 15000*ms, 2, 15001*ms, 3, 15002*ms)
	if got.right != 3 || !reflect.DeepEqual(arrivals, want) {
		t.Errorf("%+v, %v, want %v", got, arrivals, want)
	}
}

// The script of today knows no throttle of OpenAI's, and goes on.
func TestProcessorOfToday(t *testing.T) {
	const ms = time.Millisecond
	today := rules
	today.throttled = byCode
	got, arrivals := story(t, today, 2, func(n int) (int, string) {
		if n == 1 {
			return 429, throttle
		}
		return 200, ""
	})
	want := times(1, 0*ms, 1, 1*ms, 2, 2*ms)
	if got.right != 2 || !reflect.DeepEqual(arrivals, want) {
		t.Errorf("%+v, %v, want %v", got, arrivals, want)
	}
	got, arrivals = story(t, today, 1, func(n int) (int, string) {
		if n == 1 {
			return 429, strings.Replace(throttle, "rate_limit_exceeded", "429", 1)
		}
		return 200, ""
	})
	if want := times(1, 0*ms, 1, 15000*ms); got.right != 1 || !reflect.DeepEqual(arrivals, want) {
		t.Errorf("Azure's: %+v, %v, want %v", got, arrivals, want)
	}
}

// A prompt is sent five times, whatever the error, be it none of the API's; then its line says so.
func TestProcessorGivesUp(t *testing.T) {
	const ms = time.Millisecond
	for _, body := range []string{`{"error":{"message":"The server had an error.","code":null}}`, "<html>502</html>", ""} {
		got, arrivals := story(t, rules, 2, func(n int) (int, string) {
			if n <= 5 {
				return 500, body
			}
			return 200, ""
		})
		want := times(1, 0*ms, 1, 1*ms, 1, 2*ms, 1, 3*ms, 1, 4*ms, 2, 5*ms)
		if want := (lines{right: 1, failed: 1}); got != want {
			t.Errorf("%q: %+v, want %+v", body, got, want)
		}
		if !reflect.DeepEqual(arrivals, want) {
			t.Errorf("%q: %v, want %v", body, arrivals, want)
		}
	}
}

// In the first minute it sends twice its limit, less one: what the bucket starts with goes at once.
func TestProcessorStartsFull(t *testing.T) {
	slow := rules
	slow.requestsPerMinute = 60
	_, arrivals := story(t, slow, 125, well)
	counts := [3]int{}
	for _, a := range arrivals {
		switch {
		case a.at < 100*time.Millisecond:
			counts[0]++
		case a.at < time.Minute:
			counts[1]++
		default:
			counts[2]++
		}
	}
	if want := [3]int{60, 59, 6}; counts != want {
		t.Errorf("%v at once, within a minute, and later; want %v", counts, want)
	}
}

// The bucket of tokens holds requests back like the other.
func TestProcessorCountsTokens(t *testing.T) {
	const each = 2 + 64 + 4 // a prompt of no length
	slow := rules
	slow.tokensPerMinute = 10 * each
	_, arrivals := story(t, slow, 12, well)
	cost := 0.0
	for _, p := range somePrompts(12, 1) {
		if tokens := tokensOf(p.body); tokens != float64(each+(len(p.text)+3)/4) {
			t.Errorf("%q costs %v", p.text, tokens)
		}
		cost += tokensOf(p.body)
	}
	want := time.Duration((cost/slow.tokensPerMinute - 1) * float64(time.Minute)) // what it starts with is a minute's
	last := arrivals[len(arrivals)-1].at
	if off := last - want; off < -2*time.Millisecond || off > 2*time.Millisecond {
		t.Errorf("the last of %d came after %v, want %v", len(arrivals), last, want)
	}
	if tokens := tokensOf([]byte(`{}`)); tokens != 2+15 {
		t.Errorf("without max_tokens: %v", tokens)
	}
}

// Half of the limit, which its help recommends, makes no difference on the API of the comparison, where the pauses bind. The report says so.
func TestProcessorAtHalfTheLimit(t *testing.T) {
	s := hostile(600, 1)
	var took [2]time.Duration
	for i, share := range []float64{1, 0.5} {
		r := rules
		r.requestsPerMinute, r.tokensPerMinute = share*s.perMinute(), processorTokens
		var api *fakellm.Server
		var got lines
		got, took[i] = inBubble(t, s.prompts, contender{run: r.run}, func() http.Handler {
			api, _ = fakellm.New(s.api)
			return api
		})
		if bill := api.Ledger(); got.right != 600 || bill.Throttled() == 0 || took[i] < s.pause {
			t.Errorf("%+v, %d throttled, %v", got, bill.Throttled(), took[i])
		}
	}
	if took[0] != took[1] {
		t.Errorf("%v at the limit, %v at half of it", took[0], took[1])
	}
}
