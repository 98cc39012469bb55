package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	otherEnv = "LLMBATCH_TEST_OTHER_KEY"
	otherKey = "sk-another-never-to-be-seen"
)

// purse is an API with accounts: each key pays for so many answers.
type purse struct {
	*backend
	mu      sync.Mutex
	money   map[string]int // guarded by mu; by key
	answers map[string]int // guarded by mu
	refused map[string]int // guarded by mu
}

func newPurse(t *testing.T, money map[string]int) *purse {
	t.Helper()
	p := &purse{money: money, answers: make(map[string]int), refused: make(map[string]int)}
	p.backend = serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.money[key] == 0 {
			p.refused[key]++
			return refuse(w, 429, "insufficient_quota", "You exceeded your current quota, "+key+".")
		}
		p.money[key]--
		p.answers[key]++
		return false
	})
	return p
}

// twoKeys is a run with two keys.
func twoKeys(t *testing.T, baseURL string, prompts int) *batchRun {
	t.Helper()
	r := newRun(t, baseURL, prompts)
	t.Setenv(otherEnv, otherKey)
	return r
}

func (r *batchRun) mustHideKeys(t *testing.T) {
	t.Helper()
	for _, text := range []string{r.stdout.String(), r.stderr.String()} {
		if strings.Contains(text, theKey) || strings.Contains(text, otherKey) {
			t.Errorf("a key is shown:\n%s", text)
		}
	}
}

// One key runs out of money midway: the other does what is left, and what was refused is no more than was under way.
func TestOneKeyBroke(t *testing.T) {
	const prompts, paid, inFlight = 200, 40, 4
	api := newPurse(t, map[string]int{theKey: paid, otherKey: prompts})
	r := twoKeys(t, api.baseURL(), prompts)
	r.run(t, exitDone, "-api-key-env", keyEnv+","+otherEnv, "-max-in-flight", fmt.Sprint(inFlight))
	r.verify(t, 0)
	r.mustHideKeys(t)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
	if api.answers[theKey] != paid || api.answers[otherKey] != prompts-paid || api.refused[theKey] < 1 || api.refused[theKey] > inFlight {
		t.Errorf("answers %v, refused %v", api.answers, api.refused)
	}
	for text, where := range map[string]string{
		"llmbatch: " + keyEnv + " is set aside":             r.stderr.String(),
		"set aside: " + keyEnv + ": out_of_money: HTTP 429": r.stdout.String(),
	} {
		if !strings.Contains(where, text) {
			t.Errorf("%q is not said:\n%s", text, where)
		}
	}
}

// A key that is told to wait for an hour keeps nobody: what was bound to it goes to the other one, the one prompt that met it included.
func TestSlowKey(t *testing.T) {
	const prompts = 60
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if strings.Contains(r.Header.Get("Authorization"), otherKey) {
			w.Header().Set("Retry-After", "3600")
			return refuse(w, 429, "rate_limit_exceeded", "later")
		}
		return false
	})
	r := twoKeys(t, api.baseURL(), prompts)
	ended := inBackground(func() int {
		return run(r.args("-api-key-env", keyEnv+","+otherEnv, "-max-in-flight", "2", "-max-throttle-wait", "2h"), nil, r.console())
	})
	if code := ended(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	r.verify(t, 0)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": prompts})
}

// A prompt that has asked for long whether its key is up again can still be tried with another key that comes back.
func TestProbesMoveOn(t *testing.T) {
	r := twoKeys(t, "http://two/v1", 4)
	var began time.Time
	server := func() http.Handler {
		began = time.Now()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Authorization"), otherKey) || time.Since(began) < 90*time.Second {
				refuse(w, http.StatusServiceUnavailable, "overloaded", "later")
				return
			}
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`)
		})
	}
	code, _, _ := r.inBubble(t, server, r.args("-api-key-env", keyEnv+","+otherEnv, "-max-attempts", "10", "-run-deadline", "1h"))
	if records := r.records(t); code != exitDone || len(records) != 4 {
		t.Errorf("exit code %d, %d lines\n%s%s", code, len(records), r.stdout, r.stderr)
	}
}

func TestKeyringPick(t *testing.T) {
	ring := newKeyring([]credential{{"A", "a"}, {"B", "b"}}, 2)
	lanes := ring.of("m")
	a, b := lanes[0], lanes[1]
	if a.name != "A m" || b.name != "B m" || ring.of("m")[0] != a {
		t.Errorf("%+v %+v", a, b)
	}
	steps := []struct {
		name       string
		do         func()
		want       *lane
		wantsAlive bool
	}{
		{"the first when all is even", func() {}, a, true},
		{"the one in which fewer wait", func() { a.waiting = 1 }, b, true},
		{"of two alike, the one with less to do", func() { b.waiting, a.under, b.under = 1, 1, 9 }, a, true},
		{"one that is full takes none", func() { a.waiting = 2 }, b, true},
		{"none if all are full", func() { b.waiting = 2 }, nil, true},
		{"none that is dead", func() { b.waiting = 0; b.key.kill("broke") }, nil, true},
		{"nor any", func() { a.waiting = 0; a.key.kill("refused"); a.key.kill("again") }, nil, false},
	}
	for _, step := range steps {
		step.do()
		if got := ring.pick("m"); got != step.want || ring.alive() != step.wantsAlive {
			t.Errorf("%s: got %+v, alive %v", step.name, got, ring.alive())
		}
	}
	if got, want := ring.obituary(), "no API key is left (A: refused; B: broke)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := fmt.Sprintf("%v %+v", a.key.credential, &a.key.credential); strings.Contains(got, "{") || strings.Contains(got, "a") {
		t.Errorf("a credential prints as %s", got)
	}
}

// With a key of its own, a prompt's deadline begins with its first attempt, and ends it wherever it stands.
func TestDeadline(t *testing.T) {
	var api *backend
	answer := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		switch {
		case strings.HasPrefix(prompt, "Question 0"): // hangs
			<-r.Context().Done()
			return true
		case strings.HasPrefix(prompt, "Question 1"): // is put off
			w.Header().Set("Retry-After", "3600")
			return refuse(w, 500, "x", "later")
		}
		return false
	}
	r := newRun(t, "http://late/v1", 4)
	r.inBubbleRuns(t, func() http.Handler {
		api = judgedBy(t, answer)
		return api
	}, func(run func(args []string) int) {
		began := time.Now()
		code, took := run(r.args("-deadline", "300ms")), time.Since(began)
		if code != exitSomeFailed || took != 300*time.Millisecond {
			t.Errorf("exit code %d, it took %v", code, took)
		}
		mustSum(t, r.stdout.String(), map[string]int64{"answered": 2, "failed for good": 2})
		r.verify(t, 0)
		hits := api.hits.Load()
		if code := run(r.args("-deadline", "300ms")); code != exitSomeFailed { // they stay failed
			t.Errorf("the second time, exit code %d", code)
		}
		api.mustHit(t, hits, hits)
	})
	r.verify(t, 0)
	r.mustHideKey(t)
	records := r.records(t)
	for _, id := range []string{"id-0", "id-1"} {
		if got := records[id]; got.Error == nil || got.Error.Code != "deadline" {
			t.Errorf("%s: %+v %+v", id, got.Response, got.Error)
		}
	}
}
