package transport_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/policy/api"
)

// What may have had its effect is sent again only if that does no harm.
func TestRepeatable(t *testing.T) {
	for _, test := range []struct {
		name, method, url string
		headers           []string
		want              bool
	}{
		{"a prompt", "POST", chatURL, nil, true},
		{"anything posted", "POST", "http://shop.example/orders", nil, false},
		{"with a key", "POST", "http://shop.example/orders", []string{"Idempotency-Key", "k"}, true},
		{"patched", "PATCH", "http://shop.example/orders/1", nil, false},
		{"put", "PUT", "http://shop.example/orders/1", nil, true},
		{"read", "GET", "http://shop.example/orders", nil, true},
		{"deleted", "DELETE", "http://shop.example/orders/1", nil, true},
		{"to the path of prompts, but not posted", "PATCH", chatURL, nil, false},
	} {
		for name, answer := range map[string]func(http.ResponseWriter){"a reset": hangUp, "a server error": status(500), "a truncated answer": cut} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := build(t, dispatcher.Config{Retry: exact(2, s), Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 500 * time.Millisecond}}, transport.Config{}, script(answer))
					req, err := http.NewRequestWithContext(t.Context(), test.method, test.url, strings.NewReader(prompt))
					require.NoError(t, err)
					for i := 0; i < len(test.headers); i += 2 {
						req.Header.Set(test.headers[i], test.headers[i+1])
					}
					got := w.do(req)
					if test.want {
						assert.Equal(t, 200, got.status)
						assert.Len(t, w.arrivals(), 2)
						return
					}
					assert.Len(t, w.arrivals(), 1)
					failure := got.failure
					if got.err != nil {
						failure = got.err
					}
					assert.ErrorIs(t, failure, job.ErrFailed)
					assert.Equal(t, policy.Open, circuit(w.d), "it is a failure all the same")
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{Repeatable: func(*transport.Call) bool { return true }}
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, cfg, script(hangUp))
		assert.Equal(t, 200, w.do(post(t.Context(), "http://shop.example/orders")).status)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, script(status(429, "Retry-After", "1")))
		assert.Equal(t, 200, w.do(post(t.Context(), "http://shop.example/orders")).status, "what was turned away at the door has had no effect")
	})
}

func circuit(d *dispatcher.Dispatcher) policy.State {
	d.Snapshot()
	for _, key := range d.Snapshot().Keys {
		return key.Circuit
	}
	return policy.Closed
}

// A request of which nobody knows what became is repeated a few times, not as often as one that was turned away.
func TestAmbiguous(t *testing.T) {
	for most, want := range map[int]int{0: 4, 1: 2, transport.NoBound: 9} {
		synctest.Test(t, func(t *testing.T) {
			w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{MaxAmbiguous: most}, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			got := w.ask(t.Context())
			assert.Len(t, w.arrivals(), want, "MaxAmbiguous %d", most)
			assert.ErrorIs(t, got.err, io.EOF)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{MaxAmbiguous: 2}, script(hangUp, status(500), status(502), cut, status(503), status(500)))
		assert.Equal(t, 200, w.ask(t.Context()).status, "answers don't count, whatever they are")
		assert.Len(t, w.arrivals(), 7)
	})
}

// What was never sent is told apart from what may have been, and costs nothing.
func TestUnsent(t *testing.T) {
	limits := []policy.Limit{{Name: "tokens", Rate: policy.PerHour(1), Burst: 100, Settled: true}}
	cost := func(*transport.Call) []dispatcher.Cost { return []dispatcher.Cost{{Limit: "tokens", Tokens: 10}} }
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		w := build(t, dispatcher.Config{Retry: exact(9, s), Limits: limits}, transport.Config{Cost: cost}, script())
		dial := w.base.DialContext
		w.base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials <= 7 {
				return nil, errors.New("no way there") // not an error that anybody knows
			}
			return dial(ctx, network, address)
		}
		assert.Equal(t, 200, w.do(post(t.Context(), "http://shop.example/orders")).status, "more often than is allowed when it may have been sent, and what must not be repeated")
		assert.Len(t, w.arrivals(), 1)
		assert.InDelta(t, 90, level(w.d, "tokens"), 0.01)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Timeout: 3 * s, Limits: limits}, transport.Config{Cost: cost}, script())
		w.base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		got := w.ask(t.Context())
		assert.Equal(t, 3*s, w.now())
		var told *api.Error
		require.ErrorAs(t, got.err, &told)
		assert.Equal(t, api.Unsent, told.Class, "time ran out while dialing")
		assert.InDelta(t, 100, level(w.d, "tokens"), 0.01)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{}, script())
		req := post(t.Context(), chatURL)
		req.URL.Scheme = "gopher"
		got := w.do(req)
		var told *api.Error
		require.ErrorAs(t, got.err, &told)
		assert.Equal(t, api.BadRequest, told.Class, "what net/http does not like is not tried again")
		assert.Zero(t, w.now())
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script())
		_, err := w.client.Transport.RoundTrip(&http.Request{})
		assert.ErrorContains(t, err, "no URL")
	})
}

// level is what is in the bucket of a limit that is not per key.
func level(d *dispatcher.Dispatcher, name string) float64 {
	d.Snapshot()
	for _, limit := range d.Snapshot().Limits {
		if limit.Name == name {
			return limit.Level
		}
	}
	return -1
}

// A round tripper of somebody else's works as well, if less is known of it.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOtherBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		base := tripper(func(r *http.Request) (*http.Response, error) {
			calls++
			assert.Nil(t, r.GetBody)
			switch calls {
			case 1:
				return nil, errors.New("broken")
			case 2:
				return nil, &net.OpError{Op: "dial", Err: errors.New("no way there")}
			case 3:
				return &http.Response{StatusCode: 503}, nil
			default:
				return &http.Response{StatusCode: 204, Header: http.Header{}}, nil
			}
		})
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{Base: base, MaxAmbiguous: 1}, script())
		got := w.get(t.Context(), "http://x.example/")
		assert.Equal(t, 204, got.status)
		assert.Equal(t, 4, calls)
		w.client.CloseIdleConnections() // which it does not have
	})
	synctest.Test(t, func(t *testing.T) {
		base := tripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		w := build(t, dispatcher.Config{}, transport.Config{Base: base, AnswerTimeout: s}, script())
		assert.ErrorIs(t, w.get(t.Context(), "http://x.example/").err, transport.ErrAnswerTimeout)
	})
	synctest.Test(t, func(t *testing.T) {
		base := tripper(func(r *http.Request) (*http.Response, error) { return nil, nil }) //nolint:nilnil // as some do
		w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
		assert.Error(t, w.get(t.Context(), "http://x.example/").err)
	})
	synctest.Test(t, func(t *testing.T) {
		base := tripper(func(r *http.Request) (*http.Response, error) { panic("oh") })
		w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
		var panicked *job.PanicError
		require.ErrorAs(t, w.get(t.Context(), "http://x.example/").err, &panicked)
		assert.Equal(t, "oh", panicked.Value)
	})
}

// brief is a body that tells with its data that it breaks off, and then no more.
type brief struct{ told bool }

func (b *brief) Read(p []byte) (int, error) {
	if b.told {
		return 0, io.EOF
	}
	b.told = true
	return copy(p, "data: {"), io.ErrUnexpectedEOF
}

func (*brief) Close() error { return nil }

// An answer of somebody else's round tripper may lack what net/http always has, and tell only once that it breaks off.
func TestOtherBaseInBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("hello"))}, nil
		})
		w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
		got := w.get(t.Context(), "http://x.example/")
		require.NoError(t, got.err)
		same(t, "hello", got.body)
	})
	synctest.Test(t, func(t *testing.T) {
		base := tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: new(brief), Header: http.Header{"Content-Type": {"text/event-stream"}}, ContentLength: -1}, nil
		})
		w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
		got := w.do(post(t.Context(), chatURL))
		require.NoError(t, got.err)
		same(t, "data: {", got.body)
		assert.ErrorIs(t, got.broke, io.ErrUnexpectedEOF)
	})
}

// What the functions of a Config say goes.
func TestConfigFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{
			Key:     func(c *transport.Call) string { return c.Request().Header.Get("X-Tenant") },
			Shape:   func(*transport.Call) api.Shape { return api.Any },
			Options: func(*transport.Call) []dispatcher.Option { return []dispatcher.Option{dispatcher.WithDelay(3 * s)} },
			Read: func(c *transport.Call, a api.Answer) api.Meaning {
				m := api.Read(a)
				if a.Status == 404 {
					m.Class, m.Retry = api.Server, true
				}
				return m
			},
		}
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, cfg, script(status(404), func(w http.ResponseWriter) { say(w, 200, "not JSON") }))
		req := post(t.Context(), chatURL)
		req.Header.Set("X-Tenant", "a")
		got := w.do(req)
		same(t, "not JSON", got.body)
		assert.Equal(t, []time.Duration{3 * s, 4 * s}, w.times())
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := transport.Config{Cost: func(*transport.Call) []dispatcher.Cost { return []dispatcher.Cost{{Limit: "none", Tokens: 1}} }}
		w := build(t, dispatcher.Config{}, cfg, script())
		assert.ErrorIs(t, w.ask(t.Context()).err, policy.ErrInvalid)
	})
}

func TestKeys(t *testing.T) {
	for _, test := range []struct {
		name, url, body string
		headers         []string
		key             func(*transport.Call) string
		want            string
	}{
		{"host", "http://LLM.example:8080/x", "", nil, transport.KeyByHost, "llm.example:8080"},
		{"model", chatURL, `{"model":"gpt"}`, nil, transport.KeyByModel, "llm.example gpt"},
		{"model in the path", "http://a.example/openai/deployments/d/chat/completions", `{}`, nil, transport.KeyByModel, "a.example d"},
		{"no model", chatURL, ``, nil, transport.KeyByModel, "llm.example"},
		{"header", chatURL, `{}`, []string{"Authorization", "Bearer sk-secret"}, transport.KeyByHeader("authorization"), "llm.example Authorization:afa6f8ec47e70b6579157f844acfdd33"},
		{"no such header", chatURL, `{}`, nil, transport.KeyByHeader("authorization"), "llm.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var key string
				cfg := transport.Config{Key: func(c *transport.Call) string {
					key = test.key(c)
					return key
				}}
				w := build(t, dispatcher.Config{}, cfg, script())
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, test.url, strings.NewReader(test.body))
				require.NoError(t, err)
				for i := 0; i < len(test.headers); i += 2 {
					req.Header.Set(test.headers[i], test.headers[i+1])
				}
				w.do(req)
				assert.NotContains(t, key, "secret")
				assert.Equal(t, test.want, key)
			})
		})
	}
}

// An SDK that retries on top of us is told of once.
func TestStackedRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []transport.Notice
		w := build(t, dispatcher.Config{}, transport.Config{OnNotice: func(n transport.Notice) { told = append(told, n) }}, script())
		for _, count := range []string{"", "0", "x", "1", "2"} {
			req := post(t.Context(), chatURL)
			if count != "" {
				req.Header.Set("X-Stainless-Retry-Count", count)
			}
			assert.Equal(t, 200, w.do(req).status)
			if count == "x" {
				assert.Empty(t, told)
			}
		}
		assert.Equal(t, []transport.Notice{{Kind: transport.StackedRetries, Detail: "llm.example"}}, told)
		assert.Contains(t, told[0].String(), "turn its own retries off")
	})
	assert.Contains(t, transport.Notice{Kind: 99}.String(), "NoticeKind(99)")
}

// What is compressed is read if net/http has unpacked it, and otherwise believed by its status.
func TestCompressed(t *testing.T) {
	packed := func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		body := `{"error":{"message":"none"}}`
		if n > 1 {
			body = completion
		}
		_, _ = io.WriteString(zip, body)
		_ = zip.Close()
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, packed)
		same(t, completion, w.ask(t.Context()).body)
		assert.Len(t, w.arrivals(), 2)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, packed)
		req := post(t.Context(), chatURL)
		req.Header.Set("Accept-Encoding", "gzip") // by hand, so that net/http leaves it alone
		got := w.do(req)
		assert.Equal(t, 200, got.status)
		assert.Len(t, w.arrivals(), 1)
		assert.Equal(t, "gzip", got.header.Get("Content-Encoding"))
	})
}

// A HEAD says how long a body would be, and has none.
func TestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "12345")
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://x.example/", nil)
		require.NoError(t, err)
		got := w.do(req)
		assert.Equal(t, int64(12345), got.length)
		assert.Empty(t, got.body)
	})
}

// Secrets stay with the host they were meant for.
func TestRedirect(t *testing.T) {
	for _, test := range []struct {
		name, to string
		kept     bool
	}{
		{"the same host", "http://llm.example/other", true},
		{"the same host, its port said", "http://llm.example:80/other", true},
		{"the same host in capitals", "http://LLM.example/other", true},
		{"another port", "http://llm.example:8080/other", false},
		{"a subdomain", "http://evil.llm.example/other", false},
		{"another host", "http://evil.example/other", false},
	} {
		for _, status := range []int{302, 307, 308} {
			t.Run(fmt.Sprint(test.name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := build(t, dispatcher.Config{}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
						if n == 1 {
							http.Redirect(w, r, test.to, status)
							return
						}
						say(w, 200, completion)
					})
					req := post(t.Context(), chatURL)
					for _, name := range []string{"Api-Key", "X-Api-Key", "X-Goog-Api-Key"} {
						req.Header.Set(name, "sk-secret")
					}
					require.NoError(t, w.do(req).err)
					seen := w.arrivals()
					require.Len(t, seen, 2)
					assert.Equal(t, "/other", seen[1].path)
					assert.Equal(t, "sk-secret", seen[0].header.Get("X-Api-Key"))
					for _, name := range []string{"Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Authorization"} {
						if name != "Authorization" || test.name != "the same host in capitals" { // in which net/http sees another
							assert.Equal(t, test.kept, seen[1].header.Get(name) != "", name)
						}
					}
					assert.Equal(t, "application/json", req.Header.Get("Content-Type"))
				})
			})
		}
	}
	// Back where they came from they are welcome; and a secret that somebody has put in for the other host is his own affair.
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				http.Redirect(w, r, "http://other.example/", http.StatusTemporaryRedirect)
			case 2:
				http.Redirect(w, r, "http://llm.example/back", http.StatusTemporaryRedirect)
			default:
				say(w, 200, completion)
			}
		})
		w.client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
			if req.URL.Host == "other.example" {
				req.Header.Set("X-Api-Key", "theirs")
			}
			return nil
		}
		req := post(t.Context(), chatURL)
		req.Header.Set("X-Api-Key", "ours")
		require.NoError(t, w.do(req).err)
		seen := w.arrivals()
		require.Len(t, seen, 3)
		assert.Equal(t, "theirs", seen[1].header.Get("X-Api-Key"))
		assert.Equal(t, "ours", seen[2].header.Get("X-Api-Key"))
	})
}

// Whatever the port, what was said over TLS is not said without it.
func TestRedirectLeavesTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		base := tripper(func(r *http.Request) (*http.Response, error) {
			keys = append(keys, r.URL.Scheme+" "+r.Header.Get("X-Api-Key"))
			if len(keys) == 1 {
				return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"http://llm.example:8443/"}}}, nil
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}}, nil
		})
		w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
		req := post(t.Context(), "https://llm.example:8443/")
		req.Header.Set("X-Api-Key", "k")
		assert.Equal(t, 200, w.do(req).status)
		assert.Equal(t, []string{"https k", "http "}, keys)
	})
}

// Over TLS, and HTTP/2, it is the same; a redirect that leaves TLS loses the secrets.
func TestOverHTTP2(t *testing.T) {
	var hits, secret atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			secret.Add(1)
		}
	}))
	defer plain.Close()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.URL.Path == "/leave":
			http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
		case hits.Add(1) == 1:
			say(w, 503, "")
		default:
			say(w, 200, completion, "X-Proto", r.Proto)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	base := transport.NewBase(4)
	base.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	defer base.CloseIdleConnections()
	tr, err := transport.New(open(t, dispatcher.Config{Retry: exact(3, time.Millisecond)}), transport.Config{Base: base})
	require.NoError(t, err)
	w := &world{t: t, client: &http.Client{Transport: tr}}
	got := w.do(post(t.Context(), server.URL+"/v1/chat/completions"))
	require.NoError(t, got.err)
	same(t, completion, got.body)
	assert.Equal(t, "HTTP/2.0", got.header.Get("X-Proto"))
	assert.Equal(t, int64(2), hits.Load())
	assert.Equal(t, 200, w.get(t.Context(), server.URL).status)
	assert.Equal(t, 200, w.do(post(t.Context(), server.URL+"/leave")).status)
	assert.Zero(t, secret.Load())
	w.client.CloseIdleConnections()
}
