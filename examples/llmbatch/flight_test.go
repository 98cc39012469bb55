package main

import (
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/toller-go/toller/job/journal"
	"github.com/toller-go/toller/policy/api"
)

// newFlight is the first prompt of a run whose loop is the test's, bound to a key.
func newFlight(t *testing.T, r *batchRun, flags ...string) (*batch, *flight) {
	t.Helper()
	s, err := parseFlags(r.args(flags...))
	if err != nil {
		t.Fatal(err)
	}
	src, err := openSource(&s, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(s, src, r.console())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.discard)
	item, ok := b.next()
	if !ok {
		t.Fatal("no prompt")
	}
	b.enqueue(item)
	f := b.queues[item.Model][0]
	f.lane = b.ring.pick(item.Model)
	return b, f
}

// What is between two attempts can be recalled, as when its key dies. What is answered can't, even before its job has ended: it was
// billed, and would be sent again.
func TestRecall(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, n int, _ string) bool {
		return n == 1 && refuse(w, http.StatusInternalServerError, "server_error", "no")
	})
	b, f := newFlight(t, newRun(t, api.baseURL(), 1))
	close(b.over) // nobody is there to record

	if _, err := b.job(f)(t.Context()); err == nil {
		t.Fatal("the first attempt does not fail")
	}
	if !f.recall() {
		t.Error("not to be recalled between two attempts")
	}
	if _, err := b.job(f)(t.Context()); err == nil {
		t.Error("sent although it was recalled")
	}
	f.state.Store(resting) // bound again
	if _, err := b.job(f)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.recall() {
		t.Error("recalled though it is answered")
	}
	api.mustHit(t, 2, 2)
}

// An attempt is in flight until its answer is on record: a crash loses no more answers than may be in flight. The answer to a flight that
// was given up meanwhile is not recorded any more, and holds nobody up.
func TestRecordedInFlight(t *testing.T) {
	for _, givenUp := range []bool{false, true} {
		api := serve(t, answers)
		b, f := newFlight(t, newRun(t, api.baseURL(), 1))
		b.flights[f] = !givenUp
		returned := make(chan error, 1)
		go func() {
			_, err := b.job(f)(t.Context())
			returned <- err
		}()
		if e := <-b.events; e.begun != f {
			t.Fatalf("%+v", e)
		}
		e := <-b.events
		if e.answered != f || len(returned) > 0 {
			t.Fatalf("%+v, %d returned", e, len(returned))
		}
		b.take(e)
		if err := <-returned; err != nil {
			t.Error(err)
		}
		if got := b.rec.status(0).State; (got == journal.Done) == givenUp || f.settled == givenUp {
			t.Errorf("given up: %v; it is on record as %v, settled: %v", givenUp, got, f.settled)
		}
	}
}

// What has failed for good before it was recalled stays failed: its attempts are used up, and may have been billed.
func TestRecallTooLate(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ string) bool {
		return refuse(w, http.StatusInternalServerError, "server_error", "no")
	})
	b, f := newFlight(t, newRun(t, api.baseURL(), 1), "-max-attempts", "1")
	if b.bind(t.Context(), f.item.Model) != 0 {
		t.Fatal("not bound")
	}
	b.take(<-b.events) // begun
	ended := <-b.events
	if ended.ended != f || ended.err == nil {
		t.Fatalf("%+v", ended)
	}
	if !f.recall() {
		t.Fatal("it is not resting")
	}
	f.future.Cancel()
	b.take(ended)
	if got := b.rec.status(0).State; got != journal.Failed || b.unbound() > 0 {
		t.Errorf("on record as %v, and %d are to be sent again", got, b.unbound())
	}
}

// A prompt that is given up while it is bound to no key may hand its place to another: that one is not lost.
func TestExpiredLeader(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 0)
	r.write(t, batchLine("first", "same")+batchLine("second", "same")+batchLine("third", "another"))
	b, first := newFlight(t, r, "-dedupe", "always", "-deadline", "1m")
	b.repeated(first.item)
	second, ok := b.next()
	if !ok || !b.repeated(second) {
		t.Fatal("the second does not wait for the first")
	}
	third, _ := b.next()
	b.enqueue(third)
	first.expired = true
	b.bind(t.Context(), first.item.Model)
	bound := make(map[string]bool)
	for f := range b.flights {
		bound[f.item.ID] = true
	}
	if len(bound) != 2 || !bound["second"] || !bound["third"] || b.unbound() > 0 {
		t.Errorf("bound are %v; %d are not", bound, b.unbound())
	}
	for len(b.flights) > 0 {
		b.take(<-b.events)
	}
}

// What is recorded of a failure counts itself, since a crash may come next.
func TestWastedIsRecorded(t *testing.T) {
	b, f := newFlight(t, newRun(t, "http://nobody/v1", 1))
	f.ambiguous = 1
	broke := &api.Error{Meaning: api.Meaning{Class: api.Ambiguous}}
	if err := errors.Join(b.rec.begin(f), b.recordFailure(t.Context(), f, broke)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(b.rec.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	again := &recorder{wasted: make(map[int]int)}
	_, err = journal.Scan(file, func(record journal.Record) error {
		again.learnWasted(record)
		return nil
	})
	if err != nil || again.wasted[0] != 2 {
		t.Errorf("%v, %v", again.wasted, err)
	}
}
