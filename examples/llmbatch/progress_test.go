package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/examples/llmbatch/internal/chat"
	"github.com/toller-go/toller/scheduler"
)

// With -progress json, standard error is JSON and nothing else, and the last line is the outcome.
func TestProgressJSON(t *testing.T) {
	const prompts = 4
	api := hold(t)
	r := newRun(t, api.baseURL(), prompts)
	r.progress = "json"
	_, ended := api.begin(t, r, prompts)
	underWay := fmt.Sprintf(`"in_flight":%d,`, prompts)
	r.stderr.await(t, underWay) // a line while nothing has been answered
	close(api.release)
	if code := ended(t); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, r.stderr)
	}
	var lines []map[string]any
	var early map[string]any // the first while all is under way
	for line := range strings.Lines(r.stderr.String()) {
		var report map[string]any
		if err := json.Unmarshal([]byte(line), &report); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, report)
		if early == nil && strings.Contains(line, underWay) {
			early = report
		}
	}
	must := func(line map[string]any, want map[string]float64) {
		t.Helper()
		for name, value := range want {
			if got, there := line[name]; !there || got != value {
				t.Errorf("%s is %v, want %v, in %v", name, got, value, line)
			}
		}
	}
	must(early, map[string]float64{"prompts": prompts, "answered": 0, "in_flight": prompts, "requests": 0})
	must(lines[len(lines)-1], map[string]float64{
		"prompts": prompts, "answered": prompts, "failed": 0, "left": 0, "in_flight": 0, "queued": 0, "waiting": 0,
		"requests": prompts, "retries": 0, "throttled": 0, "errors": 0,
		"prompt_tokens": float64(api.good.Ledger().PromptTokens), "completion_tokens": float64(api.good.Ledger().CompletionTokens),
	})
	first, last := lines[0]["seconds"].(float64), lines[len(lines)-1]["seconds"].(float64)
	if first <= 0 || first > last {
		t.Errorf("seconds: %v", lines)
	}
}

// On what is no terminal, -progress auto is plain, and a short run has nothing to tell.
func TestProgressQuiet(t *testing.T) {
	for _, mode := range []string{"off", "plain", "auto"} {
		api := serve(t, answers)
		r := newRun(t, api.baseURL(), 3)
		r.progress = mode
		r.run(t, exitDone)
		if r.stderr.String() != "" {
			t.Errorf("%s: %s", mode, r.stderr)
		}
	}
}

// idle is a batch of three prompts that has not begun.
func idle(t *testing.T) (*batch, *screen) {
	t.Helper()
	s := defaults()
	s.baseURL, s.out, s.progress = "http://127.0.0.1:1", filepath.Join(t.TempDir(), "out.jsonl"), "off"
	s.in, s.model = "-", "m"
	src := sourceOf(t, &s, "one\ntwo\nthree\n")
	stderr := newScreen()
	b, err := open(s, src, console{out: newScreen(), err: stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.d.Close(t.Context()); err == nil {
			b.client.Close()
		}
		if err := b.out.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, stderr
}

func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { progressLine(t) })
}

func progressLine(t *testing.T) {
	b, _ := idle(t)
	set := func(c counts, ago time.Duration) {
		c.Prompts, c.started = 3, time.Now().Add(-ago)
		b.tally.mu.Lock()
		defer b.tally.mu.Unlock()
		b.tally.counts = c
		b.pace = pace{}
	}
	tests := []struct {
		name string
		ago  time.Duration
		counts
		want string
	}{
		{"nothing yet", 0, counts{}, `^0:00  0/3 answered  0\.0 req/s, 0 in flight, 0 to try again$`},
		{"under way", 10 * time.Second, counts{Answered: 1, Requests: 20}, `^0:10  1/3 answered  0:20 to go, 2\.0 req/s, 0 in flight, 0 to try again$`},
		{"some failed", 90 * time.Second, counts{Answered: 1, Failed: 1, Requests: 90, Throttled: 4},
			`^1:30  1/3 answered, 1 failed  0:45 to go, 1\.0 req/s, 0 in flight, 0 to try again, 4 throttled$`},
		{"tokens and limits", 10 * time.Second, counts{Answered: 1, Requests: 20, PromptTokens: 600, CompletionTokens: 400},
			`^0:10  1/3 answered  0:20 to go, 2\.0 req/s, 0 in flight, 0 to try again, 100 tok/s$`},
		{"hours", 2 * time.Hour, counts{Answered: 2}, `^2:00:00  2/3 answered  1:00:00 to go, .*$`},
	}
	for _, test := range tests {
		set(test.counts, test.ago)
		if got := b.line(); !regexp.MustCompile(test.want).MatchString(got) {
			t.Errorf("%s: got %q, want %s", test.name, got, test.want)
		}
	}
}

// The live display ends with the run, whether it was finished or not, and leaves the figures on the screen.
func TestProgressBar(t *testing.T) {
	for _, answered := range []int{1, 3} {
		b, stderr := idle(t)
		end := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			showBar(b, end)
		}()
		stderr.await(t, "0/3 answered")
		for range answered {
			b.tally.recorded(batchfile.Record{Response: &batchfile.Response{StatusCode: 200}}, true, "", nil)
		}
		close(end)
		<-done
		if text := stderr.String(); !strings.Contains(text, map[int]string{1: "1/3 answered", 3: "3/3 answered"}[answered]) {
			t.Errorf("%d answered:\n%q", answered, text)
		}
	}
}

// Lines are drawn over those of before, however many rows these take.
func TestSketch(t *testing.T) {
	screen := newScreen()
	s := sketch{to: screen}
	s.draw([]string{"one", "two"})
	s.draw([]string{strings.Repeat("x", 81)})
	s.draw([]string{"end"})
	want := "\r\x1b[Jone\ntwo\n" + "\x1b[2A\r\x1b[J" + strings.Repeat("x", 81) + "\n" + "\x1b[2A\r\x1b[Jend\n"
	if screen.String() != want {
		t.Errorf("got %q, want %q", screen, want)
	}
}

// A server's error is one line, whatever is in it.
func TestErrorsAreOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"upstream failed:\n\tline a\r\nline b": "upstream failed: line a line b",
		"\x1b[2Jgone\u009b":                    "[2Jgone",
		"plain":                                "plain",
		"\n":                                   "",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
	b, _ := idle(t)
	b.tally.end(&flight{}, chat.Answer{}, errors.New("a\nb"))
	b.tally.recorded(batchfile.Record{Error: &batchfile.Failure{Code: "failed"}}, false, "", errors.New("c\nd"))
	if last := b.tally.lastError(); last != "a b" {
		t.Errorf("%q", last)
	}
	if why := b.tally.kinds["failed"].first; why != "c d" {
		t.Errorf("%q", why)
	}
}

// With -progress json, standard error is JSON to the end also where the answers go to standard output and the run pauses.
func TestProgressJSONBesideAnswers(t *testing.T) {
	var down atomic.Bool
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ string) bool {
		return down.Load() && refuse(w, 400, "bad", "no")
	})
	r := newRun(t, api.baseURL(), 3)
	r.progress = "json"
	journal := filepath.Join(t.TempDir(), "journal")
	down.Store(true)
	r.run(t, exitSomeFailed, "-o", "-", "-journal", journal)
	if words := `{"note":"failed for good: 3 × HTTP 400, the first: `; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%s is not said:\n%s", words, r.stderr)
	}
	down.Store(false)
	r.again(t, exitPaused, "-o", "-", "-journal", journal, "-retry-failed", "-budget-tokens", "1")
	notes := 0
	for line := range strings.Lines(r.stderr.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if v["note"] != nil {
			notes++
		}
	}
	if notes != 3 {
		t.Errorf("%d notes, of what there was, why it pauses, and how to go on:\n%s", notes, r.stderr)
	}
}

// What is named by the input is one line, too.
func TestNewsAreOneLine(t *testing.T) {
	b, _ := idle(t)
	var r report
	r.Lanes = []laneReport{{Name: "a\n\x1b[2Jb", Circuit: "closed", Cooling: 1}}
	if got := b.doing(r); !strings.HasPrefix(got, "a [2Jb cooling down 1s, ") {
		t.Errorf("%q", got)
	}
}

// With -progress json, what is said besides is JSON, too.
func TestNotesAreJSON(t *testing.T) {
	b, stderr := idle(t)
	b.progress = "json"
	b.tell("the key %q is gone", "k")
	if got, want := stderr.String(), `{"note":"the key \"k\" is gone"}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.progress = "plain"
	b.tell("%d %%", 5)
	if got := stderr.String(); !strings.HasSuffix(got, "\nllmbatch: 5 %\n") {
		t.Errorf("%q", got)
	}
}

// A wide rune that has no room at the end of a row stands in the next.
func TestRows(t *testing.T) {
	for _, test := range []struct {
		line    string
		columns int
		want    int
	}{{"", 5, 1}, {"abcde", 5, 1}, {"abcdef", 5, 2}, {"過負荷です", 5, 3}, {"過負荷です", 10, 1}, {"過負荷です", 9, 2}} {
		if got := rowsOf(test.line, test.columns); got != test.want {
			t.Errorf("%q in %d columns: %d rows", test.line, test.columns, got)
		}
	}
}

func TestPicture(t *testing.T) {
	b, _ := idle(t)
	b.tally.counts.Answered = 2
	for _, columns := range []int{20, 79, 199} {
		for n, line := range b.picture(columns) {
			if width := utf8.RuneCountInString(line); n > 0 && width > columns || n == 0 && columns > 30 && width != columns {
				t.Errorf("%d columns: line %d has %d: %q", columns, n, width, line)
			}
		}
	}
	for columns, want := range map[int]string{4: "", 5: "[==-]", 8: "[====--]"} {
		if got := bar(columns, 0.7); got != want {
			t.Errorf("%d columns: %q", columns, got)
		}
	}
}

// What is said fills the lines there are, and no part is torn.
func TestFill(t *testing.T) {
	parts := []string{"0:10", "2.0 req/s", "4 in flight", "3 wait for tokens"}
	for _, test := range []struct {
		columns, most int
		want          []string
	}{
		{80, 4, []string{"0:10, 2.0 req/s, 4 in flight, 3 wait for tokens"}},
		{20, 4, []string{"0:10, 2.0 req/s", "4 in flight", "3 wait for tokens"}},
		{20, 2, []string{"0:10, 2.0 req/s", "4 in flight"}},
		{3, 9, []string{"0:1", "2.0", "4 i", "3 w"}},
	} {
		if got := fill(parts, test.columns, test.most); !slices.Equal(got, test.want) {
			t.Errorf("%d columns: got %q, want %q", test.columns, got, test.want)
		}
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { paceOf16Seconds(t) })
}

func paceOf16Seconds(t *testing.T) {
	var p pace
	began := time.Now().Add(-100 * time.Second)
	p.samples = []sample{{at: began}, {at: began.Add(84 * time.Second), requests: 800}, {at: began.Add(90 * time.Second), requests: 900, tokens: 50}}
	requests, tokens := p.rates(counts{Requests: 1000, PromptTokens: 100, CompletionTokens: 50})
	if requests < 12 || requests > 12.6 || tokens < 9 || tokens > 9.5 { // of the last 16 s, not of the whole run
		t.Errorf("%v requests, %v tokens a second", requests, tokens)
	}
}

func TestShell(t *testing.T) {
	args := []string{"run", "-i", "my prompts.jsonl", "-set", `a={"b":"it's"}`, "-model", ""}
	if got, want := shell(args...), `run -i 'my prompts.jsonl' -set 'a={"b":"it'\''s"}' -model ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The command to go on with is the one that was given, by the name that was given: ./llmbatch is not in the PATH.
func TestCalledAs(t *testing.T) {
	for name, want := range map[string]string{
		"llmbatch": "llmbatch", "./llmbatch": "./llmbatch", "/my tools/llmbatch": "'/my tools/llmbatch'",
		"/tmp/go-build123/b001/exe/llmbatch": "go run ./examples/llmbatch",
	} {
		if got := calledAs(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		s := settings{journal: "j", command: []string{"-i", "a b"}}
		if got := s.howToGoOn(console{name: calledAs(name)}); got != "go on with: "+want+" -i 'a b'" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestIdeal(t *testing.T) {
	b, _ := idle(t)
	b.maxInFlight, b.rpm, b.burst, b.tpm = 4, 600, 10, 6000
	b.ring.of("m")
	set := func(c counts) { b.tally.counts = c }
	for _, test := range []struct {
		counts
		want time.Duration
		by   string
	}{
		{counts{Answered: 10, Busy: 8}, 2 * time.Second, "requests in flight"},
		{counts{Answered: 600, Busy: 8}, minute, "-rpm"},
		{counts{Answered: 10, PromptTokens: 12000, CompletionTokens: 6000}, 2 * minute, "-tpm"},
	} {
		set(test.counts)
		if got, by := b.ideal(); got.Round(time.Millisecond) != test.want || by != test.by {
			t.Errorf("%+v: got %v by %s", test.counts, got, by)
		}
	}
}

func TestWaits(t *testing.T) {
	limit := func(name string) []scheduler.Wait {
		return []scheduler.Wait{{Kind: scheduler.ForWorker}, {Kind: scheduler.ForLimit, Name: name}}
	}
	got := waits([]scheduler.KeySnapshot{
		{Queued: 3, Waits: limit("tokens")}, {Queued: 1, Waits: []scheduler.Wait{{Kind: scheduler.ForCooldown}}}, {Queued: 2, Waits: limit("tokens")}, {Running: 4},
		{Queued: 6, Waits: []scheduler.Wait{{Kind: scheduler.ForWorker}}},
	}, 2)
	want := []waitsFor{{"room in flight", 6}, {"tokens", 5}, {limitRequestsDay, 2}, {"the end of a cooldown", 1}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		columns int
		want    string
	}{{0, ""}, {-1, ""}, {3, "äbc"}, {4, "äbcd"}, {99, "äbcd"}} {
		if got := clip("äbcd", test.columns); got != test.want {
			t.Errorf("%d columns: %q", test.columns, got)
		}
	}
	if got := clip("過負荷です", 5); got != "過負" { // two columns each
		t.Errorf("%q", got)
	}
}
