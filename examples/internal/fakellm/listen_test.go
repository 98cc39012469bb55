package fakellm

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestStartAndShutdown(t *testing.T) {
	s := made(t, Config{})
	if s.BaseURL() != "" || s.LedgerURL() != "" {
		t.Errorf("before Start: %q, %q", s.BaseURL(), s.LedgerURL())
	}
	if err := s.Start("no such address"); err == nil {
		t.Fatal("it listens on no such address")
	}
	if err := s.Start(""); err != nil { // the failed one leaves room for another
		t.Fatal(err)
	}
	root, ok := strings.CutSuffix(s.BaseURL(), "/v1")
	if !ok || !strings.HasPrefix(root, "http://127.0.0.1:") || s.LedgerURL() != root+"/_ledger" {
		t.Errorf("%q, %q", s.BaseURL(), s.LedgerURL())
	}
	if err := s.Start(""); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	if resp, _ := mustPost(t, root, chat("a")); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	if _, _, err := post(root, chat("a")); err == nil {
		t.Error("it answers after Shutdown")
	}
	if err := s.Start(""); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Shutdown: %v", err)
	}
	if l := s.Ledger(); l.Completed != 1 {
		t.Errorf("%+v", l)
	}
}

func TestShutdownAnswersFirst(t *testing.T) {
	s := made(t, Config{Latency: Range{Min: time.Hour}})
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	status := make(chan string, 1)
	go func() { status <- attemptOnce(strings.TrimSuffix(s.BaseURL(), "/v1"), "a") }()
	await(t, func() bool { return s.Ledger().Admitted == 1 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-status; got != "200" {
		t.Error(got)
	}
}

// A client that never finishes its request cannot hold the server up for longer than the context.
func TestShutdownGivesUp(t *testing.T) {
	s := made(t, Config{})
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.BaseURL(), "http://"), "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return s.Ledger().InFlight == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	await(t, func() bool { return s.Ledger().Rejected == 1 })
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "127.0.0.1:80": "127.0.0.1:80", "192.0.2.1:80": "192.0.2.1:80",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(tcp); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

var _ http.Handler = (*Server)(nil)
