package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/job/journal"
)

// Effects of flags that no other test has for its subject.

// What is asked for goes below the path of -base-url, with the key in its header.
func TestBaseURL(t *testing.T) {
	api := serve(t, answers)
	var seen atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization"))
		r.URL.Path = "/v1/chat/completions"
		api.good.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	r := newRun(t, api.baseURL(), 1)
	r.run(t, exitDone, "-base-url", proxy.URL+"/some/v2/")
	if got, want := seen.Load(), "POST /some/v2/chat/completions Bearer "+theKey; got != want {
		t.Errorf("got %v, want %s", got, want)
	}
	api.mustHit(t, 0, 0)
}

// -max-in-flight is reached and not exceeded.
func TestMaxInFlight(t *testing.T) {
	var api *fakellm.Server
	r := newRun(t, "http://fake/v1", 30)
	code, began, ended := r.inBubble(t, func() (handler http.Handler) {
		var err error
		if api, err = fakellm.New(fakellm.Config{Latency: fakellm.Range{Min: 20 * time.Millisecond}}); err != nil {
			t.Fatal(err)
		}
		return api
	}, r.args("-max-in-flight", "3"))
	took := ended.Sub(began)
	if peak := api.Ledger().PeakConcurrent; code != exitDone || peak != 3 || took != 200*time.Millisecond {
		t.Errorf("exit code %d after %v, %d were in flight at once, want 3", code, took, peak)
	}
}

// The same -seed makes the same waits, another one others.
func TestSeed(t *testing.T) {
	run := func(seed string) time.Duration {
		r := newRun(t, "http://fake/v1", 5)
		failing := func() http.Handler {
			asked := 0 // one request at a time
			server, err := fakellm.New(fakellm.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked <= 20 {
					refuse(w, 500, "server_error", "not now")
					return
				}
				server.ServeHTTP(w, r)
			})
		}
		code, began, ended := r.inBubble(t, failing, r.args("-max-in-flight", "1", "-max-attempts", "100", "-seed", seed))
		if code != exitDone {
			t.Errorf("exit code %d\n%s", code, r.stderr)
		}
		return ended.Sub(began)
	}
	first, again, other := run("7"), run("7"), run("8")
	if first != again || first == other || first < time.Second {
		t.Errorf("%v, %v with the same seed, %v with another", first, again, other)
	}
}

// -sync is what the journal is told.
func TestSyncFlag(t *testing.T) {
	t.Setenv(keyEnv, theKey)
	for how, want := range map[string]journal.Sync{"always": journal.Always, "interval": journal.Interval, "off": journal.Off} {
		s, err := parseFlags([]string{"-i", "x", "-api-key-env", keyEnv, "-sync", how})
		if err != nil || s.journalOptions().Sync != want || s.journalOptions().Every != time.Second {
			t.Errorf("%s: %+v, %v; want %v", how, s.journalOptions(), err, want)
		}
	}
}

// Each flag of estimate that it shares with run changes what it says.
func TestEstimateFlags(t *testing.T) {
	const lines = `{"prompt":"one","text":"one and more than that"}` + "\n" + `{"prompt":"two","text":"two and more than that"}` + "\n"
	r := newRun(t, "", 0)
	estimate := func(flags string) string {
		stdout, stderr := newScreen(), newScreen()
		args := append([]string{"estimate", "-i", r.in, "-latency", "1s"}, strings.Fields(flags)...)
		if code := start(args, console{out: stdout, err: stderr}); code != exitDone {
			t.Fatalf("%s: exit code %d\n%s", flags, code, stderr)
		}
		return stdout.String()
	}
	for _, test := range []struct{ without, with, says string }{
		{"-model m", "-prompt-field text", "input     about 38 tokens"},
		{"-model m", "-set max_tokens=7", "at most about 14 tokens"},
		{"-set model=m", "-model n", "prompts   2"},
		{"-model m -rpm 60", "-burst 2", "time      1s,"},
		{"-model m -rpm 60", "", "time      2s,"},
		{"-model m", "-rpd 1", "time      24h0m1s,"},
		{"-model m -set max_tokens=100", "-otpm 100", "time      1m1.3s,"},
		{"-model m", "-itpm 15", "time      1m1.3s,"},
		{"-model m", "-max-in-flight 1", "time      2s, "},
		{"-model m -fail-rate 0.9 -seed 3", "-max-attempts 1", "failed    2 prompts, after 1 attempts each"},
		{"-model m -rpm 60", "-api-key-env A,B", "time      1s,"},
	} {
		r.write(t, lines)
		got, before := estimate(test.without+" "+test.with), estimate(test.without)
		if !strings.Contains(got, test.says) || test.with != "" && test.with != "-model n" && strings.Contains(before, test.says) {
			t.Errorf("%s and %s: %q is not said, or without it as well:\n%s\n%s", test.without, test.with, test.says, got, before)
		}
	}
}
