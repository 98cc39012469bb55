package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// An answer that was cut short or withheld is an answer; with -strict it counts as failed, and has its line all the same.
func TestStrict(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		finish := strings.Fields(prompt)[0]
		_, _ = fmt.Fprintf(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":%q}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, finish)
		return true
	})
	var lines strings.Builder
	for _, finish := range []string{"stop", "length", "content_filter"} {
		lines.WriteString(batchLine(finish, finish+" it"))
	}
	r := newRun(t, api.baseURL(), 0)
	r.write(t, lines.String())
	r.run(t, exitDone)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 3})

	r = newRun(t, api.baseURL(), 0)
	r.write(t, lines.String())
	r.run(t, exitSomeFailed, "-strict")
	r.verify(t, 0)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": 1, "failed for good": 2})
	for _, words := range []string{"1 × truncated", "1 × filtered"} {
		if !strings.Contains(r.stdout.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stdout)
		}
	}
	if record := r.records(t)["length"]; record.Response == nil || record.Response.StatusCode != 200 {
		t.Errorf("%+v", record)
	}
}

func TestMaxResponseBytes(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitSomeFailed, "-max-response-bytes", "100")
	api.mustHit(t, 1, 1)
	if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != "bad_answer" || !strings.Contains(record.Error.Message, "longer than 100 bytes") {
		t.Errorf("%+v", record.Error)
	}
}

// An answer whose line the journal cannot hold, here for its escapes, fails: the run goes on, and does not send it again and again.
func TestLineTooLong(t *testing.T) {
	page := bytes.Repeat([]byte{1}, 11<<20) // six bytes each in JSON, 66 MiB
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if n > 1 {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(page)
		return true
	})
	r := newRun(t, api.baseURL(), 2)
	r.run(t, exitSomeFailed, "-max-in-flight", "1")
	if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != "too_long" || !strings.Contains(record.Error.Message, "67108864 are the most") {
		t.Errorf("%+v", record.Error)
	}
	if words := "1 × too_long, the first: "; !strings.Contains(r.stdout.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stdout)
	}
	r.again(t, exitSomeFailed)
	api.mustHit(t, 2, 2)
	r.verify(t, 0)
}

// What may have been billed is tried again -retry-ambiguous times, whatever -max-attempts allows.
func TestRetryAmbiguous(t *testing.T) {
	for again, want := range map[string]int64{"0": 1, "1": 2, "5": 4} {
		api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool { return hangUp(w) })
		r := newRun(t, api.baseURL(), 1)
		r.run(t, exitSomeFailed, "-retry-ambiguous", again, "-max-attempts", "4")
		api.mustHit(t, want, want)
		if got := summaryRow(r.stdout.String(), "maybe billed"); got != fmt.Sprint(want) {
			t.Errorf("maybe billed: %q, want %d\n%s", got, want, r.stdout)
		}
	}
}

// So is a success that answers nothing, as it is billed, or may be.
func TestRetryUselessAnswer(t *testing.T) {
	for body, tokens := range map[string]int64{ // of each
		`{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}`: 9, "data: {}\n\n": 0, `{"error":{"code":500,"message":"no"}}`: 0,
	} {
		for again, want := range map[string]int64{"0": 1, "1": 2, "5": 4} {
			r := newRun(t, "http://useless/v1", 1)
			var hits atomic.Int64
			useless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				hits.Add(1)
				_, _ = w.Write([]byte(body))
			})
			r.bubble(t, func() http.Handler { return useless }, func(open func([]string) *batch) {
				b := open(r.args("-retry-ambiguous", again, "-max-attempts", "4"))
				code, c := b.answerAll(nil), b.tally.now()
				if code != exitSomeFailed || hits.Load() != want {
					t.Errorf("%s, -retry-ambiguous %s: exit code %d, sent %d times; want %d", body, again, code, hits.Load(), want)
				}
				if c.PromptTokens != want*tokens || c.CompletionTokens != want*tokens || int64(c.Errors) != want || c.Busy != 0 {
					t.Errorf("%s, sent %d times: %+v; want %d tokens of each", body, want, c, want*tokens)
				}
			})
			if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != "bad_answer" {
				t.Errorf("%s: %+v", body, record)
			}
		}
	}
}

func TestMaxThrottleWait(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		w.Header().Set("Retry-After-Ms", "150")
		return refuse(w, 429, "rate_limit_exceeded", "slower")
	})
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitSomeFailed, "-max-throttle-wait", "200ms")
	api.mustHit(t, 1, 2)
	if record := r.records(t)["id-0"]; record.Response == nil || record.Response.StatusCode != 429 {
		t.Errorf("%+v %+v", record.Response, record.Error)
	}
}

// A server that accepts connections and says nothing: -connect-timeout bounds the handshake, too.
func TestConnectTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := newRun(t, "https://"+silent.Addr().String(), 1)
	r.run(t, exitSomeFailed, "-connect-timeout", "500ms", "-max-attempts", "1")
	if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != "unsent" || !strings.Contains(record.Error.Message, "handshake timeout") {
		t.Errorf("%+v", record.Error)
	}
}

func TestIdleTimeoutFlag(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		_, _ = w.Write([]byte(`{"choices":`))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitSomeFailed, "-idle-timeout", "50ms", "-max-attempts", "1")
	if record := r.records(t)["id-0"]; record.Error == nil || record.Error.Code != "ambiguous" || !strings.Contains(record.Error.Message, "fell silent for 50ms") {
		t.Errorf("%+v", record.Error)
	}
}

// What the headers of an answer say is left at the server holds the next ones back.
func TestHeadersLowerLimits(t *testing.T) {
	empty := func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		w.Header().Set("X-Ratelimit-Limit-Tokens", "100000")
		w.Header().Set("X-Ratelimit-Remaining-Tokens", "0")
		w.Header().Set("X-Ratelimit-Reset-Tokens", "60s")
		return false
	}
	r := newRun(t, "http://empty/v1", 5)
	api, _ := r.runInBubble(t, exitPaused, empty, "-tpm", "100000", "-max-in-flight", "1", "-run-deadline", "400ms")
	api.mustHit(t, 1, 1)
}

// A pipe can be read only once, and is.
func TestInputThatIsNoFile(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 5)
	r.stdin = strings.NewReader("one\ntwo\nthree\n")
	r.in = "-"
	r.run(t, exitDone, "-model", "m")
	if n := len(r.records(t)); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// summaryRow is what follows a label of the summary.
func summaryRow(text, label string) string {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), label+"  "); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
