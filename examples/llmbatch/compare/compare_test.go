package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// quick is the comparison in little: the same faults, all at a hundredth of the time.
func quick(n int) scenario {
	s := hostile(n, 1)
	s.api.Rate, s.api.Burst = 400, 40
	s.api.Latency = fakellm.Range{Min: time.Millisecond, Max: 5 * time.Millisecond}
	s.api.RetryAfter = time.Second
	s.pause = 150 * time.Millisecond
	return s
}

// All contenders run, and what is counted of each adds up, whatever came of it.
func TestFaceAll(t *testing.T) {
	const n = 60
	s := quick(n)
	var stderr bytes.Buffer
	results, err := s.faceAll(t.Context(), &stderr)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	r := report{scenario: s, results: results, command: "compare"}
	text := string(r.text())
	for i := range results {
		got := &results[i]
		if sum := got.lines.right + got.lines.wrong + got.lines.failed + got.lines.missing; sum != n || got.lines.wrong != 0 {
			t.Errorf("%s: %+v is not %d", got.name, got.lines, n)
		}
		b := got.bill
		if b.InFlight != 0 || b.Received != b.Settled() {
			t.Errorf("%s: the API has not settled everything: %+v", got.name, b)
		}
		if b.Billed != b.Completed+b.Abandoned+got.ambiguous() || b.Faulted == 0 {
			t.Errorf("%s: %d billed, of %d completed, %d abandoned, %d ambiguous", got.name, b.Billed, b.Completed, b.Abandoned, got.ambiguous())
		}
		if got.lines.right > b.Completed || got.vain() < 0 {
			t.Errorf("%s: %d lines right, but %d completed", got.name, got.lines.right, b.Completed)
		}
		if !strings.Contains(stderr.String(), got.name) || !strings.Contains(text, "| "+got.name+" | ") || !strings.Contains(text, "- **"+got.name+"**: ") {
			t.Errorf("%s is not told of:\n%s%s", got.name, &stderr, text)
		}
	}
	documented, logged, copied, today, ours := &results[0], &results[1], &results[2], &results[3], &results[4]
	if documented.lines.missing == 0 || documented.lines.failed != 0 {
		t.Errorf("%s: the first error has not stopped it: %+v", documented.name, documented.lines)
	}
	if logged.bill.Received != n || logged.lines.right != logged.bill.Completed || logged.lines.failed != n-logged.lines.right || logged.lines.failed == 0 {
		t.Errorf("%s: %+v, %d requests, %d completed", logged.name, logged.lines, logged.bill.Received, logged.bill.Completed)
	}
	for _, got := range []*result{copied, today} {
		if got.lines.missing != 0 || got.bill.Received <= n || got.bill.Received > processorAttempts*n {
			t.Errorf("%s: %+v, %d requests", got.name, got.lines, got.bill.Received)
		}
	}
	if copied.took < s.pause || copied.bill.Throttled() == 0 {
		t.Errorf("%s: no pause in %v, with %d throttles", copied.name, copied.took, copied.bill.Throttled())
	}
	if faults := s.broken(ours); len(faults) > 0 || ours.bill.Completed != n || ours.bill.Billed != n+ours.ambiguous() || ours.ambiguous() == 0 {
		t.Errorf("llmbatch: %v, %+v, %d billed, %d ambiguous", faults, ours.lines, ours.bill.Billed, ours.ambiguous())
	}
}

// The command as it is typed: a report, and the exit code of promises kept.
func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-n", "5", "-seed", "3"}, &stdout, &stderr); code != exitGood {
		t.Fatalf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, words := range []string{
		"`go run ./examples/llmbatch/compare -n 5 -seed 3`", "| prompts | 5, seed 3 |", "lines right, of 5 |", "\n| llmbatch | 5 | ", "llmbatch keeps what it promises",
	} {
		if !strings.Contains(stdout.String(), words) {
			t.Errorf("no %q in\n%s", words, &stdout)
		}
	}
}

// A promise that is not kept is an error, and is in the report, which is written all the same.
func TestBrokenPromise(t *testing.T) {
	s := quick(5)
	s.api.Rules = []fakellm.Rule{{Prompt: "(no. 3)", Fault: fakellm.BadRequest}}
	out := filepath.Join(t.TempDir(), "out.md")
	var stdout, stderr bytes.Buffer
	if err := compare(t.Context(), s, out, "compare", &stdout, &stderr); !errors.Is(err, errBroken) {
		t.Errorf("error %v\n%s", err, &stderr)
	}
	text, err := os.ReadFile(out)
	if want := "**not kept by llmbatch: 4 lines are right, of 5**"; err != nil || !strings.Contains(string(text), want) || stdout.Len() > 0 {
		t.Errorf("no %q in %s, %v; stdout: %s", want, text, err, &stdout)
	}
}
