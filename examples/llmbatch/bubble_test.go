package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a network inside a bubble: what dials it is connected to what listens on it.
type wire struct {
	conns chan net.Conn
	gone  chan struct{}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.gone:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { close(w.gone); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs the program against a server, with a clock that jumps when all wait: minutes take milliseconds, and times are exact.
// What handler makes belongs to the bubble. inBubble returns when the run began, by that clock, and when its last line was written.
func (r *batchRun) inBubble(t *testing.T, handler func() http.Handler, args []string) (code int, began, ended time.Time) {
	t.Helper()
	s, err := parseFlags(args)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &wire{conns: make(chan net.Conn), gone: make(chan struct{})}
		server := &http.Server{Handler: handler(), ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(w)
		}()
		s.dial = w.dial
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
