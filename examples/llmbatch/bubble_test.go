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
		code = b.answerAll(nil)
		ended = b.tally.now().ended
	})
	return code, began, ended
}

// inBubbleRuns is inBubble for several runs: do calls run for each, which returns its exit code.
func (r *batchRun) inBubbleRuns(t *testing.T, handler func() http.Handler, do func(run func(args []string) int)) {
	t.Helper()
	r.bubble(t, handler, func(open func([]string) *batch) {
		do(func(args []string) int { return open(args).answerAll(nil) })
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
