package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// bounded writes prompts whose answers may have so many tokens.
func (r *batchRun) bounded(t *testing.T, prompts, maxTokens int) {
	t.Helper()
	r.bodies(t, slices.Repeat([]int{maxTokens}, prompts)...)
}

// bodies writes prompts whose answers may have so many tokens each.
func (r *batchRun) bodies(t *testing.T, maxTokens ...int) {
	t.Helper()
	var lines strings.Builder
	for n, maxTokens := range maxTokens {
		id, prompt := fmt.Sprintf("id-%d", n), fmt.Sprintf("Question %d", n)
		line := batchLine(id, prompt)
		lines.WriteString(strings.Replace(line, `"model":"fake-mini"`, fmt.Sprintf(`"model":"fake-mini","max_tokens":%d`, maxTokens), 1))
		r.prompts[id] = prompt
	}
	r.write(t, lines.String())
}

func TestParsePrice(t *testing.T) {
	tests := []struct {
		text string
		want price // zero: refused
	}{
		{"in=0.15,out=0.6", price{known: true, in: 0.15, cached: 0.15, out: 0.6}},
		{"out=4,cached=0.5,in=1", price{known: true, in: 1, cached: 0.5, out: 4}},
		{"in=0,out=0", price{known: true}},
		{"", price{}}, {"in=1", price{}}, {"out=1", price{}}, {"in=1,out=", price{}}, {"in=1,out=2,in=3", price{}}, {"in=1,out=2,more=3", price{}},
		{"in=1,out=-2", price{}}, {"in=NaN,out=2", price{}}, {"in=1,out=2,cached=Inf", price{}}, {"1,2", price{}}, {"in=1,out=2,", price{}},
	}
	for _, test := range tests {
		got, err := parsePrice(test.text)
		if got != test.want || (err == nil) != test.want.known {
			t.Errorf("%q: got %+v, %v", test.text, got, err)
		}
	}
	p := price{known: true, in: 1, cached: 0.25, out: 4}
	if got, want := p.billed(api.Usage{Input: 1_000_000, Cached: 400_000, Output: 500_000}), 0.6+0.1+2; math.Abs(got-want) > 1e-12 {
		t.Errorf("billed %v, want %v", got, want)
	}
	if got := p.estimated(api.Estimate{Input: 1_000_000, Output: 250_000}); got != 2 {
		t.Errorf("estimated %v", got)
	}
}

// A budget is never overshot, however many are under way, where it is known what answers may have, and most of it is used.
func TestBudgets(t *testing.T) {
	const prompts, most = 60, 40 // tokens of an answer, at most
	prices := price{known: true, in: 1, cached: 1, out: 10}
	tests := []struct {
		name   string
		flags  []string
		budget float64
		spent  func(fakellm.Ledger) float64
		says   []string
	}{
		{"tokens", []string{"-budget-tokens", "1500"}, 1500, func(l fakellm.Ledger) float64 { return float64(l.PromptTokens + l.CompletionTokens) }, []string{"this run's -budget-tokens is used up: of 1500", "the same command may use as much again"}},
		{"dollars", []string{"-price", "in=1,out=10", "-budget-usd", "0.009"}, 0.009, func(l fakellm.Ledger) float64 {
			return prices.billed(api.Usage{Input: l.PromptTokens, Output: l.CompletionTokens})
		}, []string{"this run's -budget-usd is used up: of $0.009", "the same command may spend as much again"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := fake(t, fakellm.Config{Keys: []string{theKey}})
			r := newRun(t, server.BaseURL(), 0)
			r.bounded(t, prompts, most)
			r.run(t, exitPaused, append(test.flags, "-max-in-flight", "16")...)
			bill := server.Ledger()
			spent := test.spent(bill)
			if spent > test.budget || spent < 0.8*test.budget {
				t.Errorf("%v of %v were used", spent, test.budget)
			}
			mustSum(t, r.stdout.String(), map[string]int64{"answered": int64(bill.Completed), "left": int64(prompts - bill.Completed)})
			for _, words := range append(test.says, "prompts are left") {
				if !strings.Contains(r.stderr.String(), words) {
					t.Errorf("%q is not said:\n%s", words, r.stderr)
				}
			}
			if rows := summary(r.stdout.String()); test.name == "dollars" && !strings.Contains(r.stdout.String(), fmt.Sprintf("$%.6f", spent)) {
				t.Errorf("the cost is not said: %v\n%s", rows, r.stdout)
			}
		})
	}
}

// Where bodies don't bound their answers, a budget can be overshot by those that are under way, but not by others; and -set bounds them.
// Answers of no use are billed like others.
func TestBudgetUnbounded(t *testing.T) {
	const answer, inFlight, budget = 5000, 4, 12_000
	tests := []struct {
		flags       []string
		least, most int64 // requests
	}{
		{nil, inFlight, inFlight + 2}, // when the first answers have come, one or two more fit, by what is taken out for each
		{[]string{"-set", fmt.Sprintf("max_tokens=%d", answer)}, 2, budget / answer},
		{[]string{"-set", fmt.Sprintf("max_completion_tokens=%d", answer)}, 2, budget / answer},
	}
	for n := range 2 * len(tests) {
		test, choices := tests[n/2], []string{`{"message":{"content":"x"},"finish_reason":"stop"}`, ""}[n%2]
		var sent atomic.Int64
		long := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Second) // so that as many are under way as may be
			_, _ = fmt.Fprintf(w, `{"choices":[%s],"usage":{"prompt_tokens":30,"completion_tokens":%d}}`, choices, answer)
		})
		r := newRun(t, "http://long/v1", 20)
		flags := append([]string{"-budget-tokens", fmt.Sprint(budget), "-max-in-flight", fmt.Sprint(inFlight)}, test.flags...)
		code, _, _ := r.inBubble(t, func() http.Handler { return long }, r.args(flags...))
		if n := sent.Load(); code != exitPaused || n < test.least || n > test.most {
			t.Errorf("%v, [%s]: exit code %d, %d requests; want %d to %d", test.flags, choices, code, n, test.least, test.most)
		}
	}
}

// A prompt that the whole budget would not pay for is not sent; the others are, wherever they stand.
func TestBudgetTooSmall(t *testing.T) {
	const dear, cheap = 1000, 100
	tests := []struct {
		most  []int // tokens of the answers
		flags []string
		sent  int64
		says  []string
	}{
		{[]int{dear, dear, dear}, []string{"-budget-tokens", "500"}, 0,
			[]string{`line 1 ("id-0") may take 10`, "all of -budget-tokens 500", "and 2 more are like it", "3 of 3 prompts are left"}},
		{[]int{cheap, dear, cheap}, []string{"-budget-tokens", "500", "-order", "input"}, 2,
			[]string{`line 2 ("id-1") may take 10`, "all of -budget-tokens 500;", "1 of 3 prompts are left"}},
		{[]int{dear, cheap}, []string{"-budget-usd", "0.005", "-price", "in=1,out=10"}, 1,
			[]string{`line 1 ("id-0") may cost $0.01`, "all of -budget-usd 0.005;", "a lower max_tokens", "1 of 2 prompts are left"}},
	}
	for _, test := range tests {
		api := serve(t, answers)
		r := newRun(t, api.baseURL(), 0)
		r.bodies(t, test.most...)
		r.run(t, exitPaused, test.flags...)
		api.mustHit(t, test.sent, test.sent)
		for _, words := range test.says {
			if !strings.Contains(r.stderr.String(), words) {
				t.Errorf("%q is not said:\n%s", words, r.stderr)
			}
		}
		r.again(t, exitPaused, test.flags...)
		api.mustHit(t, test.sent, test.sent)
	}
}

// Those that wait for the answer to one that turns out to be too dear are as dear as that, and nobody waits for them.
func TestBudgetTooSmallForFollowers(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	const cheap = 40 // more than are bound to the one key at once
	for n := range cheap {
		r.add(&lines, fmt.Sprintf("id-%d", n), fmt.Sprintf("Question %d", n))
	}
	for n := range 3 {
		r.add(&lines, fmt.Sprintf("dear-%d", n), strings.Repeat("long ", 20_000))
	}
	r.write(t, lines.String())
	r.run(t, exitPaused, "-budget-tokens", "2000", "-dedupe", "always", "-set", "max_tokens=9", "-max-in-flight", "1")
	api.mustHit(t, cheap, cheap)
	for _, words := range []string{`("dear-0") may take`, "and 2 more are like it", "3 of 43 prompts are left"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
}

// Who is forgotten keeps nothing from being read.
func TestRepeatsForget(t *testing.T) {
	r := newRepeats("always")
	item := batchfile.Item{ID: "a", Body: []byte(`{"messages":[]}`)}
	d, shares := r.shares(&item)
	if !shares {
		t.Fatal("it shares nothing")
	}
	r.leaders[d], r.waiting = make([]batchfile.Item, 2), 2
	if n := r.forget(&item); n != 2 || r.waiting != 0 || len(r.leaders) != 0 {
		t.Errorf("%d forgotten, %d wait, %d lead", n, r.waiting, len(r.leaders))
	}
	if n := r.forget(&item); n != 0 || r.waiting != 0 {
		t.Errorf("again: %d forgotten, %d wait", n, r.waiting)
	}
}

// Those that ask the same as one that is too dear neither wait for its answer nor keep the input from being read on.
func TestBudgetTooSmallForMany(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	for n := range mostFollowers + 10 {
		r.add(&lines, fmt.Sprintf("id-%d", n), strings.Repeat("long ", 80))
	}
	r.add(&lines, "last", "Question")
	r.write(t, lines.String())
	r.run(t, exitPaused, "-budget-tokens", "60", "-dedupe", "always", "-set", "max_tokens=9")
	api.mustHit(t, 1, 1)
}

// Every limit holds prompts back from the first second on, and -run-deadline ends the wait: what is left stays as it is.
func TestEveryLimitHolds(t *testing.T) {
	tests := []struct {
		flags []string
		sent  int64
	}{
		{[]string{"-rpd", "2"}, 2},
		{[]string{"-rpm", "3", "-burst", "2"}, 2},
		{[]string{"-tpm", "120"}, 2},
		{[]string{"-otpm", "50"}, 2},
		{[]string{"-itpm", "70"}, 2},
	}
	for _, test := range tests {
		t.Run(test.flags[0], func(t *testing.T) {
			r := newRun(t, "http://quick/v1", 0)
			r.bounded(t, 9, 20)
			quick := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
				_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":20}}`)
				return true
			}
			api, took := r.runInBubble(t, exitPaused, quick, append(test.flags, "-run-deadline", "400ms", "-max-in-flight", "1")...)
			if took != 400*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			api.mustHit(t, test.sent, test.sent)
			if words := "-run-deadline of 400ms has passed"; !strings.Contains(r.stderr.String(), words) {
				t.Errorf("%q is not said:\n%s", words, r.stderr)
			}
		})
	}
}

// What was estimated too high is there again as soon as it is known: at 1,024 tokens an answer, a minute would have room for one.
func TestTokensAreSettled(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 20)
	ended := inBackground(func() int { return run(r.args("-tpm", "2000"), nil, r.console()) })
	if code := ended(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
}

// In any minute and a quarter of a second no more tokens are charged than the limit has, whatever the sizes, and nearly all of them.
func TestTokenWindow(t *testing.T) {
	s := settings{tpm: 9000, itpm: 1, otpm: 2, rpd: 3}
	limits := s.limits()
	names := map[string]policy.Rate{}
	for _, l := range limits {
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		if names[l.Name] = l.Rate; !l.PerKey || !l.Sliding || l.Settled != (l.Name != limitRequestsDay) {
			t.Errorf("%+v", l)
		}
	}
	want := map[string]policy.Rate{limitTokens: policy.Per(9000, minute), limitInput: policy.Per(1, minute), limitOutput: policy.Per(2, minute), limitRequestsDay: policy.PerDay(3)}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("%v", names)
	}
}

func TestCosts(t *testing.T) {
	s := settings{rpm: 600, burst: 10, tpm: 1000, itpm: 100, otpm: 2000, rpd: 5, budgetTokens: 1e6, budgetUSD: 1, price: price{known: true, in: 1, cached: 1, out: 2}}
	m := newMeter(&s)
	got := make(map[string]float64)
	for _, cost := range m.costs(estimate{api.Estimate{Input: 150, Output: 900}, 900}) {
		got[cost.Limit] = cost.Tokens
	}
	want := map[string]float64{
		limitTokens: 1000 /* not 1050 */, limitInput: 100 /* not 150 */, limitOutput: 900, budgetTokens: 1050, budgetUSD: (150 + 1800) / 1e6 * mills,
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for name, tokens := range want {
		if math.Abs(got[name]-tokens) > 1e-9 {
			t.Errorf("%s costs %v, want %v", name, got[name], tokens)
		}
	}
}

// settlements is what an attempt was corrected to, by limit.
type settlements map[string]float64

func (s settlements) SettleAttempt(_ int, limit string, actual float64) error {
	s[limit] = actual
	return nil
}

// An input of which a server says nothing stays charged as it was estimated.
func TestSettle(t *testing.T) {
	s := settings{itpm: 1000, otpm: 1000, budgetTokens: 1e6, budgetUSD: 1, price: price{known: true, in: 1000, cached: 1000, out: 1000}}
	for u, want := range map[api.Usage]settlements{
		{}:                     {},
		{Output: 12}:           {limitInput: 30, limitOutput: 12, budgetTokens: 42, budgetUSD: 42},
		{Input: 9}:             {limitInput: 9, limitOutput: 0, budgetTokens: 9, budgetUSD: 9},
		{Input: 9, Output: 12}: {limitInput: 9, limitOutput: 12, budgetTokens: 21, budgetUSD: 21},
	} {
		got := settlements{}
		ctx := job.WithAttempt(t.Context(), job.Attempt{}.WithSettler(got))
		newMeter(&s).settle(ctx, estimate{Estimate: api.Estimate{Input: 29.5, Output: 1024}}, u)
		if !maps.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%+v: %v, want %v", u, got, want)
		}
	}
}

// Once there is experience, a limit per minute is charged what is likely; a budget never less than what may come.
func TestLikely(t *testing.T) {
	s := settings{otpm: 1e6, budgetTokens: 1e6}
	m := newMeter(&s)
	r := api.Request{Model: "m", Input: 10, Exact: true, MaxOutput: 5000, Outputs: true}
	for n := range experience {
		e := m.estimate(r)
		if e.likely != 5000 {
			t.Fatalf("after %d answers: %+v", n, e)
		}
		m.learn("m", e, api.Usage{Input: 10, Output: 100})
	}
	e := m.estimate(r)
	if e.Output != 5000 || e.likely < 2*100 || e.likely > 2*128 {
		t.Errorf("%+v", e)
	}
	got := fmt.Sprint(m.costs(e))
	if want := fmt.Sprintf("[{%s %g} {%s 5010}]", limitOutput, e.likely, budgetTokens); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.MaxOutput = 150; m.estimate(r).likely != 150 {
		t.Errorf("more than it may have: %+v", m.estimate(r))
	}
}

func TestSet(t *testing.T) {
	api, bodies := listening(t)
	r := newRun(t, api.baseURL(), 0)
	r.write(t, `{"model":"x", "temperature" : 1.0 ,"messages":[{"role":"user","content":"one"}]}`+"\n")
	r.run(t, exitDone, "-set", "temperature=0", "-set", `stop=["a","b"]`, "-set", "user=me & you", "-set", "model=y")
	want := `{"user":"me & you","stop":["a","b"],"model":"y", "temperature" : 0 ,"messages":[{"role":"user","content":"one"}]}`
	if got := bodies(); len(got) != 1 || got[0] != want {
		t.Errorf("sent %q, want %s", got, want)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		t.Error(err)
	}
}
