package main

import (
	"io"
	"log"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/examples/internal/memnet"
)

// inBubble runs the program against a server, with a clock that jumps when all wait: minutes take milliseconds, and times are exact.
// What handler makes belongs to the bubble. inBubble returns when the run began, by that clock, and when its last line was written.
func (r *batchRun) inBubble(t *testing.T, handler func() http.Handler, args []string) (code int, began, ended time.Time) {
	t.Helper()
	r.bubble(t, handler, func(open func([]string) *batch) {
		b := open(args)
		began = time.Now()
		code = b.conclude(b.answerAll(nil), nil)
		ended = b.tally.now().ended
	})
	return code, began, ended
}

// runInBubble is run in a bubble, against a server that judge makes. It returns that, and how long the run took.
func (r *batchRun) runInBubble(t *testing.T, code int, judge judge, more ...string) (api *backend, took time.Duration) {
	t.Helper()
	handler := func() http.Handler {
		api = judgedBy(t, judge)
		return api
	}
	r.inBubbleRuns(t, handler, func(run func(args []string) int) {
		began := time.Now()
		got := run(r.args(more...))
		took = time.Since(began)
		if got != code {
			t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, code, r.stdout, r.stderr)
		}
	})
	r.mustHideKey(t)
	return api, took
}

// inBubbleRuns is inBubble for several runs: do calls run for each, which returns its exit code.
func (r *batchRun) inBubbleRuns(t *testing.T, handler func() http.Handler, do func(run func(args []string) int)) {
	t.Helper()
	r.bubble(t, handler, func(open func([]string) *batch) {
		do(func(args []string) int {
			b := open(args)
			return b.conclude(b.answerAll(nil), nil)
		})
	})
}

// bubble calls do in a bubble, with a server, and with what opens a run against that.
func (r *batchRun) bubble(t *testing.T, handler func() http.Handler, do func(open func(args []string) *batch)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		server := &http.Server{Handler: handler(), ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		do(func(args []string) *batch {
			s, err := parseFlags(args)
			if err != nil {
				t.Fatal(err)
			}
			s.dial = network.Dial
			src, err := openSource(&s, r.stdin)
			if err != nil {
				t.Fatal(err)
			}
			b, err := open(s, src, r.console())
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
}
