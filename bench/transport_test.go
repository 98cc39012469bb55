package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
)

// serverVariable, when it is set, makes the test binary a server: in a process of its own, so that what the client costs can be
// told.
const serverVariable = "TOLLER_BENCH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		serve()
		return
	}
	m.Run()
}

// body is an answer of the length that a short completion has.
var body = `{"choices":[{"message":{"content":"` + strings.Repeat("word ", 100) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":100}}`

// serve answers at once, until its standard input is closed.
func serve() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	_, _ = fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startServer starts a server and returns its URL.
func startServer(b *testing.B) string {
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(url)
}

// cpu is what this process has used, in user and system mode.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// What BenchmarkTransport sends: so many requests a second by so many callers.
const (
	callers = 32
	pace    = 10_000
)

// BenchmarkTransport is what a request through a dispatcher, with a limit, retries and a breaker, costs the client's processor compared
// to one by net/http alone, at 10,000 a second and with the server in another process. Each round is a quarter of a second of each contender; the
// figures are medians of all rounds, and without what the pacing itself costs.
//
//	go test -run '^$' -bench Transport -benchtime 9x .
//
// The LLM's one reads both bodies besides: the model is its key, and an answer has to be one.
func BenchmarkTransport(b *testing.B) {
	url := startServer(b)
	contenders := []struct {
		name  string
		base  http.RoundTripper
		path  string
		spent []time.Duration // by round, for each request
	}{
		{name: "pacing"},
		{name: "net/http", base: transport.NewBase(callers)},
		{name: "dispatcher", base: through(b, transport.Config{})},
		{name: "llm", base: through(b, transport.Config{Key: transport.KeyByModel}), path: "v1/chat/completions"},
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			before := cpu(b)
			paced(func() {
				if c.base != nil {
					post(b, &http.Client{Transport: c.base}, url+"/"+c.path)
				}
			})
			c.spent = append(c.spent, (cpu(b)-before)/(pace/4))
		}
	}
	net := func(i int) float64 { return float64(median(contenders[i].spent) - median(contenders[0].spent)) }
	b.ReportMetric(0, "ns/op") // which is seconds, by design
	for i := range contenders[1:] {
		b.ReportMetric(net(1+i), contenders[1+i].name+"-cpu-ns")
	}
	b.ReportMetric(net(2)/net(1), "dispatcher/net/http")
	b.ReportMetric(net(3)/net(1), "llm/net/http")
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// through returns a transport through a dispatcher of its own.
func through(b *testing.B, cfg transport.Config) http.RoundTripper {
	d, err := dispatcher.New(dispatcher.Config{
		Workers: callers,
		Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerSecond(1e9), Burst: 1e9}},
		Retry:   policy.Retry{MaxAttempts: 3},
		Breaker: policy.Breaker{FailureThreshold: 5},
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, d.Close(context.Background())) })
	t, err := transport.New(d, cfg)
	require.NoError(b, err)
	b.Cleanup(t.CloseIdleConnections)
	return t
}

// paced has the callers call send for a quarter of a second, at the pace.
func paced(send func()) {
	due := make(chan struct{}, pace/4)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range due {
				send()
			}
		})
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for sent := 0; sent < pace/4; <-tick.C {
		for ; sent < min(pace/4, int(time.Since(start).Seconds()*pace)); sent++ {
			due <- struct{}{}
		}
	}
	close(due)
	wg.Wait()
}

var prompt = `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", 100) + `"}]}`

// post sends the prompt, and reads the answer.
func post(b *testing.B, client *http.Client, url string) {
	resp, err := client.Post(url, "application/json", strings.NewReader(prompt))
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(body)) {
		b.Errorf("an answer of %d bytes: %v", n, err)
	}
}
