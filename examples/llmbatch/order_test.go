package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// Whatever the order in which lines come, they are written in that of their places; and what is left when some never come, too.
func TestSequence(t *testing.T) {
	const places = 3 * chunkSize
	seed := rand.Uint64()
	line := func(place int) string {
		length := place % 97
		if length == 96 {
			length = 10_000 // more than is read at once
		}
		return fmt.Sprintf("%d%s\n", place, strings.Repeat("x", length))
	}
	for _, missing := range []int{-1, 0, 5, places - 1} {
		var got []string
		s := newSequence(func(line []byte) error { got = append(got, string(line)); return nil })
		for _, place := range rand.New(rand.NewPCG(seed, 1)).Perm(places) {
			if place == missing {
				continue
			}
			if err := s.put(place, []byte(line(place))); err != nil {
				t.Fatal(err)
			}
		}
		if missing >= 0 && len(got) != missing {
			t.Errorf("%d lines are out while %d is missing", len(got), missing)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		var want []string
		for place := range places {
			if place != missing {
				want = append(want, line(place))
			}
		}
		if strings.Join(got, "") != strings.Join(want, "") || s.held != 0 || len(s.chunks) != 0 {
			t.Errorf("seed %d, %d missing: %d lines, %d held", seed, missing, len(got), s.held)
		}
	}
}

// The file is used again once nothing is held, so that it does not grow with the run.
func TestSequenceFile(t *testing.T) {
	s := newSequence(func([]byte) error { return nil })
	defer s.close() //nolint:errcheck // looked at below
	line := bytes.Repeat([]byte("x"), 1000)
	for place := 0; place < 1000; place += 2 {
		if err := s.put(place+1, line); err != nil {
			t.Fatal(err)
		}
		if err := s.put(place, line); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := s.file.Stat(); err != nil || info.Size() != header+1000 || s.held != 0 {
		t.Errorf("%d bytes, %d held, %v", info.Size(), s.held, err)
	}
}

// The first answer is the last to come, and the output is in order all the same; gzip as well.
func TestOrderInput(t *testing.T) {
	const prompts = 40
	for _, suffix := range []string{"", ".gz"} {
		last := make(chan struct{})
		api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
			if strings.HasPrefix(prompt, "Question 0:") {
				<-last
			}
			if strings.HasPrefix(prompt, fmt.Sprintf("Question %d:", prompts-1)) {
				close(last)
			}
			return false
		})
		r := newRun(t, api.baseURL(), prompts)
		r.out += suffix
		r.run(t, exitDone, "-order", "input", "-max-in-flight", "4")
		r.verify(t, 0)
		if suffix != "" {
			continue
		}
		data, err := os.ReadFile(r.out)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range bytes.Lines(data) {
			record, err := batchfile.ParseRecord(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil || record.CustomID != fmt.Sprintf("id-%d", n) {
				t.Errorf("line %d is %s, %v", n, record.CustomID, err)
			}
			n++
		}
	}
}

// Requests that are the same are sent once; with auto, those of temperature 0.
func TestDedupe(t *testing.T) {
	input := ""
	for n := range 30 {
		temperature := n % 2 // every prompt three times
		input += fmt.Sprintf(`{"custom_id":"id-%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m","temperature":%d,"messages":[{"role":"user","content":"prompt %d"}]}}`+"\n", n, temperature, n%10)
	}
	for mode, sent := range map[string]int64{"off": 30, "auto": 5 + 15, "always": 10} {
		api := serve(t, answers)
		r := newRun(t, api.baseURL(), 0)
		r.write(t, input)
		r.run(t, exitDone, "-dedupe", mode, "-max-in-flight", "2")
		api.mustHit(t, sent, sent)
		r.verify(t, 0)
		records := r.records(t)
		for n := range 30 {
			mustAnswer(t, records[fmt.Sprintf("id-%d", n)], fmt.Sprintf("prompt %d", n%10))
		}
		if got, want := summaryRow(r.stdout.String(), "of them shared"), fmt.Sprint(30-sent); got != want && sent < 30 {
			t.Errorf("%s: shared %q, want %s", mode, got, want)
		}
	}
}

// A failure is not shared: the next of those that wait for the answer asks for itself.
func TestDedupeFailure(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		return n == 1 && refuse(w, 400, "invalid_value", "no")
	})
	r := newRun(t, api.baseURL(), 0)
	for n := range 5 {
		r.prompts[fmt.Sprintf("id-%d", n)] = "the same"
	}
	var lines strings.Builder
	for n := range 5 {
		lines.WriteString(batchLine(fmt.Sprintf("id-%d", n), "the same"))
	}
	r.write(t, lines.String())
	r.run(t, exitSomeFailed, "-dedupe", "always")
	r.verify(t, 0)
	api.mustHit(t, 2, 2)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 4, "failed for good": 1, "requests": 2})
}

// Nor is an answer that -strict counts as failed: -retry-failed would repair only the one that asked for it.
func TestDedupeFlaw(t *testing.T) {
	const answer = `{"choices":[{"message":{"content":"x"},"finish_reason":%q}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		finish := "stop"
		if n <= 2 {
			finish = "length"
		}
		_, _ = fmt.Fprintf(w, answer, finish)
		return true
	})
	r := newRun(t, api.baseURL(), 0)
	var lines strings.Builder
	for n := range 5 {
		r.add(&lines, fmt.Sprintf("id-%d", n), "the same")
	}
	r.write(t, lines.String())
	r.run(t, exitSomeFailed, "-dedupe", "always", "-strict", "-max-in-flight", "1")
	api.mustHit(t, 3, 3)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 3, "failed for good": 2})
	r.again(t, exitDone, "-dedupe", "always", "-strict", "-retry-failed")
	for id, record := range r.records(t) {
		if record.Response == nil || !strings.Contains(string(record.Response.Body), `"stop"`) {
			t.Errorf("%s: %+v", id, record.Response)
		}
	}
	r.verify(t, 0)
}

// What waits holds its request once, and nothing of it if that is another's.
func TestWaitingIsSmall(t *testing.T) {
	r := newRun(t, "http://nobody/v1", 0)
	r.write(t, strings.Repeat("same\n", 2))
	b, f := newFlight(t, r, "-dedupe", "always", "-model", "m")
	d, _ := b.repeats.shares(&f.item)
	b.repeats.leaders[d] = nil
	if item, ok := b.next(); !ok || !b.repeated(item) {
		t.Fatal("the second is not the same as the first")
	}
	if follower := b.repeats.leaders[d][0]; f.item.Prompt != "" || follower.Prompt != "" || follower.Body != nil {
		t.Errorf("%+v, and %+v waits for its answer", f.item, follower)
	}
}

// An answer fits into the line of one prompt, and not into that of another whose id is longer: that one fails.
func TestSharedLineTooLong(t *testing.T) {
	b, f := newFlight(t, newRun(t, "http://nobody/v1", 1), "-dedupe", "always")
	long := batchfile.Record{Response: &batchfile.Response{StatusCode: 200, Body: bytes.Repeat([]byte("7"), journal.MaxData)}}
	b.share(long, nil, f.item)
	if got := b.rec.status(0).State; got != journal.Failed || b.halt.isAsked() || b.tally.now().Failed != 1 || b.tally.now().Shared != 0 {
		t.Errorf("on record as %v; %+v", got, b.tally.now())
	}
}
