package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// Every prompt is in one count, and only the whole answer to it, on its only line, is right.
func TestJudge(t *testing.T) {
	prompts := somePrompts(7, 1)
	answer := func(p, to prompt, status int) batchfile.Record {
		body := fmt.Sprintf(`{"choices":[{"message":{"content":"Fake answer to prompt %s: rain"}}]}`, fakellm.Digest(to.text))
		return batchfile.Record{CustomID: p.id, Response: &batchfile.Response{StatusCode: status, Body: []byte(body)}}
	}
	cut := answer(prompts[3], prompts[3], 200)
	cut.Response.Body = cut.Response.Body[:len(cut.Response.Body)-2]
	records := []batchfile.Record{
		answer(prompts[0], prompts[0], 200),
		answer(prompts[1], prompts[0], 200),                                      // another's
		answer(prompts[2], prompts[2], 200), answer(prompts[2], prompts[2], 200), // twice
		cut,
		answer(prompts[4], prompts[4], 500),
		{CustomID: prompts[5].id, Error: &batchfile.Failure{Code: "failed", Message: "EOF"}},
	}
	good := outputOf(t, records)
	for _, test := range []struct {
		name, output string
		want         lines
		says         string // of the error; empty for none
	}{
		{"all kinds", good, lines{right: 1, wrong: 2, failed: 3, missing: 1}, ""},
		{"nothing", "", lines{missing: 7}, ""},
		{"foreign", good + outputOf(t, []batchfile.Record{answer(prompt{id: "prompt-8"}, prompts[0], 200)}), lines{}, "1 foreign"},
		{"malformed", good + "{}\n", lines{}, "1 malformed"},
		{"torn", strings.TrimSuffix(good, "\n"), lines{}, "torn"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			work := task{prompts: prompts, in: filepath.Join(dir, "in.jsonl"), out: filepath.Join(dir, "out.jsonl")}
			s := scenario{prompts: prompts}
			if err := errors.Join(s.writeTo(work.in), os.WriteFile(work.out, []byte(test.output), 0o600)); err != nil {
				t.Fatal(err)
			}
			got, err := judge(work)
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if (test.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
		})
	}
}

func outputOf(t *testing.T, records []batchfile.Record) string {
	t.Helper()
	var all []byte
	for _, r := range records {
		var err error
		if all, err = batchfile.AppendRecord(all, r); err != nil {
			t.Fatal(err)
		}
	}
	return string(all)
}

// The ideal follows from the scenario alone.
func TestIdeal(t *testing.T) {
	for _, test := range []struct {
		prompts int
		share   float64
		needed  int
		ideal   time.Duration
	}{
		{2000, 0.2, 2500, 52500 * time.Millisecond},
		{2000, 0, 2000, 40 * time.Second},
		{2001, 0.2, 2502, 52550 * time.Millisecond}, // 2501.25
		{320, 0.2, 400, 0},
		{1, 0.2, 2, 0},
	} {
		s := hostile(test.prompts, 1)
		s.api.Faults.Share = test.share
		if s.needed() != test.needed || s.ideal() != test.ideal {
			t.Errorf("%d prompts, %g of the requests lost: %d requests, %v; want %d, %v", test.prompts, test.share, s.needed(), s.ideal(), test.needed, test.ideal)
		}
	}
}

// Each promise is noticed when it is not kept.
func TestBroken(t *testing.T) {
	s := hostile(2000, 1)
	kept := result{
		lines: lines{right: 2000}, took: 57750 * time.Millisecond,
		bill: fakellm.Ledger{Billed: 2150, Faults: map[fakellm.Fault]int{fakellm.Short: 100, fakellm.ResetMid: 50, fakellm.Reset: 70}},
	}
	for _, test := range []struct {
		name    string
		prompts int
		change  func(r *result)
		says    string // empty: nothing
	}{
		{"kept", 2000, func(*result) {}, ""},
		{"a line", 2000, func(r *result) { r.lines = lines{right: 1999, failed: 1} }, "1999 lines are right, of 2000"},
		{"a bill", 2000, func(r *result) { r.bill.Billed++ }, "2151 are billed, which 2150 would be"},
		{"time", 2000, func(r *result) { r.took += time.Second }, "1.119 times the ideal"},
		{"time of few", 1999, func(r *result) { r.took, r.lines.right, r.bill.Billed = time.Hour, 1999, 2149 }, ""},
	} {
		s.prompts = s.prompts[:test.prompts]
		r := kept
		test.change(&r)
		err := errors.Join(s.broken(&r)...)
		if (err == nil) != (test.says == "") || err != nil && (!errors.Is(err, errBroken) || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
}
