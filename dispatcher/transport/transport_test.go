package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
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

const s = time.Second

func TestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script())
		got := w.ask(t.Context())
		require.NoError(t, got.err)
		assert.Equal(t, 200, got.status)
		same(t, completion, got.body)
		assert.NoError(t, got.failure)
		assert.Equal(t, int64(len(completion)), got.length)
		sent := w.arrivals()[0]
		same(t, prompt, sent.body)
		assert.Equal(t, "Bearer sk-secret", sent.header.Get("Authorization"))
		assert.Equal(t, "application/json", sent.header.Get("Content-Type"))
	})
}

// S-A1: what fails is sent again, each time through the same door, and with the same body.
func TestRetry(t *testing.T) {
	bodies := map[string]func(*http.Request){
		"with GetBody": func(*http.Request) {},
		"without":      func(r *http.Request) { r.GetBody = nil },
		"of unknown length": func(r *http.Request) {
			r.GetBody, r.Body, r.ContentLength = nil, once(prompt), -1
		},
		"of a length that nobody has said": func(r *http.Request) {
			r.GetBody, r.Body, r.ContentLength = nil, once(prompt), 0
		},
	}
	for name, change := range bodies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rules := dispatcher.Config{Retry: exact(6, s), Limits: []policy.Limit{{Name: "requests", Rate: policy.Per(1, 10*s), Burst: 1}}}
				w := build(t, rules, transport.Config{}, script(status(500), hangUp, cut, status(408)))
				req := post(t.Context(), chatURL)
				change(req)
				got := w.do(req)
				require.NoError(t, got.err)
				same(t, completion, got.body)
				assert.Equal(t, []time.Duration{0, 10 * s, 20 * s, 30 * s, 40 * s}, w.times(), "each attempt waits for the limit")
				for _, a := range w.arrivals() {
					same(t, prompt, a.body)
					assert.Equal(t, int64(len(prompt)), a.length)
				}
			})
		})
	}
}

// What the caller sees in the end is the last answer, as it came.
func TestLastAnswer(t *testing.T) {
	const body = `{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}`
	limited := func(w http.ResponseWriter) { say(w, 429, body, "X-Request-Id", "req_9") }
	for _, test := range []struct {
		name    string
		rules   dispatcher.Config
		answers []func(http.ResponseWriter)
		status  int
		sent    int
		reason  error
		class   api.Class
	}{
		{"attempts used up", dispatcher.Config{Retry: exact(3, s)}, []func(http.ResponseWriter){status(502), status(500), status(503)}, 503, 3, job.ErrMaxRetriesExceeded, api.Server},
		{"no retries", dispatcher.Config{}, []func(http.ResponseWriter){status(500)}, 500, 1, job.ErrFailed, api.Server},
		{"a bad request", dispatcher.Config{Retry: exact(3, s)}, []func(http.ResponseWriter){status(400)}, 400, 1, job.ErrFailed, api.BadRequest},
		{"a wrong key", dispatcher.Config{Retry: exact(3, s)}, []func(http.ResponseWriter){status(401)}, 401, 1, job.ErrFailed, api.BadKey},
		{"throttled for too long", dispatcher.Config{Retry: policy.Retry{MaxAttempts: 2, MaxThrottleWait: s}}, []func(http.ResponseWriter){limited, limited, limited, limited, limited, limited, limited, limited}, 429, 0, job.ErrThrottled, api.Throttled},
		{"a throttle without retries", dispatcher.Config{}, []func(http.ResponseWriter){limited}, 429, 1, job.ErrFailed, api.Throttled},
		{"an answer that is none", dispatcher.Config{Retry: exact(2, s)}, []func(http.ResponseWriter){status(200), status(200)}, 200, 2, job.ErrMaxRetriesExceeded, api.BadAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := build(t, test.rules, transport.Config{}, script(test.answers...))
				got := w.ask(t.Context())
				require.NoError(t, got.err)
				assert.Equal(t, test.status, got.status)
				if test.status == 429 {
					same(t, body, got.body)
					assert.Equal(t, "req_9", got.header.Get("X-Request-Id"))
				} else {
					assert.Contains(t, got.body, `"error"`)
				}
				if test.sent > 0 {
					assert.Len(t, w.arrivals(), test.sent)
				}
				assert.ErrorIs(t, got.failure, test.reason)
				var told *api.Error
				require.ErrorAs(t, got.failure, &told)
				assert.Equal(t, test.class, told.Class)
				assert.Equal(t, got.body, string(told.Body))
				assert.Equal(t, test.status, told.Status)
			})
		})
	}
}

// Where there is no answer, there is an error, and what is under it can be found.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(2, s)}, transport.Config{}, script(status(500), cut, cut))
		got := w.ask(t.Context())
		var outer *url.Error
		require.ErrorAs(t, got.err, &outer)
		var ours *transport.Error
		require.ErrorAs(t, got.err, &ours)
		ended := asJobError(t, got.err)
		assert.Equal(t, 2, ended.Attempts)
		assert.ErrorIs(t, got.err, job.ErrMaxRetriesExceeded)
		assert.ErrorIs(t, got.err, io.ErrUnexpectedEOF)
		var told *api.Error
		require.ErrorAs(t, ended.Last, &told)
		assert.Equal(t, api.Ambiguous, told.Class)
		assert.False(t, outer.Timeout())
		assert.NotContains(t, got.err.Error(), "sk-secret")
	})
}

// S-L10: one answer holds back all that goes to the same key, and nothing else.
func TestCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{}, func(n int, rw http.ResponseWriter, r *http.Request) {
			if n == 1 {
				say(rw, 429, "", "Retry-After", "20")
				return
			}
			say(rw, 200, completion)
		})
		results := make(chan reply)
		go func() { results <- w.ask(t.Context()) }()
		time.Sleep(5 * s)
		go func() { results <- w.ask(t.Context()) }()
		other := w.do(post(t.Context(), "http://other.example/v1/chat/completions"))
		assert.Equal(t, 200, other.status)
		assert.Equal(t, 5*s, w.now(), "another host is not held back")
		for range 2 {
			assert.Equal(t, 200, (<-results).status)
		}
		for _, at := range w.times()[2:] {
			assert.True(t, at >= 20*s && at <= 24*s, "at %v: not before it was asked to, and not much later", at)
		}
		assert.Len(t, w.times(), 4)
	})
}

// S-A8: a wait that would end after the request's deadline is not begun; and the answer that asked for it is there.
func TestHintBeyondDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{}, script(status(429, "Retry-After", "60")))
		ctx, cancel := context.WithTimeout(t.Context(), 10*s)
		defer cancel()
		got := w.ask(ctx)
		require.NoError(t, got.err)
		assert.Equal(t, 429, got.status)
		assert.Contains(t, got.body, "429")
		assert.Zero(t, w.now())
		assert.ErrorIs(t, got.failure, context.DeadlineExceeded)
		var told *api.Error
		require.ErrorAs(t, got.failure, &told)
		assert.Equal(t, 60*s, told.Hint)

		got = w.ask(ctx) // the key still cools down
		assert.ErrorIs(t, got.err, context.DeadlineExceeded)
		var outer *url.Error
		require.ErrorAs(t, got.err, &outer)
		assert.True(t, outer.Timeout())
		assert.Zero(t, w.now())
		assert.Len(t, w.arrivals(), 1)
	})
}

// An answer that was not the last word is not handed out when time runs out, or the dispatcher is stopped, before there is another.
func TestNoLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s), Limits: requests(policy.PerHour(1), 1)}, transport.Config{}, script(status(503)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*s)
		defer cancel()
		got := w.ask(ctx) // which waits for a token
		assert.ErrorIs(t, got.err, context.DeadlineExceeded)
		assert.ErrorIs(t, got.err, job.ErrDeadline)
		assert.Equal(t, 10*s, w.now())
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, time.Minute)}, transport.Config{}, script(status(503)))
		time.AfterFunc(10*s, func() { _ = w.d.Stop(context.Background()) })
		got := w.ask(t.Context())
		assert.ErrorIs(t, got.err, job.ErrNotStarted)
		assert.Equal(t, 10*s, w.now())
	})
}

// Retry.OnResult sees the answer, and can have it asked for again. The last one is the caller's all the same.
func TestUnwantedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := exact(3, s)
		retry.OnResult = func(v any) bool {
			resp := v.(*http.Response)
			data, err := io.ReadAll(resp.Body)
			assert.NoError(t, err)
			_, err = resp.Body.(io.Seeker).Seek(0, io.SeekStart)
			assert.NoError(t, err)
			return strings.Contains(string(data), "Hi.")
		}
		w := build(t, dispatcher.Config{Retry: retry}, transport.Config{}, script())
		got := w.ask(t.Context())
		assert.Equal(t, 200, got.status)
		assert.JSONEq(t, completion, got.body)
		assert.ErrorIs(t, got.failure, job.ErrMaxRetriesExceeded)
		assert.Len(t, w.arrivals(), 3)
	})
}

// Of an answer that comes although nobody waits any more nothing is left: Base has not heeded the context, and that holds up the
// caller and the worker until it returns (S-C1).
func TestLateAnswer(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "text/plain"} {
		synctest.Test(t, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("late")}
			base := tripper(func(*http.Request) (*http.Response, error) {
				time.Sleep(10 * s)
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: body}, nil
			})
			w := build(t, dispatcher.Config{}, transport.Config{Base: base}, script())
			ctx, cancel := context.WithTimeout(t.Context(), 3*s)
			defer cancel()
			time.AfterFunc(5*s, func() { assert.Equal(t, 1, running(w.d), "the worker is not free yet") })
			assert.ErrorIs(t, w.get(ctx, "http://x.example/").err, context.DeadlineExceeded)
			assert.Equal(t, 10*s, w.now())
			assert.True(t, body.closed.Load())
			assert.Zero(t, running(w.d))
		})
	}
}

// The request's context is the job's life.
func TestCancel(t *testing.T) {
	errMine := errors.New("changed my mind")
	for _, test := range []struct {
		name   string
		answer handler
		sent   int
	}{
		{"while the server thinks", func(n int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 1},
		{"in the middle of the body", func(n int, w http.ResponseWriter, r *http.Request) {
			flush(w, completion[:30])
			<-r.Context().Done()
		}, 1},
		{"between two attempts", script(status(503), status(503)), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := build(t, dispatcher.Config{Retry: exact(3, time.Minute)}, transport.Config{}, test.answer)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*s, func() { cancel(errMine) })
				got := w.ask(ctx)
				assert.ErrorIs(t, got.err, context.Canceled)
				assert.ErrorIs(t, got.err, errMine)
				assert.ErrorIs(t, got.err, job.ErrCanceled)
				assert.Equal(t, 10*s, w.now())
				assert.Len(t, w.arrivals(), test.sent)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, w.ask(ctx).err, context.Canceled)
		assert.Empty(t, w.arrivals(), "S-A7: a context that has ended takes nothing")
	})
}

// The timeout of an http.Client ends it all, and is seen as what it is.
func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(9, s)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w.client.Timeout = 7 * s
		got := w.ask(t.Context())
		var outer *url.Error
		require.ErrorAs(t, got.err, &outer)
		assert.True(t, outer.Timeout())
		assert.ErrorIs(t, got.err, context.DeadlineExceeded)
		assert.Equal(t, 7*s, w.now())
	})
}

// The timeout of one attempt, the dispatcher's or the transport's, is not the end.
func TestAttemptTimeout(t *testing.T) {
	for name, set := range map[string]func(*dispatcher.Config, *transport.Config){
		"the dispatcher's": func(rules *dispatcher.Config, _ *transport.Config) { rules.Timeout = 5 * s },
		"the transport's":  func(_ *dispatcher.Config, cfg *transport.Config) { cfg.AnswerTimeout = 5 * s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rules, cfg := dispatcher.Config{Retry: exact(2, s)}, transport.Config{}
				set(&rules, &cfg)
				w := build(t, rules, cfg, func(n int, w http.ResponseWriter, r *http.Request) {
					for { // a trickle
						flush(w, " ")
						select {
						case <-time.After(s):
						case <-r.Context().Done():
							return
						}
					}
				})
				got := w.ask(t.Context())
				assert.Equal(t, 11*s, w.now())
				assert.Equal(t, []time.Duration{0, 6 * s}, w.times())
				var outer *url.Error
				require.ErrorAs(t, got.err, &outer)
				assert.True(t, outer.Timeout())
				var told *api.Error
				require.ErrorAs(t, got.err, &told)
				assert.Equal(t, api.Ambiguous, told.Class)
				assert.Equal(t, name == "the transport's", errors.Is(got.err, transport.ErrAnswerTimeout))
			})
		})
	}
}

// While a key's circuit is open its requests fail at once, with what opened it.
func TestOpenCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 2}}
		w := build(t, rules, transport.Config{}, script(status(500), status(500)))
		for range 2 {
			assert.Equal(t, 500, w.ask(t.Context()).status)
		}
		got := w.ask(t.Context())
		var opened *policy.OpenCircuitError
		require.ErrorAs(t, got.err, &opened)
		assert.Equal(t, "llm.example", opened.Key)
		assert.Contains(t, opened.Cause.Error(), "HTTP 500")
		assert.Len(t, w.arrivals(), 2)
		assert.Equal(t, 200, w.do(post(t.Context(), "http://other.example/v1/chat/completions")).status)
		time.Sleep(policy.DefaultRecoveryTimeout)
		assert.Equal(t, 200, w.ask(t.Context()).status)
	})
	synctest.Test(t, func(t *testing.T) {
		rules := dispatcher.Config{Retry: exact(3, s), Breaker: policy.Breaker{FailureThreshold: 1}}
		w := build(t, rules, transport.Config{}, script(status(500)))
		got := w.ask(t.Context()) // whose first attempt opens it
		assert.Equal(t, 500, got.status)
		assert.ErrorIs(t, got.failure, policy.ErrOpenCircuit)
	})
	synctest.Test(t, func(t *testing.T) {
		rules := dispatcher.Config{Retry: exact(3, s), Breaker: policy.Breaker{FailureThreshold: 1, WhenOpen: policy.Wait}}
		w := build(t, rules, transport.Config{}, script(status(500)))
		assert.Equal(t, 200, w.ask(t.Context()).status, "unless the rule is to wait")
		assert.Equal(t, policy.DefaultRecoveryTimeout, w.now())
	})
}

// A refused key is set aside until somebody resets it.
func TestUnusableKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script(status(401)))
		assert.Equal(t, 401, w.ask(t.Context()).status)
		time.Sleep(time.Hour)
		assert.ErrorIs(t, w.ask(t.Context()).err, policy.ErrOpenCircuit)
		w.d.Reset("llm.example")
		assert.Equal(t, 200, w.ask(t.Context()).status)
	})
}

// A dispatcher that accepts nothing more says so, and the body of the request is closed.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script())
		require.NoError(t, w.d.Close(t.Context()))
		body := &closing{Reader: strings.NewReader(prompt)}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, chatURL, body)
		require.NoError(t, err)
		req.GetBody = func() (io.ReadCloser, error) { return once(prompt), nil }
		assert.ErrorIs(t, w.do(req).err, dispatcher.ErrClosed)
		assert.True(t, body.closed.Load())
	})
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}

// Close of the dispatcher finishes what is under way; when its time runs out, what is left ends with an error.
func TestAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Retry: exact(3, s)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		result := make(chan reply)
		go func() { result <- w.ask(t.Context()) }()
		time.Sleep(s)
		ctx, cancel := context.WithTimeout(t.Context(), s)
		defer cancel()
		assert.ErrorIs(t, w.d.Close(ctx), job.ErrAborted)
		assert.ErrorIs(t, (<-result).err, job.ErrAborted)
		assert.Equal(t, 2*s, w.now())
	})
}

// S-F8: a full queue makes callers wait, but not one that is itself a job of the dispatcher; and who waits for himself is told.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Queue: 1}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			time.Sleep(s)
			say(w, 200, completion)
		})
		results := make(chan reply)
		for range 3 {
			go func() { results <- w.ask(t.Context()) }()
		}
		for range 3 {
			assert.Equal(t, 200, (<-results).status)
		}
		assert.Equal(t, []time.Duration{0, s, 2 * s}, w.times())
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Queue: 1}, transport.Config{}, script())
		_, err := dispatcher.Do(t.Context(), w.d, func(ctx context.Context) (int, error) {
			assert.ErrorIs(t, w.ask(ctx).err, dispatcher.ErrQueueFull)
			return 0, nil
		})
		assert.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 1}, transport.Config{}, script())
		_, err := dispatcher.Do(t.Context(), w.d, func(ctx context.Context) (int, error) {
			assert.ErrorIs(t, w.ask(ctx).err, job.ErrDeadlock)
			return 0, nil
		})
		assert.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Workers: 2}, transport.Config{}, script())
		status, err := dispatcher.Do(t.Context(), w.d, func(ctx context.Context) (int, error) { return w.ask(ctx).status, nil })
		assert.NoError(t, err)
		assert.Equal(t, 200, status, "with a worker to spare it is answered")
	})
}

func TestNewRefuses(t *testing.T) {
	_, err := transport.New(nil, transport.Config{})
	assert.ErrorIs(t, err, dispatcher.ErrNilDispatcher)
	_, err = transport.New(new(dispatcher.Dispatcher), transport.Config{})
	assert.ErrorIs(t, err, dispatcher.ErrNilDispatcher)
	d := open(t, dispatcher.Config{})
	for field, cfg := range map[string]transport.Config{
		"MaxRequest": {MaxRequest: -1}, "MaxAnswer": {MaxAnswer: -1}, "MaxFault": {MaxFault: -2}, "AnswerTimeout": {AnswerTimeout: -1},
		"IdleTimeout": {IdleTimeout: -2}, "MaxAmbiguous": {MaxAmbiguous: -2},
	} {
		_, err := transport.New(d, cfg)
		var fault *policy.FieldError
		require.ErrorAs(t, err, &fault, field)
		assert.Equal(t, field, fault.Field)
	}
	_, err = transport.New(d, transport.Config{IdleTimeout: transport.NoBound, MaxAmbiguous: transport.NoBound})
	assert.NoError(t, err)
}

// A request that is made from that of an answer knows nothing of what became of that.
func TestFailureOfEarlierRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{}, transport.Config{}, script(status(500), status(200), status(404)))
		resp, err := w.client.Do(post(t.Context(), chatURL))
		require.NoError(t, err)
		first := transport.Failure(resp)
		require.Error(t, first)
		got := w.get(resp.Request.Context(), "http://x.example/")
		assert.Equal(t, 200, got.status)
		assert.NoError(t, got.failure)
		got = w.get(resp.Request.Context(), "http://x.example/")
		assert.Equal(t, 404, got.status)
		assert.Error(t, got.failure)
		assert.NotEqual(t, first, got.failure)
	})
}

func TestFailureOfOthers(t *testing.T) {
	assert.NoError(t, transport.Failure(nil))
	assert.NoError(t, transport.Failure(&http.Response{}))
	assert.NoError(t, transport.Failure(&http.Response{Request: post(t.Context(), chatURL)}))
}
