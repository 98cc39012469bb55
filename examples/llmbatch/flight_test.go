package main

import (
	"net/http"
	"testing"
)

// What is between two attempts can be recalled, as when its key dies. What is answered can't, even before its job has ended: it was
// billed, and would be sent again.
func TestRecall(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, n int, _ string) bool {
		return n == 1 && refuse(w, http.StatusInternalServerError, "server_error", "no")
	})
	r := newRun(t, api.baseURL(), 1)
	s, err := parseFlags(r.args())
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
	defer b.discard()
	item, ok := b.next()
	if !ok {
		t.Fatal("no prompt")
	}
	b.enqueue(item)
	f := b.queues[item.Model][0]
	f.lane = b.ring.pick(item.Model)

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
