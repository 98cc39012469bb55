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
	"strings"
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

// BenchmarkTransport sends requests to a server in another process: with net/http alone, and through a dispatcher with a limit,
// retries and a breaker. What counts is cpu-ns/op, the client's own.
func BenchmarkTransport(b *testing.B) {
	const atOnce = 32
	url := startServer(b)
	prompt := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", 100) + `"}]}`
	through := func(cfg transport.Config) func(b *testing.B) http.RoundTripper {
		return func(b *testing.B) http.RoundTripper {
			d, err := dispatcher.New(dispatcher.Config{
				Workers: atOnce,
				Limits:  []policy.Limit{{Name: "requests", Rate: policy.PerSecond(1e9), Burst: 1e9}},
				Retry:   policy.Retry{MaxAttempts: 3},
				Breaker: policy.Breaker{FailureThreshold: 5},
			})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, d.Close(context.Background())) })
			t, err := transport.New(d, cfg)
			require.NoError(b, err)
			return t
		}
	}
	for _, contender := range []struct {
		name, path string
		open       func(b *testing.B) http.RoundTripper
	}{
		{"net-http", "/", func(*testing.B) http.RoundTripper { return transport.NewBase(atOnce) }},
		{"dispatcher", "/", through(transport.Config{})},
		{"dispatcher-llm", "/v1/chat/completions", through(transport.Config{Key: transport.KeyByModel})},
	} {
		b.Run(contender.name, func(b *testing.B) {
			client := &http.Client{Transport: contender.open(b)}
			b.Cleanup(client.CloseIdleConnections)
			b.SetParallelism(atOnce)
			b.ReportAllocs()
			began := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := client.Post(url+contender.path, "application/json", strings.NewReader(prompt))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}
