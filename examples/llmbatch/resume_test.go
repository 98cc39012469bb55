package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// pausing is an API that refuses the key once it has answered so many requests, until it is paid.
type pausing struct {
	mu       sync.Mutex
	left     int
	answered map[string]int // by prompt
}

func (p *pausing) judge(w http.ResponseWriter, _ *http.Request, _ int, prompt string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return refuse(w, http.StatusPaymentRequired, "insufficient_quota", "You exceeded your current quota")
	}
	p.left--
	p.answered[prompt]++
	return false
}

func (p *pausing) pay(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = n
}

// again is the same command once more, with a screen of its own.
func (r *batchRun) again(t *testing.T, code int, more ...string) {
	t.Helper()
	r.stdout, r.stderr = newScreen(), newScreen()
	r.run(t, code, more...)
}

// A run that pauses goes on with the same command, however often: what is answered is not sent again, and the output has each prompt
// once in the end, in the order of the input if that is wanted, and compressed as well.
func TestResume(t *testing.T) {
	const prompts = 30
	for _, flags := range [][]string{{}, {"-order", "input"}, {"-dedupe", "always"}} {
		for _, suffix := range []string{"", ".gz"} {
			t.Run(fmt.Sprint(flags, suffix), func(t *testing.T) {
				p := &pausing{answered: make(map[string]int)}
				api := serve(t, p.judge)
				r := newRun(t, api.baseURL(), prompts)
				r.out += suffix
				flags := append([]string{"-max-in-flight", "3"}, flags...)
				for done := 10; done < prompts; done += 10 {
					p.pay(10)
					r.again(t, exitPaused, flags...)
					mustSum(t, r.stdout.String(), map[string]int64{"prompts": prompts, "answered": int64(done), "left": int64(prompts - done)})
					if !strings.Contains(r.stderr.String(), "go on with: llmbatch ") {
						t.Errorf("how to go on is not said:\n%s", r.stderr)
					}
				}
				p.pay(10)
				r.again(t, exitDone, flags...)
				if words := "20 of 30 prompts are answered, 0 have failed for good"; !strings.Contains(r.stderr.String(), words) {
					t.Errorf("%q is not said:\n%s", words, r.stderr)
				}
				r.verify(t, 0)
				for prompt, n := range p.answered {
					if n != 1 {
						t.Errorf("%q was answered %d times", prompt, n)
					}
				}
				hits := api.hits.Load()
				r.again(t, exitDone, flags...) // nothing is left
				api.mustHit(t, hits, hits)
				if strings.Contains(r.stdout.String(), "ideal") {
					t.Errorf("the ideal of nothing:\n%s", r.stdout)
				}
				r.verify(t, 0)
				if suffix == "" {
					mustBeInOrder(t, r, len(flags) > 2 && flags[2] == "-order")
				}
			})
		}
	}
}

// mustBeInOrder checks the answers, and their order if there is one.
func mustBeInOrder(t *testing.T, r *batchRun, order bool) {
	t.Helper()
	data, err := os.ReadFile(r.out)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		record, err := batchfile.ParseRecord([]byte(strings.TrimSuffix(line, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		mustAnswer(t, record, r.prompts[record.CustomID])
		if order && record.CustomID != fmt.Sprintf("id-%d", n) {
			t.Errorf("line %d is %s", n, record.CustomID)
		}
		n++
	}
}

// The output is made anew from the journal, whatever has become of it: torn, edited or gone.
func TestOutputIsMadeAnew(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 5)
	r.run(t, exitDone)
	want := r.records(t)
	for name, spoil := range map[string]func() error{
		"gone":  func() error { return os.Remove(r.out) },
		"torn":  func() error { return os.Truncate(r.out, 100) },
		"other": func() error { return os.WriteFile(r.out, []byte("something else\n"), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		r.again(t, exitDone)
		if got := r.records(t); len(got) != len(want) {
			t.Errorf("%s: %d lines", name, len(got))
		}
		r.verify(t, 0)
	}
	api.mustHit(t, 5, 5)
}

// What has failed for good stays so, until it is to be tried again; then its new line takes the place of the old one.
func TestRetryFailed(t *testing.T) {
	bad := true
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, prompt string) bool {
		return bad && strings.HasPrefix(prompt, "Question 2") && refuse(w, 400, "invalid_value", "no")
	})
	r := newRun(t, api.baseURL(), 5)
	r.run(t, exitSomeFailed)
	bad = false
	r.again(t, exitSomeFailed)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 4, "failed for good": 1})
	api.mustHit(t, 5, 5)
	r.again(t, exitDone, "-retry-failed")
	api.mustHit(t, 6, 6)
	r.verify(t, 0)
	mustAnswer(t, r.records(t)["id-2"], r.prompts["id-2"])
}

// An answer that says only that its content was filtered is none, for the run as for verify and for a resume.
func TestNoAnswerInA200(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, prompt string) bool {
		if !strings.HasPrefix(prompt, "Question 2") {
			return false
		}
		_, _ = io.WriteString(w, `{"error":{"code":"content_filter","message":"no"}}`)
		return true
	})
	r := newRun(t, api.baseURL(), 5)
	r.run(t, exitSomeFailed)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 4, "failed for good": 1})
	if words := "1 × no answer, the first: HTTP 200 with an error"; !strings.Contains(r.stdout.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stdout)
	}
	r.again(t, exitSomeFailed)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 4, "failed for good": 1})
	api.mustHit(t, 5, 5)
	r.verify(t, 0)
}

// Lines that have moved are told from those that have changed, and keep their answers.
func TestMovedInput(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	r.run(t, exitDone)
	asked := maps.Clone(r.prompts)
	var lines strings.Builder
	r.add(&lines, "new", "a new one")
	for n := range 3 {
		id := fmt.Sprintf("id-%d", n)
		r.add(&lines, id, asked[id])
	}
	r.write(t, lines.String())
	r.again(t, exitUsage)
	for _, words := range []string{"3 of the 3 prompts on record have changed (3 have only moved), the first is line 1", "keeps what has only moved"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	api.mustHit(t, 3, 3)
	r.again(t, exitDone, "-allow-changed")
	api.mustHit(t, 4, 4)
	r.verify(t, 0)

	var sorted strings.Builder // others in their places, with one gone and one that has changed
	r.prompts = make(map[string]string)
	for _, id := range []string{"id-0", "id-2"} {
		r.add(&sorted, id, asked[id])
	}
	r.add(&sorted, "new", "another one")
	r.write(t, sorted.String())
	r.again(t, exitUsage)
	if words := "4 of the 4 prompts on record have changed (2 have only moved)"; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}
	r.again(t, exitDone, "-allow-changed")
	api.mustHit(t, 5, 5)
	r.verify(t, 0)
	r.again(t, exitDone)
	api.mustHit(t, 5, 5)
}

// A line without a custom_id is called by its number: elsewhere it is another one.
func TestMovedWithoutID(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 0)
	lines := `{"prompt":"one"}` + "\n" + `{"prompt":"two"}` + "\n"
	r.write(t, lines)
	r.run(t, exitDone, "-model", "fake-mini")
	r.write(t, `{"prompt":"new"}`+"\n"+lines)
	r.again(t, exitUsage, "-model", "fake-mini")
	if said := r.stderr.String(); !strings.Contains(said, "2 of the 2 prompts on record have changed, ") || !strings.Contains(said, "has only moved and has a custom_id") {
		t.Error(said)
	}
	r.again(t, exitDone, "-model", "fake-mini", "-allow-changed")
	api.mustHit(t, 5, 5)
}

// An input that has changed is refused before anything is sent, or what has changed is run anew, as is wanted.
func TestChangedInput(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 4)
	r.run(t, exitDone)
	var lines strings.Builder
	r.prompts = make(map[string]string)
	for n, prompt := range []string{"Question 0: what is it that <b>ärger</b> & \"quotes\" make?", "another", "Question 2: what is it that <b>ärger</b> & \"quotes\" make?"} {
		r.add(&lines, fmt.Sprintf("id-%d", n), prompt)
	}
	r.write(t, lines.String())
	r.again(t, exitUsage)
	for _, words := range []string{`2 of the 4 prompts on record have changed, the first is line 2 ("id-1")`, "another output with -o", "-allow-changed"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	if strings.Contains(r.stderr.String(), "have only moved") {
		t.Errorf("nothing has moved:\n%s", r.stderr)
	}
	api.mustHit(t, 4, 4)
	r.again(t, exitDone, "-allow-changed")
	api.mustHit(t, 5, 5)
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
	r.again(t, exitUsage, "-set", "seed=1") // what would be sent is another
}

// A line that has changed begins anew: what was wasted on the old one is no reason to give it up.
func TestChangedAfterWaste(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 1)
	j, err := journal.Open(r.out+".journal", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(wasted{2})
	if err := errors.Join(j.Start(0, 1, nil), j.Append(journal.Entry{Kind: journal.KindRetry, Ambiguous: true, Data: data}), j.Close()); err != nil {
		t.Fatal(err)
	}
	r.run(t, exitDone, "-allow-changed", "-retry-ambiguous", "1")
	api.mustHit(t, 1, 1)
}

// What was under way when a run was cut off is sent again, or given up as maybe billed.
func TestInFlightAtACrash(t *testing.T) {
	for how, code := range map[string]int{"retry": exitDone, "fail": exitSomeFailed} {
		api := serve(t, answers)
		r := newRun(t, api.baseURL(), 3)
		j, err := journal.Open(r.out+".journal", journal.Options{})
		if err == nil {
			err = errors.Join(j.Start(1, 0, nil), j.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		r.run(t, code, "-in-flight", how)
		r.verify(t, 0)
		if words := "1 were under way when it was cut off"; !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
		record := r.records(t)["id-1"]
		if how == "retry" {
			mustAnswer(t, record, r.prompts["id-1"])
		} else if record.Error == nil || record.Error.Code != "maybe_billed" {
			t.Errorf("%+v", record)
		}
		api.mustHit(t, int64(3-code/2), int64(3-code/2)) // exit code 2: one was given up
		r.mustHaveBeen(t, journal.Counts{Done: 3 - code/2, Failed: code / 2, Starts: int64(4 - code/2), Ambiguous: 1})
	}
}

// mustHaveBeen compares what is on record of a run with what ought to be.
func (r *batchRun) mustHaveBeen(t *testing.T, want journal.Counts) {
	t.Helper()
	j, err := journal.Open(r.out+".journal", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := j.Counts(); got != want {
		t.Errorf("on record: %+v, want %+v", got, want)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// What may have been billed in earlier runs counts against -retry-ambiguous, too: a resume grants no more of that.
func TestAmbiguousInEarlierRuns(t *testing.T) {
	tests := []struct {
		before int // attempts of an earlier run that may have been billed; negative: after which it failed for good
		cut    int // and after these, some that were cut off, which is up to -in-flight
		flags  []string
		sent   int64
		code   string
	}{
		{0, 0, nil, 3, "ambiguous"},
		{1, 0, nil, 2, "ambiguous"},
		{2, 0, nil, 1, "ambiguous"},
		{3, 0, nil, 0, "maybe_billed"},
		{0, 4, nil, 3, "ambiguous"},
		{2, 4, nil, 1, "ambiguous"},
		{0, 1, []string{"-in-flight", "fail"}, 0, "maybe_billed"},
		{2, 0, []string{"-retry-ambiguous", "0"}, 0, "maybe_billed"},
		{3, 0, []string{"-retry-failed"}, 1, "ambiguous"},
		{-3, 0, []string{"-retry-failed"}, 3, "ambiguous"}, // it has failed for good by these: another chance
	}
	for n := range 2 * len(tests) {
		test, compact := tests[n/2], n%2 == 1 // only the last record of a prompt is left
		api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ string) bool { return hangUp(w) })
		r := newRun(t, api.baseURL(), 1)
		j, err := journal.Open(r.out+".journal", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before := max(test.before, -test.before)
		for n := range before {
			data, _ := json.Marshal(wasted{n + 1})
			err = errors.Join(err, j.Start(0, 0, nil), j.Append(journal.Entry{Kind: journal.KindRetry, Ambiguous: true, Data: data}))
		}
		if test.before < 0 {
			err = errors.Join(err, j.Fail(0, json.RawMessage(`{}`)))
		}
		for range test.cut {
			f := flight{lane: &lane{key: &apiKey{}}, ambiguous: before}
			err = errors.Join(err, j.Start(0, 0, f.sent()))
		}
		if compact {
			err = errors.Join(err, j.Compact())
		}
		if err = errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		r.run(t, exitSomeFailed, test.flags...)
		api.mustHit(t, test.sent, test.sent)
		if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != test.code {
			t.Errorf("%+v: %+v", test, record.Error)
		}
		all := int64(before+test.cut) + test.sent
		r.mustHaveBeen(t, journal.Counts{Failed: 1, Starts: all, Ambiguous: all})
	}
}

// The same, told by the runs themselves: of three attempts one is broken off in the first, which then pauses.
func TestAmbiguousOverRuns(t *testing.T) {
	r := newRun(t, "http://breaks/v1", 1)
	hits := 0
	server := func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if hits++; hits == 2 {
				w.Header().Set("Retry-After", "3600")
				refuse(w, http.StatusInternalServerError, "server_error", "later")
				return
			}
			hangUp(w)
		})
	}
	r.inBubbleRuns(t, server, func(run func([]string) int) {
		for n, want := range []int{exitPaused, exitSomeFailed} {
			if code := run(r.args("-run-deadline", "1m")); code != want {
				t.Errorf("run %d: exit code %d, want %d", n, code, want)
			}
		}
	})
	if hits != 4 {
		t.Errorf("sent %d times", hits)
	}
}

// A server's error is none of these, as a rule: it is not billed, and no reason to give a prompt up.
func TestServerErrorsInEarlierRuns(t *testing.T) {
	down := true
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ string) bool {
		return down && refuse(w, http.StatusInternalServerError, "server_error", "no")
	})
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitPaused, "-run-deadline", "100ms", "-retry-ambiguous", "0", "-max-attempts", "1000")
	down = false
	r.again(t, exitDone, "-retry-ambiguous", "0", "-in-flight", "fail")
}

// A journal that is damaged is refused, with what can be done about it; and that helps.
func TestDamagedJournal(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	r.run(t, exitDone)
	path := r.out + ".journal"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	third := func(line string) {
		t.Helper()
		lines[2] = line
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	third(strings.Replace(lines[2], `"`, `'`, 1))
	r.again(t, exitUsage)
	said := r.stderr.String()
	if !strings.Contains(said, path+", line 3 at byte") || !strings.Contains(said, "take the line out") || strings.Contains(said, "Options.") {
		t.Error(said)
	}
	api.mustHit(t, 3, 3)
	third("")
	r.again(t, exitDone)
	r.verify(t, 0)
}

// A second process at the same output is refused, and so are files that are in each other's way.
func TestOneProcessAnOutput(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	j, err := journal.Open(r.out+".journal", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.run(t, exitUsage)
	if words := "another process is at this output"; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for says, flags := range map[string][]string{
		"-journal is missing; allowed: with -o -": {"-o", "-"},
		"another file than those of -i and -o":    {"-journal", r.out},
		"-sync is \"never\"; allowed: always":     {"-sync", "never"},
		"-in-flight is \"drop\"; allowed: retry":  {"-in-flight", "drop"},
	} {
		r.again(t, exitUsage, flags...)
		if !strings.Contains(r.stderr.String(), says) {
			t.Errorf("%q is not said:\n%s", says, r.stderr)
		}
	}
	api.mustHit(t, 0, 0)
	if _, err := os.Stat(r.out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is an output: %v", err)
	}
}

// A journal belongs to one output. Another one that exists is not touched, be it given with that journal; one that does not exist yet
// takes its place, and the two can be moved together.
func TestJournalOfOneOutput(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	first, dir := r.out, t.TempDir()
	journal := []string{"-journal", filepath.Join(dir, "j")}
	precious := filepath.Join(dir, "precious.jsonl")
	if err := os.WriteFile(precious, []byte("paid for\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t, exitDone, journal...)
	refused := func(out string) {
		t.Helper()
		before, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		r.again(t, exitUsage, append(journal, "-o", out)...)
		for _, words := range []string{out + " exists already", "is not the output of " + journal[1], "another output with -o"} {
			if !strings.Contains(r.stderr.String(), words) {
				t.Errorf("%q is not said:\n%s", words, r.stderr)
			}
		}
		if after, err := os.ReadFile(out); err != nil || string(after) != string(before) {
			t.Errorf("it holds %q now, %v", after, err)
		}
	}
	refused(precious)
	r.again(t, exitDone, journal...)

	r.out = filepath.Join(dir, "new.jsonl")
	for range 2 {
		r.again(t, exitDone, journal...)
		r.verify(t, 0)
	}
	refused(first)
	r.again(t, exitDone, append(journal, "-o", "-")...)
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	t.Chdir(moved)
	r.out, journal[1] = "new.jsonl", "j"
	r.again(t, exitDone, journal...)
	r.verify(t, 0)
	refused("precious.jsonl")
	api.mustHit(t, 3, 3)
}

// A journal whose answers went to standard output owns no file, whatever its name, until it is given one that does not exist.
func TestJournalOfStdout(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	r.run(t, exitDone, "-o", "-", "-journal", r.out+".journal")
	if err := os.WriteFile(r.out, []byte("paid for\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.again(t, exitUsage)
	if words := "which is standard output"; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}
	if err := os.Remove(r.out); err != nil {
		t.Fatal(err)
	}
	r.again(t, exitDone)
	r.verify(t, 0)
	api.mustHit(t, 3, 3)
}

// An output that exists without a journal is refused before one is made: a kill in between would leave one that claims it.
func TestOutputBeforeJournal(t *testing.T) {
	r := newRun(t, "http://nobody/v1", 1)
	if err := errors.Join(os.WriteFile(r.out, []byte("paid for\n"), 0o600), os.Mkdir(r.out+".journal.lock", 0o700)); err != nil {
		t.Fatal(err)
	}
	r.run(t, exitUsage)
	if words := "exists already"; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}
}

// What earlier runs have answered is shared with prompts that are the same, wherever these stand in the input.
func TestDedupeOverRuns(t *testing.T) {
	bad := true
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, prompt string) bool {
		return bad && prompt == "bad at first" && refuse(w, 400, "invalid_value", "no")
	})
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	for n, prompt := range []string{"bad at first", "same", "another"} {
		r.add(&lines, fmt.Sprintf("id-%d", n), prompt)
	}
	r.write(t, lines.String())
	r.run(t, exitSomeFailed, "-dedupe", "always")
	api.mustHit(t, 3, 3)
	bad = false
	for n, prompt := range []string{"same", "new", "same", "bad at first", "new"} {
		r.add(&lines, fmt.Sprintf("id-%d", 3+n), prompt)
	}
	r.write(t, lines.String())
	r.again(t, exitSomeFailed, "-dedupe", "always") // the first is still failed
	api.mustHit(t, 5, 5)                            // new, and what failed
	r.again(t, exitDone, "-dedupe", "always", "-retry-failed")
	api.mustHit(t, 5, 5)
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
}

// Input that can be read only once is there for a resume, too, which reads it twice.
func TestResumeStdin(t *testing.T) {
	p := &pausing{answered: make(map[string]int)}
	api := serve(t, p.judge)
	r := newRun(t, api.baseURL(), 5)
	text, err := os.ReadFile(r.in)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{exitPaused, exitDone} {
		p.pay(3)
		r.stdin = strings.NewReader(string(text))
		r.again(t, code, "-i", "-", "-max-in-flight", "1")
	}
	api.mustHit(t, 6, 6)
	r.verify(t, 0)
}
