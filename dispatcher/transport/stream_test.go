package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// event is one piece of a stream.
func event(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", text)
}

const lastEvents = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10}}\n\ndata: [DONE]\n\n"

// streaming answers with a stream of so many pieces, a second apart, and its end.
func streaming(pieces int) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for i := range pieces {
			flush(w, event(fmt.Sprint(i)))
			time.Sleep(s)
		}
		flush(w, lastEvents)
	}
}

// stream sends a prompt and returns the answer as it begins.
func (w *world) stream(ctx context.Context) (*http.Response, error) {
	return w.client.Do(post(ctx, chatURL))
}

func running(d *dispatcher.Dispatcher) int {
	d.Snapshot() // see TestSnapshotIsOfNow in package dispatcher
	return d.Snapshot().Running
}

// A stream is passed on as it comes, and holds its worker to its end.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 1, Breaker: policy.Breaker{FailureThreshold: 1}}, transport.Config{}, streaming(3))
		resp, err := w.stream(t.Context())
		require.NoError(t, err)
		assert.Zero(t, w.now(), "it is there when it begins")
		next := make(chan reply)
		go func() { next <- w.ask(t.Context()) }()

		lines := bufio.NewScanner(resp.Body)
		for i := range 3 {
			require.True(t, lines.Scan())
			same(t, strings.TrimSpace(event(fmt.Sprint(i))), lines.Text())
			require.True(t, lines.Scan())
			assert.Equal(t, time.Duration(i)*s, w.now())
			assert.Equal(t, 1, running(w.d))
			assert.Len(t, w.arrivals(), 1, "the other waits for a worker")
		}
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		same(t, lastEvents, string(rest))
		assert.Equal(t, 200, (<-next).status)
		assert.Equal(t, []time.Duration{0, 3 * s}, w.times())
		require.NoError(t, resp.Body.Close())
	})
}

// Who closes a stream has seen enough: the worker is free, and the server learns of it.
func TestStreamClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		w := build(t, dispatcher.Config{Workers: 1, Breaker: policy.Breaker{FailureThreshold: 1}}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("Hi"))
			if n > 1 {
				return
			}
			<-r.Context().Done()
			close(gone)
		})
		resp, err := w.stream(t.Context())
		require.NoError(t, err)
		time.Sleep(s)
		assert.Equal(t, 1, running(w.d))
		require.NoError(t, resp.Body.Close())
		require.NoError(t, resp.Body.Close(), "twice")
		<-gone
		synctest.Wait()
		assert.Zero(t, running(w.d))
		assert.Equal(t, 200, w.ask(t.Context()).status, "it was no failure")
	})
}

// Up to its first byte a stream may be repeated; after that, what goes wrong is the reader's to see.
func TestStreamBreaks(t *testing.T) {
	begin := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
	}
	synctest.Test(t, func(t *testing.T) {
		early := func(w http.ResponseWriter) { begin(w); hangUp(w) }
		empty := func(w http.ResponseWriter) { begin(w) }
		overloaded := func(w http.ResponseWriter) {
			begin(w)
			flush(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
		}
		failed := func(w http.ResponseWriter) {
			begin(w)
			flush(w, "data: {\"error\":{\"code\":502,\"message\":\"Provider returned error\"}}\n\n")
		}
		answers := []func(http.ResponseWriter){early, empty, overloaded, failed}
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			if n <= len(answers) {
				answers[n-1](w)
				return
			}
			streaming(1)(n, w, r)
		})
		got := w.ask(t.Context())
		require.NoError(t, got.err)
		require.NoError(t, got.broke)
		same(t, event("0")+lastEvents, got.body)
		assert.Len(t, w.arrivals(), 5)
	})
	synctest.Test(t, func(t *testing.T) {
		rules := dispatcher.Config{Retry: exact(9, s), Breaker: policy.Breaker{FailureThreshold: 1}, Limits: requests(policy.PerDay(1), 9)}
		w := build(t, rules, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			begin(w)
			flush(w, event("Hi"))
			time.Sleep(s)
			hangUp(w)
		})
		got := w.ask(t.Context())
		require.NoError(t, got.err)
		assert.ErrorIs(t, got.broke, io.ErrUnexpectedEOF)
		same(t, event("Hi"), got.body)
		synctest.Wait()
		time.Sleep(20 * s)
		assert.Len(t, w.arrivals(), 1, "it is not sent again")
		assert.InDelta(t, 8, level(w.d, "requests"), 0.01, "nor is another attempt begun")
		assert.Zero(t, running(w.d))
		assert.ErrorIs(t, w.ask(t.Context()).err, policy.ErrOpenCircuit, "and yet it was a failure")
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(9, s), Breaker: policy.Breaker{FailureThreshold: 1}}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			begin(w)
			flush(w, event("Hi"))
			flush(w, "data: {\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n")
		})
		got := w.ask(t.Context())
		require.NoError(t, got.broke)
		assert.Contains(t, got.body, `"code":502`)
		synctest.Wait()
		assert.Len(t, w.arrivals(), 1)
		assert.ErrorIs(t, w.ask(t.Context()).err, policy.ErrOpenCircuit, "an error on the way is a failure")
	})
}

const lateError = `data: {"error":{"code":502,"message":"gone"}}` + "\n\n"

// Though it breaks off when a part has been passed on, no further attempt is begun, and none is paid for.
func TestStreamIsOneAttempt(t *testing.T) {
	for name, end := range map[string]func(http.ResponseWriter){
		"broken off": hangUp,
		"an error":   func(w http.ResponseWriter) { flush(w, lateError) },
	} {
		synctest.Test(t, func(t *testing.T) {
			rules := dispatcher.Config{Retry: exact(9, s), Limits: requests(policy.PerDay(1), 9)}
			w := build(t, rules, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				flush(w, event("Hi"))
				end(w)
			})
			got := w.ask(t.Context())
			assert.Equal(t, 200, got.status)
			time.Sleep(time.Minute)
			assert.InDelta(t, 8, level(w.d, "requests"), 0.01, name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		both := event("Hi") + lateError
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, both) // an answer, of which there is no more to come
		})
		same(t, both, w.ask(t.Context()).body)
		assert.Len(t, w.arrivals(), 1)
	})
}

// An error may have the type of a stream, and is one all the same.
func TestErrorAsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, script(status(503, "Content-Type", "text/event-stream")))
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Len(t, w.arrivals(), 2)
	})
}

// A stream that failed as it began is handed out as it was, if there is no other attempt.
func TestStreamFailsInTheEnd(t *testing.T) {
	const failed = "data: {\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n"
	for body, class := range map[string]api.Class{failed: api.BadAnswer, "": api.BadAnswer} {
		synctest.Test(t, func(t *testing.T) {
			w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("X-Request-Id", fmt.Sprint("req_", n))
				flush(w, body)
			})
			got := w.ask(t.Context())
			require.NoError(t, got.err)
			require.NoError(t, got.broke)
			assert.Equal(t, 200, got.status)
			same(t, body, got.body)
			var told *api.Error
			require.ErrorAs(t, got.failure, &told)
			assert.Equal(t, class, told.Class)
			assert.Equal(t, "req_2", told.RequestID)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, "")
			hangUp(w)
		})
		got := w.ask(t.Context())
		var told *api.Error
		require.ErrorAs(t, got.err, &told, "of what broke off before it began there is nothing to hand out")
		assert.Equal(t, api.Ambiguous, told.Class)
	})
}

// What is silent for too long while somebody reads is given up; how long the reader takes is his affair.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{IdleTimeout: 10 * s}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("a"))
			flush(w, event("b"))
			<-r.Context().Done()
		})
		resp, err := w.stream(t.Context())
		require.NoError(t, err)
		defer resp.Body.Close()
		buf := make([]byte, len(event("a")))
		for range 2 {
			time.Sleep(time.Minute)
			_, err = io.ReadFull(resp.Body, buf)
			require.NoError(t, err)
		}
		before := w.now()
		_, err = resp.Body.Read(buf)
		assert.ErrorIs(t, err, transport.ErrIdleTimeout)
		assert.Equal(t, 10*s, w.now()-before)
		synctest.Wait()
		assert.Zero(t, running(w.d))
		assert.Len(t, w.arrivals(), 1)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{IdleTimeout: 10 * s}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, "")
			if n == 1 {
				<-r.Context().Done()
			}
			flush(w, event("a"))
		})
		assert.Equal(t, event("a"), w.ask(t.Context()).body, "silent before it has begun: repeated")
		assert.Equal(t, []time.Duration{0, 11 * s}, w.times())
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{IdleTimeout: transport.NoBound}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, event("a"))
			time.Sleep(time.Hour)
			flush(w, event("b"))
		})
		same(t, event("a")+event("b"), w.ask(t.Context()).body)
	})
}

// The timeout of an answer is that of a stream's beginning; the dispatcher's own holds for all of it.
func TestStreamTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{AnswerTimeout: 2 * s}, streaming(10))
		got := w.ask(t.Context())
		assert.NoError(t, got.broke)
		assert.Equal(t, 10*s, w.now())
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Timeout: 2500 * time.Millisecond, Retry: exact(5, s)}, transport.Config{}, streaming(10))
		got := w.ask(t.Context())
		assert.Error(t, got.broke)
		same(t, event("0")+event("1")+event("2"), got.body)
		synctest.Wait()
		assert.Len(t, w.arrivals(), 1, "it is not sent again")
		assert.Zero(t, running(w.d))
	})
}

// A reader whose context ends gets no more, and the worker is free although the body has not been closed.
func TestStreamCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 1}, transport.Config{}, streaming(100))
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := w.stream(ctx)
		require.NoError(t, err)
		time.Sleep(s)
		cancel()
		synctest.Wait()
		assert.Zero(t, running(w.d))
		_, err = io.ReadAll(resp.Body)
		assert.ErrorIs(t, err, context.Canceled)
		require.NoError(t, resp.Body.Close())
	})
}

// What is asked for as a stream is one, whatever its type; and what is not, but says that it is.
func TestWhatStreams(t *testing.T) {
	const asks = `{"model":"m","stream":true}`
	for _, test := range []struct {
		name, url, body, kind string
		read, want            bool // a function of the Config reads the body; it is a stream
	}{
		{"events", chatURL, `{}`, "text/event-stream", false, true},
		{"lines", chatURL, `{}`, "application/x-ndjson", false, true},
		{"asked for", chatURL, asks, "text/plain", true, true},
		{"asked for, but JSON came", chatURL, asks, "application/json", true, false},
		{"not asked for", chatURL, `{}`, "application/json", true, false},
		{"Gemini's list", "http://g.example/v1beta/models/g:streamGenerateContent", `{}`, "application/json", false, true},
		{"anything", "http://x.example/", "", "text/plain", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := transport.Config{}
				if test.read {
					cfg.Key = transport.KeyByModel
				}
				w := build(t, dispatcher.Config{}, cfg, func(n int, w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", test.kind)
					flush(w, completion)
					time.Sleep(s)
				})
				req := post(t.Context(), test.url)
				req.Body, req.GetBody, req.ContentLength = once(test.body), nil, -1
				resp, err := w.client.Do(req)
				require.NoError(t, err)
				assert.Equal(t, test.want, w.now() == 0)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				same(t, completion, string(body))
				require.NoError(t, resp.Body.Close())
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{Streams: func(*transport.Call, *http.Response) bool { return false }}
		w := build(t, dispatcher.Config{}, cfg, streaming(3))
		got := w.do(post(t.Context(), "http://x.example/events"))
		assert.Equal(t, 3*s, w.now())
		same(t, event("0")+event("1")+event("2")+lastEvents, got.body)
	})
}

// The events of a server that is none of an LLM may be long in coming: its headers are passed on at once.
func TestPlainEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flush(w, "")
			time.Sleep(time.Minute)
			flush(w, "data: {\"error\":\"is a word like any other\"}\n\n")
		})
		resp, err := w.client.Do(post(t.Context(), "http://x.example/events"))
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Zero(t, w.now())
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		same(t, "data: {\"error\":\"is a word like any other\"}\n\n", string(body))
		synctest.Wait()
		assert.Zero(t, running(w.d))
	})
}

// An answer longer than is held is passed on while it comes; it has been one attempt, and stays it.
func TestLongAnswer(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 1}, transport.Config{MaxAnswer: 5000}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			flush(w, long[:6000])
			time.Sleep(s)
			flush(w, long[6000:])
		})
		resp, err := w.stream(t.Context())
		require.NoError(t, err)
		assert.Zero(t, w.now())
		assert.Equal(t, 1, running(w.d))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		same(t, long, string(body))
		assert.Equal(t, int64(len(long)), resp.ContentLength)
		synctest.Wait()
		assert.Zero(t, running(w.d))
		require.NoError(t, resp.Body.Close())
	})
	for size, most := range map[int]int64{10_000: 10_000, 9_999: 10_000, 10_001: 10_000} {
		synctest.Test(t, func(t *testing.T) {
			w := build(t, dispatcher.Config{}, transport.Config{MaxAnswer: most}, func(n int, w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("x", size))
			})
			got := w.do(post(t.Context(), "http://x.example/"))
			require.NoError(t, got.broke)
			assert.Len(t, got.body, size)
		})
	}
}

// An error that goes on and on is cut off where it may be tried again, and passed on where it is the last.
func TestLongFault(t *testing.T) {
	page := strings.Repeat("<p>", 10_000)
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{MaxFault: 5000}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(page)))
			say(w, 503, page)
		})
		got := w.ask(t.Context())
		require.NoError(t, got.broke)
		assert.Len(t, w.arrivals(), 2)
		assert.Equal(t, 503, got.status)
		same(t, page[:len(got.body)], got.body)
		assert.True(t, len(got.body) >= 5000 && len(got.body) <= 5001, "%d bytes", len(got.body))
		assert.Equal(t, int64(len(got.body)), got.length)
		assert.Equal(t, fmt.Sprint(len(got.body)), got.header.Get("Content-Length"))
		var told *api.Error
		require.ErrorAs(t, got.failure, &told)
		assert.Len(t, told.Body, 4<<10, "an error keeps the beginning")
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 1, Retry: exact(2, s)}, transport.Config{MaxFault: 5000}, func(n int, w http.ResponseWriter, r *http.Request) {
			say(w, 404, page)
		})
		got := w.ask(t.Context())
		require.NoError(t, got.broke)
		assert.Equal(t, 404, got.status)
		same(t, page, got.body)
		var told *api.Error
		require.ErrorAs(t, got.failure, &told)
		assert.Equal(t, api.BadRequest, told.Class)
		synctest.Wait()
		assert.Zero(t, running(w.d))
	})
	synctest.Test(t, func(t *testing.T) {
		rules := dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 2}}
		w := build(t, rules, transport.Config{MaxFault: 5000}, script(status(500), func(w http.ResponseWriter) { say(w, 404, page) }, status(500)))
		for range 3 {
			w.ask(t.Context())
		}
		assert.Equal(t, policy.Open, circuit(w.d), "a 404 between two failures says nothing of the backend")
	})
}

// The status of an error counts, though its body breaks off.
func TestBrokenFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, script(func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
			flush(w, "half of")
			hangUp(w)
		}))
		assert.Equal(t, 200, w.ask(t.Context()).status)
		at := w.times()[1]
		assert.True(t, at >= 7*s && at < 9*s, "at %v", at)
	})
}

// So it does for an error for good, of which there is no more to come.
func TestBrokenLastFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, script(func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(404)
			flush(w, "half of")
			hangUp(w)
		}))
		got := w.ask(t.Context())
		assert.Equal(t, 404, got.status)
		assert.NoError(t, got.broke)
		same(t, "half of", got.body)
		assert.Equal(t, int64(7), got.length)
		assert.Len(t, w.arrivals(), 1)
	})
}

// After switching protocols both sides write, and no timeout is on them.
func TestSwitchedProtocols(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{IdleTimeout: s, AnswerTimeout: s}, func(n int, w http.ResponseWriter, r *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := buf.ReadString('\n')
			time.Sleep(time.Minute)
			_, _ = io.WriteString(conn, "echo "+line)
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x.example/", nil)
		require.NoError(t, err)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := w.client.Do(req)
		require.NoError(t, err)
		assert.Equal(t, 101, resp.StatusCode)
		_, err = io.WriteString(resp.Body.(io.Writer), "hello\n")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		same(t, "echo hello\n", string(body))
		require.NoError(t, resp.Body.Close())
	})
}
