package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// The page, the JSON and the metrics are there while the run goes on, say the same, and are gone with it.
func TestListen(t *testing.T) {
	const prompts = 5
	api := hold(t)
	r := newRun(t, api.baseURL(), prompts)
	ended := inBackground(func() int {
		return run(r.args("-max-in-flight", "2", "-listen", "127.0.0.1:0", "-progress", "off"), nil, r.console())
	})
	for range 2 {
		<-api.arrived
	}
	const at = "can be watched at "
	r.stderr.await(t, at)
	url := strings.TrimSpace(r.stderr.String()[strings.Index(r.stderr.String(), at)+len(at):])
	get := func(path string) string {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %s, %v", path, resp.Status, err)
		}
		if strings.Contains(string(text), theKey) {
			t.Errorf("%s shows the key", path)
		}
		return string(text)
	}
	var status report
	if err := json.Unmarshal([]byte(get("/status")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Prompts != prompts || status.InFlight != 2 || status.Left != prompts || len(status.Lanes) != 1 || status.Lanes[0].Name != "fake-mini" {
		t.Errorf("%+v", status)
	}
	for _, line := range []string{
		`llmbatch_prompts{state="left"} 5`, `llmbatch_requests_in_flight 2`, `llmbatch_requests_total{result="answered"} 0`, `llmbatch_circuit_open{lane="fake-mini"} 0`,
	} {
		if !strings.Contains(get("/metrics"), line+"\n") {
			t.Errorf("%q is not among the metrics:\n%s", line, get("/metrics"))
		}
	}
	if page := get("/"); !strings.Contains(page, "<title>llmbatch</title>") || regexp.MustCompile(`(src|href)="?(https?:)?//`).MatchString(page) {
		t.Errorf("the page:\n%s", page)
	}
	close(api.release)
	if code := ended(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	if resp, err := http.Get(url); err == nil {
		resp.Body.Close()
		t.Error("it is still there")
	}
	http.DefaultClient.CloseIdleConnections()
}

// Every figure of a report is a metric, with the name and type that monitoring expects.
func TestMetrics(t *testing.T) {
	r := report{
		Seconds: 7, InFlight: 4, Queued: 5, Waiting: 6, Oldest: 1.5,
		counts: counts{Answered: 1, Failed: 2, Left: 3, Requests: 10, Throttled: 2, Errors: 3, PromptTokens: 11, CompletionTokens: 12, USD: 0.25, MaybeBilled: 1},
		Lanes:  []laneReport{{Name: `A "m"`, Circuit: "open", Cooling: 2.5, Limits: []limitReport{{Name: "tokens", Left: -8}}}},
	}
	w := httptest.NewRecorder()
	lookoutHandler(func() report { return r }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.SplitSeq(strings.TrimSpace(`
llmbatch_prompts{state="answered"} 1
llmbatch_prompts{state="failed"} 2
llmbatch_prompts{state="left"} 3
llmbatch_requests_total{result="answered"} 5
llmbatch_requests_total{result="throttled"} 2
llmbatch_requests_total{result="failed"} 3
llmbatch_tokens_total{kind="prompt"} 11
llmbatch_tokens_total{kind="completion"} 12
llmbatch_cost_usd_total 0.25
llmbatch_requests_maybe_billed_total 1
llmbatch_requests_in_flight 4
llmbatch_oldest_request_seconds 1.5
llmbatch_prompts_waiting{for="turn"} 5
llmbatch_prompts_waiting{for="retry"} 6
llmbatch_limit_left{lane="A \"m\"",limit="tokens"} -8
llmbatch_circuit_open{lane="A \"m\""} 1
llmbatch_cooldown_seconds{lane="A \"m\""} 2.5
llmbatch_run_seconds 7
# TYPE llmbatch_requests_total counter
# TYPE llmbatch_prompts gauge`), "\n") {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("%q is missing:\n%s", line, w.Body)
		}
	}
	for path, want := range map[string]int{"/": 200, "/status": 200, "/nothing": 404} {
		w := httptest.NewRecorder()
		lookoutHandler(func() report { return r }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
