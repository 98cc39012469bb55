package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

const (
	keyEnv = "LLMBATCH_TEST_KEY"
	theKey = "sk-never-to-be-seen"
	soon   = 20 * time.Second     // after which a test that waits has failed
	nobody = "http://127.0.0.1:1" // listens there: no port that another test could be given
)

// screen is what a command writes to, from any goroutine, and what a test can wait for.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer  // guarded by mu
	wrote chan struct{} // guarded by mu; closed by the next write
}

func newScreen() *screen { return &screen{wrote: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.wrote)
	s.wrote = make(chan struct{})
	return s.text.Write(p)
}

func (s *screen) String() string {
	text, _ := s.now()
	return text
}

func (s *screen) now() (text string, wrote <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.wrote
}

// await blocks until words are there.
func (s *screen) await(t *testing.T, words string) {
	t.Helper()
	late := time.After(soon)
	for {
		text, wrote := s.now()
		if strings.Contains(text, words) {
			return
		}
		select {
		case <-wrote:
		case <-late:
			t.Fatalf("%q did not come; there is:\n%s", words, text)
		}
	}
}

// batchRun is one call of the command, and what came of it.
type batchRun struct {
	in, out  string // the files
	prompts  map[string]string
	stdout   *screen
	stderr   *screen
	baseURL  string
	stdin    io.Reader
	progress string
}

// newRun prepares a run over so many prompts against the API at baseURL. The key is in the environment.
func newRun(t *testing.T, baseURL string, prompts int) *batchRun {
	t.Helper()
	t.Setenv(keyEnv, theKey)
	r := &batchRun{
		in: filepath.Join(t.TempDir(), "prompts.jsonl"), out: filepath.Join(t.TempDir(), "results.jsonl"),
		prompts: make(map[string]string), stdout: newScreen(), stderr: newScreen(), baseURL: baseURL, progress: "off",
	}
	var lines strings.Builder
	for n := range prompts {
		r.add(&lines, fmt.Sprintf("id-%d", n), fmt.Sprintf("Question %d: what is it that <b>ärger</b> & \"quotes\" make?", n))
	}
	r.write(t, lines.String())
	return r
}

// add appends a line of the input.
func (r *batchRun) add(lines *strings.Builder, id, prompt string) {
	r.prompts[id] = prompt
	lines.WriteString(batchLine(id, prompt))
}

func (r *batchRun) write(t *testing.T, content string) {
	t.Helper()
	if err := os.WriteFile(r.in, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// batchLine is a request in OpenAI's Batch format.
func batchLine(id, prompt string) string {
	line, err := json.Marshal(map[string]any{"custom_id": id, "method": "POST", "url": "/v1/chat/completions",
		"body": map[string]any{"model": "fake-mini", "messages": []map[string]string{{"role": "user", "content": prompt}}}})
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

// sourceOf is the input of a run that is called without the command line.
func sourceOf(t *testing.T, s *settings, content string) *source {
	t.Helper()
	src, err := openSource(s, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (r *batchRun) console() console { return console{in: r.stdin, out: r.stdout, err: r.stderr} }

// args are the flags of the run. A flag that comes again among more wins.
func (r *batchRun) args(more ...string) []string {
	return append([]string{"-i", r.in, "-o", r.out, "-base-url", r.baseURL, "-api-key-env", keyEnv, "-progress", r.progress}, more...)
}

// run runs the command with these flags on top, without a signal, and checks the exit code.
func (r *batchRun) run(t *testing.T, code int, more ...string) {
	t.Helper()
	got := start(append([]string{"run"}, r.args(more...)...), r.console())
	if got != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, code, r.stdout, r.stderr)
	}
	r.mustHideKey(t)
}

// mustHideKey checks that the key has not been printed.
func (r *batchRun) mustHideKey(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{"stdout": r.stdout.String(), "stderr": r.stderr.String()} {
		if strings.Contains(text, theKey) {
			t.Errorf("the key is on %s:\n%s", name, text)
		}
	}
}

// records are the lines of the output by their ids, each there once.
func (r *batchRun) records(t *testing.T) map[string]batchfile.Record {
	t.Helper()
	data, err := os.ReadFile(r.out)
	if err != nil {
		t.Fatal(err)
	}
	return recordsOf(t, data)
}

func recordsOf(t *testing.T, data []byte) map[string]batchfile.Record {
	t.Helper()
	records := make(map[string]batchfile.Record)
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(theKey)) {
			t.Errorf("the key is in the output: %s", line)
		}
		record, err := batchfile.ParseRecord(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, twice := records[record.CustomID]; twice {
			t.Errorf("%s is there twice", record.CustomID)
		}
		records[record.CustomID] = record
	}
	return records
}

// verify proves the output, or wants the proof to fail.
func (r *batchRun) verify(t *testing.T, code int) {
	t.Helper()
	stdout, stderr := newScreen(), newScreen()
	if got := start([]string{"verify", "-i", r.in, "-o", r.out}, console{out: stdout, err: stderr}); got != code {
		t.Errorf("verify: exit code %d, want %d\n%s%s", got, code, stdout, stderr)
	}
}

// mustAnswer checks that the record is the answer to this prompt and no other.
func mustAnswer(t *testing.T, record batchfile.Record, prompt string) {
	t.Helper()
	if record.Error != nil || record.Response == nil || record.Response.StatusCode != 200 {
		t.Errorf("%s: no answer: %+v %+v", record.CustomID, record.Response, record.Error)
		return
	}
	if !bytes.Contains(record.Response.Body, []byte(fakellm.Digest(prompt))) {
		t.Errorf("%s: the answer is that of another prompt: %s", record.CustomID, record.Response.Body)
	}
	if record.Response.RequestID == "" {
		t.Errorf("%s: the server's request id is lost", record.CustomID)
	}
}

// summary is the table of figures in text: what follows each label.
func summary(text string) map[string][]string {
	labels := []string{
		"prompts", "answered", "failed for good", "left", "requests", "throttled", "errors", "prompt tokens", "completion tokens", "time",
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(text) {
		for _, label := range labels {
			if rest, found := strings.CutPrefix(strings.TrimSpace(line), label+"  "); found {
				rows[label] = strings.Fields(rest)
			}
		}
	}
	return rows
}

// mustSum compares the summary with what it ought to say.
func mustSum(t *testing.T, text string, want map[string]int64) {
	t.Helper()
	rows := summary(text)
	for label, value := range want {
		if got := rows[label]; len(got) == 0 || got[0] != fmt.Sprint(value) {
			t.Errorf("%s: got %v, want %d, in\n%s", label, got, value, text)
		}
	}
}

// fake starts the embedded API; it goes with the test.
func fake(t *testing.T, cfg fakellm.Config) *fakellm.Server {
	t.Helper()
	api, err := fakellm.New(cfg)
	if err == nil {
		err = api.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), soon)
		defer cancel()
		if err := api.Shutdown(ctx); err != nil {
			t.Errorf("the API does not stop: %v", err)
		}
	})
	return api
}

// backend is an API of the test's own: answer for requests that are to go well, and a count of all.
type backend struct {
	*httptest.Server // nil in a bubble
	t                *testing.T
	judge            judge
	good             *fakellm.Server // answers at once
	hits             atomic.Int64
}

// judge sees each request, with its number (the first is 1) and prompt; it answers itself or returns false, and then the request goes
// well.
type judge func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool

// judgedBy makes one that nobody serves yet.
func judgedBy(t *testing.T, judge judge) *backend {
	t.Helper()
	good, err := fakellm.New(fakellm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &backend{t: t, judge: judge, good: good}
}

// serve starts one, on a port of this machine.
func serve(t *testing.T, judge judge) *backend {
	t.Helper()
	b := judgedBy(t, judge)
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ErrorLog = log.New(io.Discard, "", 0) // what breaks is meant to
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(b.hits.Add(1))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went
	}
	var request struct {
		Messages []struct{ Content string }
	}
	if err := json.Unmarshal(body, &request); err != nil || len(request.Messages) == 0 {
		b.t.Errorf("request %d: %s: %v", n, body, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !b.judge(w, r, n, request.Messages[len(request.Messages)-1].Content) {
		b.good.ServeHTTP(w, r)
	}
}

func (b *backend) baseURL() string { return b.URL + "/v1" }

// answers is a judge that lets everything go well.
func answers(http.ResponseWriter, *http.Request, int, string) bool { return false }

// refuse answers with an error object.
func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("X-Request-Id", "req_refused")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"message":%q,"type":"test","param":null,"code":%q}}`, message, code)
	return true
}

// hangUp resets the connection.
func hangUp(w http.ResponseWriter) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
	return true
}

// mustHit checks how many requests the server saw.
func (b *backend) mustHit(t *testing.T, least, most int64) {
	t.Helper()
	if n := b.hits.Load(); n < least || n > most {
		t.Errorf("the server saw %d requests; want %d to %d", n, least, most)
	}
}

// listening is an API that answers everything, and what it was sent.
func listening(t *testing.T) (api *backend, bodies func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	api = serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(body))
		return false
	})
	return api, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}
