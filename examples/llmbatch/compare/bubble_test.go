package main

import (
	"io"
	"log"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/examples/internal/memnet"
)

// inBubble has a contender face a server, with a clock that jumps when all wait: minutes take a second, and times are exact. It returns
// what came of it, and how long it took by that clock. What handler makes belongs to the bubble.
func inBubble(t *testing.T, prompts []prompt, c contender, handler func() http.Handler) (n lines, took time.Duration) {
	t.Helper()
	s := scenario{prompts: prompts}
	dir := t.TempDir()
	work := task{
		prompts: prompts, baseURL: "http://127.0.0.1/v1", in: filepath.Join(dir, "prompts.jsonl"), out: filepath.Join(dir, "results.jsonl"),
	}
	if err := s.writeTo(work.in); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		work.dial = network.Dial
		server := &http.Server{Handler: handler(), ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		began := time.Now()
		if err := c.run(t.Context(), work); err != nil {
			t.Error(err)
		}
		took = time.Since(began)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	n, err := judge(work)
	if err != nil {
		t.Fatal(err)
	}
	return n, took
}
