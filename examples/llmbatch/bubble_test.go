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
	s, err := parseFlags(args)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		server := &http.Server{Handler: handler(), ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		s.dial = network.Dial
		src, err := openSource(&s, r.stdin)
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(s, src, r.console())
		if err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		code = b.answerAll(nil)
		ended = b.tally.now().ended
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return code, began, ended
}
