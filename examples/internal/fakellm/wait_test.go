package fakellm

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// recorded serves one request without a network, so that a synctest bubble's clock can move, and says how long it took.
func recorded(ctx context.Context, s *Server, prompt string) (*httptest.ResponseRecorder, time.Duration) {
	return recordedBody(ctx, s, chat(prompt))
}

func recordedBody(ctx context.Context, s *Server, body string) (*httptest.ResponseRecorder, time.Duration) {
	start := time.Now()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
	return rec, time.Since(start)
}

func made(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{Latency: Range{Min: 70 * time.Millisecond}, Rate: 1})
		if rec, took := recorded(t.Context(), s, "a"); rec.Code != 200 || took != 70*time.Millisecond {
			t.Errorf("%d after %v", rec.Code, took)
		}
		rec, took := recorded(t.Context(), s, "b")
		if rec.Code != 429 || took != 0 || rec.Header().Get("Retry-After-Ms") != "930" {
			t.Errorf("%d after %v, %v", rec.Code, took, rec.Header())
		}
		time.Sleep(930 * time.Millisecond)
		if rec, _ := recorded(t.Context(), s, "b"); rec.Code != 200 {
			t.Errorf("%d after the wait it was told", rec.Code)
		}
	})
}

// Failures take their time too; the outage does not.
func TestLatencyOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{Latency: Range{Min: time.Second}, Fail: 0.5, OutageAt: time.Hour, OutageFor: time.Hour})
		failures := map[int]int{}
		for range 8 {
			rec, took := recordedOrReset(t.Context(), s, t.Name()+time.Now().String())
			failures[rec.Code]++
			if took != time.Second {
				t.Errorf("%d after %v", rec.Code, took)
			}
		}
		if failures[200] == 8 {
			t.Error("nothing failed")
		}
		time.Sleep(time.Hour)
		if rec, took := recorded(t.Context(), s, "a"); rec.Code != 503 || took != 0 {
			t.Errorf("in the outage %d after %v", rec.Code, took)
		}
		time.Sleep(time.Hour)
		if _, took := recordedOrReset(t.Context(), s, "a"); took != time.Second {
			t.Errorf("after the outage it took %v", took)
		}
	})
}

// recordedOrReset is recorded for requests that may be reset: a recorder has no connection, so those panic as net/http
// wants it.
func recordedOrReset(ctx context.Context, s *Server, prompt string) (rec *httptest.ResponseRecorder, took time.Duration) {
	start := time.Now()
	defer func() {
		switch r := recover(); r {
		case nil:
		case any(http.ErrAbortHandler):
			rec, took = &httptest.ResponseRecorder{Code: 0}, time.Since(start)
		default:
			panic(r)
		}
	}()
	return recorded(ctx, s, prompt)
}

func TestWaitEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{Latency: Range{Min: time.Hour}})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if rec, took := recorded(ctx, s, "a"); took != 3*time.Second || rec.Body.Len() != 0 {
			t.Errorf("%q after %v", rec.Body, took)
		}
		if l := s.Ledger(); l.Abandoned != 1 || l.Completed != 0 || l.PromptTokens == 0 {
			t.Errorf("%+v", l)
		}
	})
}

// Shutdown hurries the answers, and loses none.
func TestWaitEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{Latency: Range{Min: time.Hour}})
		time.AfterFunc(2*time.Second, func() { _ = s.Shutdown(context.Background()) })
		if rec, took := recorded(t.Context(), s, "a"); rec.Code != 200 || took != 2*time.Second {
			t.Errorf("%d after %v", rec.Code, took)
		}
		if l := s.Ledger(); l.Completed != 1 || l.Abandoned != 0 || l.InFlight != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// A snapshot taken while answers wait counts them as in flight.
func TestLedgerInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, Config{Latency: Range{Min: time.Second}})
		for range 3 {
			go recorded(t.Context(), s, "a")
		}
		synctest.Wait()
		if l := s.Ledger(); l.InFlight != 3 || l.Received != 3 || l.Admitted != 3 || l.Settled() != 0 || l.PeakConcurrent != 3 {
			t.Errorf("%+v", l)
		}
		time.Sleep(2 * time.Second)
		if l := s.Ledger(); l.InFlight != 0 || l.Completed != 3 || l.PeakConcurrent != 3 {
			t.Errorf("%+v", l)
		}
	})
}

// deadLine is a connection that died without the context's noticing.
type deadLine struct{ *httptest.ResponseRecorder }

func (deadLine) Write([]byte) (int, error) { return 0, net.ErrClosed }

// An answer that cannot be written was billed, and nobody has it.
func TestAnswerThatCannotBeWritten(t *testing.T) {
	s := made(t, Config{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(chat("a")))
	s.ServeHTTP(deadLine{httptest.NewRecorder()}, r)
	if l := s.Ledger(); l.Abandoned != 1 || l.Completed != 0 || l.PromptTokens == 0 || l.CompletedPerPrompt[0] != 1 {
		t.Errorf("%+v", l)
	}
}
