package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// The main promise, against an API that throttles, fails and hangs up: everything is answered, once, and the figures are true.
func TestAllAnswered(t *testing.T) {
	const prompts = 80
	api := fake(t, fakellm.Config{
		Fail: 0.2, Throttle: 0.02, Latency: fakellm.Range{Min: time.Millisecond, Max: 10 * time.Millisecond}, Keys: []string{theKey}, Seed: 7,
	})
	r := newRun(t, api.BaseURL(), prompts)
	r.run(t, exitDone)
	r.verify(t, 0)

	bill := api.Ledger()
	if len(bill.CompletedPerPrompt) != 1 || bill.CompletedPerPrompt[1] != prompts {
		t.Errorf("answers per prompt: %v; want each once", bill.CompletedPerPrompt)
	}
	if bill.Failed() == 0 || bill.ThrottledArbitrary == 0 {
		t.Errorf("the API was not hostile at all: %+v", bill)
	}
	records := r.records(t)
	if len(records) != prompts {
		t.Errorf("%d lines", len(records))
	}
	for id, prompt := range r.prompts {
		mustAnswer(t, records[id], prompt)
	}
	mustSum(t, r.stdout.String(), map[string]int64{
		"prompts": prompts, "answered": prompts,
		"requests": int64(bill.Received), "throttled": int64(bill.ThrottledArbitrary), "errors": int64(bill.Failed()),
		"prompt tokens": bill.PromptTokens, "completion tokens": bill.CompletionTokens,
	})
	if rows := summary(r.stdout.String()); rows["left"] != nil || rows["failed for good"] != nil {
		t.Errorf("rows that have nothing to say:\n%s", r.stdout)
	}
	if want := "results are in " + r.out; !strings.Contains(r.stdout.String(), want) {
		t.Errorf("%q is not said:\n%s", want, r.stdout)
	}
	if r.stderr.String() != "" {
		t.Errorf("stderr: %s", r.stderr)
	}
}

// Bodies go out as they are in the file, and models that are missing are put in.
func TestForms(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]string)
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		mu.Lock()
		defer mu.Unlock()
		seen[prompt] = string(body)
		return false
	})
	tests := []struct {
		name, content string
		flags         []string
		ids           []string
		sent          map[string]string // prompt -> body; empty: only that it was sent
	}{
		{"batch", `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"one"}],  "model":"x"}}`,
			nil, []string{"a"}, map[string]string{"one": `{"messages":[{"role":"user","content":"one"}],  "model":"x"}`}},
		{"bodies", `{"model":"x","messages":[{"content":"two","role":"user"}],"metadata":{"row":7}}`,
			nil, []string{"line-1"}, map[string]string{"two": `{"model":"x","messages":[{"content":"two","role":"user"}],"metadata":{"row":7}}`}},
		{"objects", `{"text":"three","id":3}` + "\n\n" + `{"text":"four"}`, []string{"-prompt-field", "text", "-model", "y"}, []string{"line-1", "line-3"}, map[string]string{"three": "", "four": ""}},
		{"text", "five\r\nsix\r\n", []string{"-model", "y"}, []string{"line-1", "line-2"}, map[string]string{"five": "", "six": ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(t, api.baseURL(), 0)
			r.write(t, test.content)
			r.run(t, exitDone, test.flags...)
			r.verify(t, 0)
			records := r.records(t)
			for _, id := range test.ids {
				if _, there := records[id]; !there {
					t.Errorf("no line for %s among %v", id, records)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for prompt, body := range test.sent {
				if got := seen[prompt]; got == "" || body != "" && got != body {
					t.Errorf("sent %s for %q, want %s", got, prompt, body)
				}
			}
		})
	}
}

// What fails has its line, with as much of the server's word as there is, and costs the others nothing.
func TestSomeFailed(t *testing.T) {
	const body500 = `{"error":{"message":"no luck","type":"test","param":null,"code":"luckless"}}`
	var mu sync.Mutex
	seen := make(map[string]int)
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		mu.Lock()
		seen[prompt]++
		attempt := seen[prompt]
		mu.Unlock()
		switch prompt {
		case "bad":
			return refuse(w, 400, "invalid_value", "not like that")
		case "long":
			return refuse(w, 400, "context_length_exceeded", "too long")
		case "rude":
			return refuse(w, 400, "content_filter", "not nice")
		case "boom":
			w.Header().Set("X-Request-Id", fmt.Sprintf("req_boom_%d", attempt))
			w.WriteHeader(500)
			_, _ = io.WriteString(w, body500)
			return true
		case "page":
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>\n502\n</html>")
			return true
		case "cut":
			return hangUp(w)
		case "empty":
			_, _ = io.WriteString(w, `{"error":{"message":"upstream","code":502},"choices":[]}`)
			return true
		case "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return true
		case "second":
			return attempt == 1 && refuse(w, 500, "x", "x")
		}
		return false
	})
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	for _, prompt := range []string{"bad", "good", "long", "rude", "boom", "page", "cut", "empty", "moved", "second"} {
		r.add(&lines, "id-"+prompt, prompt)
	}
	r.write(t, lines.String())
	r.run(t, exitSomeFailed, "-max-attempts", "2")
	r.verify(t, 0)

	records := r.records(t)
	for _, prompt := range []string{"good", "second"} {
		mustAnswer(t, records["id-"+prompt], prompt)
	}
	wantResponse := func(prompt string, status int, id, body string) {
		t.Helper()
		got := records["id-"+prompt]
		if got.Error != nil || got.Response == nil || got.Response.StatusCode != status || got.Response.RequestID != id || string(got.Response.Body) != body {
			t.Errorf("%s: %+v %+v", prompt, got.Response, got.Error)
		}
	}
	wantResponse("bad", 400, "req_refused", `{"error":{"message":"not like that","type":"test","param":null,"code":"invalid_value"}}`)
	wantResponse("long", 400, "req_refused", `{"error":{"message":"too long","type":"test","param":null,"code":"context_length_exceeded"}}`)
	wantResponse("rude", 400, "req_refused", `{"error":{"message":"not nice","type":"test","param":null,"code":"content_filter"}}`)
	wantResponse("boom", 500, "req_boom_2", body500)
	wantResponse("page", 502, "", `"<html>\n502\n</html>"`)
	wantResponse("moved", 307, "", `""`)

	wantError := func(prompt, code string, words ...string) {
		t.Helper()
		got := records["id-"+prompt]
		if got.Response != nil || got.Error == nil || got.Error.Code != code {
			t.Errorf("%s: %+v %+v", prompt, got.Response, got.Error)
			return
		}
		for _, word := range words {
			if !strings.Contains(got.Error.Message, word) {
				t.Errorf("%s: %q is not in %q", prompt, word, got.Error.Message)
			}
		}
	}
	wantError("cut", "ambiguous", "retries exceeded", "2 attempts")
	wantError("empty", "bad_answer", "retries exceeded", "upstream")

	attempts := map[string]int{"bad": 1, "good": 1, "long": 1, "rude": 1, "boom": 2, "page": 2, "cut": 2, "empty": 2, "moved": 1, "second": 2}
	mu.Lock()
	defer mu.Unlock()
	for prompt, want := range attempts {
		if seen[prompt] != want {
			t.Errorf("%s was sent %d times, want %d", prompt, seen[prompt], want)
		}
	}
	mustSum(t, r.stdout.String(), map[string]int64{"prompts": 10, "answered": 2, "failed for good": 8, "requests": api.hits.Load(), "throttled": 0, "errors": 13})
}

func TestNobodyListens(t *testing.T) {
	r := newRun(t, nobody, 2)
	r.run(t, exitSomeFailed, "-max-attempts", "2")
	r.verify(t, 0)
	for id, record := range r.records(t) {
		if record.Response != nil || record.Error == nil || record.Error.Code != "unsent" || !strings.Contains(record.Error.Message, "refused") {
			t.Errorf("%s: %+v %+v", id, record.Response, record.Error)
		}
	}
}

func TestAttemptTimeout(t *testing.T) {
	r := newRun(t, "http://slow/v1", 1)
	slowOnce := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if n == 1 {
			<-r.Context().Done()
		}
		return n == 1
	}
	api, _ := r.runInBubble(t, exitDone, slowOnce, "-timeout", "200ms")
	api.mustHit(t, 2, 2)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 1, "requests": 2, "errors": 1})

	r = newRun(t, "http://slow/v1", 1)
	slow := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		<-r.Context().Done()
		return true
	}
	if _, took := r.runInBubble(t, exitSomeFailed, slow, "-timeout", "50ms", "-max-attempts", "1"); took != 50*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if record := r.records(t)["id-0"]; record.Response != nil || record.Error == nil || record.Error.Code != "ambiguous" || !strings.Contains(record.Error.Message, "timed out after 50ms") {
		t.Errorf("%+v %+v", record.Response, record.Error)
	}
}

// A throttle is waited for and uses up no attempt.
func TestThrottlesAreNoAttempts(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if n <= 2 {
			w.Header().Set("Retry-After-Ms", "20")
			return refuse(w, 429, "rate_limit_exceeded", "slower")
		}
		return false
	})
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitDone, "-max-attempts", "1")
	api.mustHit(t, 3, 3)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 1, "requests": 3, "throttled": 2, "errors": 0})
}

// Each model has its own limits: a bucket of one request a minute lets the first of each go at once.
func TestLimitsPerModel(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	for n := range 5 {
		fmt.Fprintf(&lines, `{"model":"m%d","messages":[{"role":"user","content":"hello"}]}`+"\n", n)
	}
	r.write(t, lines.String())
	ended := inBackground(func() int { return run(r.args("-rpm", "2"), nil, r.console()) })
	if code := ended(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	api.mustHit(t, 5, 5)
}

// A URL at which nobody is: the run says so and ends, instead of waiting behind an open circuit for ever.
func TestNobodyThere(t *testing.T) {
	r := newRun(t, nobody, 30)
	r.run(t, exitPaused, "-max-in-flight", "3")
	for _, words := range []string{"stopped, 30 of 30 prompts are left", nobody + " has never been reached", "connection refused"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
}

func TestKeyRefused(t *testing.T) {
	const prompts, inFlight = 30, 3
	api := fake(t, fakellm.Config{Keys: []string{"another"}, Latency: fakellm.Range{Min: 2 * time.Millisecond}})
	r := newRun(t, api.BaseURL(), prompts)
	r.run(t, exitPaused, "-max-in-flight", fmt.Sprint(inFlight))
	bill := api.Ledger()
	if bill.Received != bill.Unauthorized || bill.Received < 1 || bill.Received > inFlight {
		t.Errorf("%d requests, %d refused; want no more than were in flight, %d", bill.Received, bill.Unauthorized, inFlight)
	}
	for _, words := range []string{"stopped, 30 of 30 prompts are left", "invalid_api_key", "Incorrect API key", "go on with: llmbatch -i " + r.in} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	mustSum(t, r.stdout.String(), map[string]int64{"prompts": prompts, "answered": 0, "left": prompts, "requests": int64(bill.Received), "errors": int64(bill.Received)})
}

// The money runs out in the midst: what is answered is kept, what is under way is finished, the rest is left.
func TestOutOfMoney(t *testing.T) {
	const prompts, paid, inFlight = 30, 6, 2
	refused := make(chan struct{})
	var once sync.Once
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		switch {
		case n == paid: // under way when the money runs out
			<-refused
			return false
		case n > paid:
			defer once.Do(func() { close(refused) })
			return refuse(w, 429, "insufficient_quota", "You exceeded your current quota.")
		}
		return false
	})
	r := newRun(t, api.baseURL(), prompts)
	r.run(t, exitPaused, "-max-in-flight", fmt.Sprint(inFlight))
	api.mustHit(t, paid+1, paid+inFlight)
	records := r.records(t)
	if len(records) != paid {
		t.Errorf("%d lines, want one for each of the %d answers", len(records), paid)
	}
	for id, record := range records {
		mustAnswer(t, record, r.prompts[id])
	}
	r.verify(t, 2)
	for _, words := range []string{"stopped, 24 of 30 prompts are left", "insufficient_quota", "You exceeded your current quota."} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	mustSum(t, r.stdout.String(), map[string]int64{"answered": paid, "left": prompts - paid, "throttled": 0, "requests": api.hits.Load()})
}

func TestExistingOutput(t *testing.T) {
	const paidFor = `{"id":"batch_req_1","custom_id":"id-0"}` + "\n"
	for _, content := range []string{paidFor, ""} {
		t.Run(fmt.Sprint(len(content), " bytes"), func(t *testing.T) {
			api := serve(t, answers)
			r := newRun(t, api.baseURL(), 3)
			if err := os.WriteFile(r.out, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r.run(t, exitUsage)
			api.mustHit(t, 0, 0)
			if got, err := os.ReadFile(r.out); err != nil || string(got) != content {
				t.Errorf("the file holds %q now, %v", got, err)
			}
			for _, words := range []string{r.out, "exists already", "-o"} {
				if !strings.Contains(r.stderr.String(), words) {
					t.Errorf("%q is not said:\n%s", words, r.stderr)
				}
			}
			if r.stdout.String() != "" {
				t.Errorf("a summary of nothing:\n%s", r.stdout)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 5)
	plain, err := os.ReadFile(r.in)
	if err != nil {
		t.Fatal(err)
	}
	r.in += ".gz"
	r.out += ".gz"
	f, err := os.Create(r.in)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	_, werr := z.Write(plain)
	if err := z.Close(); err != nil || werr != nil || f.Close() != nil {
		t.Fatal(err, werr)
	}
	r.run(t, exitDone)
	r.verify(t, 0)
	out, err := os.Open(r.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	unzip, err := gzip.NewReader(out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzip)
	if err != nil {
		t.Fatal(err)
	}
	for id, record := range recordsOf(t, text) {
		mustAnswer(t, record, r.prompts[id])
	}
}

// standardOutput makes f the standard output of the process, until the test ends.
func standardOutput(t *testing.T, f *os.File) {
	t.Helper()
	before := os.Stdout
	os.Stdout = f
	t.Cleanup(func() {
		os.Stdout = before
		f.Close()
	})
}

// With - for the files, standard output holds the answers and nothing else.
func TestPipe(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 5)
	in, err := os.Open(r.in)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(t.TempDir(), "stdout")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	standardOutput(t, f)
	code := start(r.args("-i", "-", "-o", "-", "-journal", filepath.Join(t.TempDir(), "journal"), "-progress", "off"), console{in: in, out: f, err: r.stderr})
	if code != exitDone {
		t.Fatalf("exit code %d\n%s", code, r.stderr)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records := recordsOf(t, data)
	if len(records) != len(r.prompts) {
		t.Errorf("%d lines", len(records))
	}
	for id, prompt := range r.prompts {
		mustAnswer(t, records[id], prompt)
	}
	mustSum(t, r.stderr.String(), map[string]int64{"prompts": 5, "answered": 5, "requests": 5})
	if strings.Contains(r.stderr.String(), "results are in") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	if _, err := os.Stat(r.out); err == nil {
		t.Error("a file was made, too")
	}
}

// An outage costs a handful of requests and no prompt: the circuit opens, and one request at a time asks whether it is over.
func TestOutage(t *testing.T) {
	const prompts, inFlight, threshold = 40, 4, 10
	const recovery = 5 * time.Second
	var mu sync.Mutex
	var hits []time.Time // guarded by mu; of the outage, and of the request that ended it
	over := false        // guarded by mu
	down := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if !over && len(hits) > 0 && now.Sub(hits[len(hits)-1]) > recovery/2 {
			over = true
			hits = append(hits, now)
		}
		if over {
			return false
		}
		hits = append(hits, now)
		return refuse(w, 503, "service_unavailable", "down")
	}
	r := newRun(t, "http://down/v1", prompts)
	r.runInBubble(t, exitDone, down, "-max-in-flight", fmt.Sprint(inFlight))
	mu.Lock()
	defer mu.Unlock()
	failed := len(hits) - 1
	if failed < threshold || failed > threshold+inFlight-1 {
		t.Fatalf("%d requests into the outage; want %d to open the circuit, and at most %d more that were in flight", failed, threshold, inFlight-1)
	}
	if gap := hits[failed].Sub(hits[threshold-1]); gap != recovery {
		t.Errorf("the circuit was tested after %v, want %v", gap, recovery)
	}
	mustSum(t, r.stdout.String(), map[string]int64{"answered": prompts, "requests": int64(prompts + failed), "errors": int64(failed)})
}

// The demo is the program's front door: all of it works, and its summary agrees with the server's bill.
func TestDemo(t *testing.T) {
	all, hostility := prompts, hostile
	t.Cleanup(func() { prompts, hostile = all, hostility })
	const few = 15
	prompts = []byte(strings.Join(strings.SplitAfterN(string(all), "\n", few+1)[:few], ""))
	hostile.Slow, hostile.Latency = 0, fakellm.Range{Min: time.Millisecond, Max: 20 * time.Millisecond}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("results.jsonl", []byte(`{"id":"batch_req_1","custom_id":"demo-999","response":null,"error":{"code":"of the demo before","message":""}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("prompts.jsonl", prompts, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := newScreen(), newScreen()
	if code := start(nil, console{out: stdout, err: stderr}); code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for label, row := range summary(stdout.String()) {
		switch {
		case label == "failed for good":
			if len(row) != 1 || row[0] != "0" {
				t.Errorf("%s: %v", label, row)
			}
		case label != "time" && (len(row) != 2 || row[0] != row[1]):
			t.Errorf("%s: the demo says %v, and the server another", label, row)
		}
	}
	mustSum(t, stdout.String(), map[string]int64{"prompts": few, "answered": few})
	if code := start([]string{"verify", "-i", "prompts.jsonl"}, console{out: stdout, err: stderr}); code != 0 {
		t.Errorf("verify: exit code %d\n%s", code, stdout)
	}
}

// Answers that were paid for have the same name by default: the demo leaves them alone.
func TestDemoKeepsOtherResults(t *testing.T) {
	t.Chdir(t.TempDir())
	const paid = `{"id":"batch_req_1","custom_id":"mine-1","response":null,"error":{"code":"failed","message":""}}` + "\n"
	if err := os.WriteFile("results.jsonl", []byte(paid), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := newScreen(), newScreen()
	if code := start(nil, console{out: stdout, err: stderr}); code != exitUsage || !strings.Contains(stderr.String(), "is not overwritten") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if kept, err := os.ReadFile("results.jsonl"); err != nil || string(kept) != paid {
		t.Errorf("%v: %s", err, kept)
	}
}

// What has a journal beside it is a run's, even if that has no answer yet or had the demo's own prompts.
func TestDemoKeepsOtherRuns(t *testing.T) {
	for _, found := range []string{"", `{"id":"batch_req_1","custom_id":"demo-1","response":null,"error":{"code":"failed","message":""}}` + "\n"} {
		t.Chdir(t.TempDir())
		if err := errors.Join(os.WriteFile("results.jsonl", []byte(found), 0o600), os.WriteFile("results.jsonl.journal", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		stderr := newScreen()
		if code := start(nil, console{out: newScreen(), err: stderr}); code != exitUsage || !strings.Contains(stderr.String(), "is not overwritten") {
			t.Errorf("exit code %d\n%s", code, stderr)
		}
		if kept, err := os.ReadFile("results.jsonl"); err != nil || string(kept) != found {
			t.Errorf("%v: %s", err, kept)
		}
	}
}

// The prompts of the demo are an input like any other.
func TestDemoItems(t *testing.T) {
	src, err := demoSource()
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	if want := fmt.Sprintf("%d prompts", src.sum.Items); !strings.Contains(help, want) {
		t.Errorf("the help does not say %q", want)
	}
}

// The command fakellm is reached through start, and the flags of run work without its name.
func TestCommands(t *testing.T) {
	for name, args := range map[string][]string{
		"help": {"help"}, "-h": {"-h"}, "--help": {"--help"}, "run -h": {"run", "-h"}, "-i x -h": {"-i", "x", "-h"},
		"estimate -h": {"estimate", "-h"}, "verify -h": {"verify", "-h"}, "fakellm -h": {"fakellm", "-h"},
	} {
		stdout, stderr := newScreen(), newScreen()
		if code := start(args, console{out: stdout, err: stderr}); code != 0 || stderr.String() != "" {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
		if !strings.Contains(stdout.String(), "-") {
			t.Errorf("%s says nothing", name)
		}
	}
	stdout, stderr := newScreen(), newScreen()
	if code := start([]string{"estimat"}, console{out: stdout, err: stderr}); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, words := range []string{`"estimat"`, "run, estimate, verify, fakellm"} {
		if !strings.Contains(stderr.String(), words) {
			t.Errorf("%q is not said: %s", words, stderr)
		}
	}
}

func TestContextOf(t *testing.T) {
	signals := make(chan os.Signal, 1)
	ctx, cancel := contextOf(signals)
	defer cancel()
	signals <- os.Interrupt
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error(ctx.Err())
	}
}
