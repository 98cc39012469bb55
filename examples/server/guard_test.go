package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// behind returns a guard before a backend, whose dispatcher is closed when the test ends. Backends take part in time, which
// stands still while anything runs: instants are exact.
func behind(t *testing.T, s settings, backend http.HandlerFunc) *guard {
	t.Helper()
	d, err := dispatcher.New(config(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &guard{d: d, key: "backend", backend: backend, patience: s.patience, rate: s.rate}
}

// wide is settings that bind nobody.
var wide = settings{rate: 1000, workers: 100, queue: 1000, patience: 5 * time.Second}

// get sends one request, and returns what came of it.
func get(ctx context.Context, h http.Handler, method, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, "/backend", strings.NewReader(body)))
	return w
}

func expect(t *testing.T, w *httptest.ResponseRecorder, code int, retryAfter, body string) {
	t.Helper()
	if w.Code != code || w.Header().Get("Retry-After") != retryAfter || !strings.Contains(w.Body.String(), body) {
		t.Errorf("got %d, Retry-After %q, %q; want %d, %q, %q", w.Code, w.Header().Get("Retry-After"), w.Body.String(), code, retryAfter, body)
	}
}

// answering returns a backend that takes its time and gives one answer after the other, the last for ever, and counts its calls.
func answering(calls *int, takes time.Duration, codes ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		code := codes[min(*calls, len(codes)-1)]
		*calls++
		mu.Unlock()
		respond(w, r, takes, code)
	}
}

// What the backend answers is passed on: status, header and body, whatever it is.
func TestAnswersArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := behind(t, wide, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Method", r.Method)
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late
			_, _ = w.Write(append([]byte("short and stout: "), body...))
		})
		w := get(t.Context(), g, http.MethodPut, "tea")
		expect(t, w, http.StatusTeapot, "", "short and stout: tea")
		if w.Header().Get("X-Method") != http.MethodPut {
			t.Error("the backend's header is missing")
		}
		silent := behind(t, wide, func(http.ResponseWriter, *http.Request) {})
		expect(t, get(t.Context(), silent, http.MethodGet, ""), http.StatusOK, "", "")
	})
}

// With as many requests as may wait, the next is turned away at once, and told how long those will take.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := settings{rate: 2, workers: 10, queue: 7, patience: time.Minute}
		g := behind(t, s, answering(&calls, time.Second, http.StatusOK)) // two at once, then two a second
		var visitors sync.WaitGroup
		for range s.queue {
			visitors.Go(func() { expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusOK, "", "GET") })
		}
		synctest.Wait()
		begin := time.Now()
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusTooManyRequests, "3", "too many") // five wait: 2.5 s
		if time.Since(begin) != 0 {
			t.Error("it was not turned away at once")
		}
		visitors.Wait()
		if took := time.Since(begin); took != 3500*time.Millisecond {
			t.Errorf("the others took %v", took)
		}
	})
}

// A backend that keeps failing is left alone, and who asks for it is told until when. Then one request tries it.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		g := behind(t, wide, answering(&calls, 0, 500, 500, 500, 500, 500, 200))
		for range 2 {
			expect(t, get(t.Context(), g, http.MethodGet, ""), 500, "", "GET") // and once more: 4 failures
		}
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusServiceUnavailable, "10", "down") // the fifth, and no second try
		time.Sleep(9500 * time.Millisecond)
		expect(t, get(t.Context(), g, http.MethodPost, ""), http.StatusServiceUnavailable, "1", "down")
		if calls != 5 {
			t.Errorf("%d calls, not 5", calls)
		}
		time.Sleep(500 * time.Millisecond)
		expect(t, get(t.Context(), g, http.MethodGet, ""), 200, "", "GET")

		g.d.ForceOpen("backend")
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusServiceUnavailable, "", "down") // nobody can tell for how long
	})
}

// A GET is tried again, with its body; a POST may have done its work, and is not.
func TestOnlyWhatIsSafeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		g := behind(t, wide, answering(&calls, 0, 500, 200, 500, 200))
		expect(t, get(t.Context(), g, http.MethodGet, "again"), 200, "", "GET /backend: again")
		expect(t, get(t.Context(), g, http.MethodPost, "once"), 500, "", "POST /backend: once")
		if calls != 3 {
			t.Errorf("%d calls, not 3", calls)
		}
	})
}

// One that has run out of time is told so: with when to come again if it has only waited.
func TestOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		g := behind(t, settings{rate: 1, workers: 1, queue: 10, patience: 3 * time.Second}, answering(&calls, time.Hour, 200))
		begin := time.Now()
		var visitors sync.WaitGroup
		visitors.Go(func() { expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusGatewayTimeout, "", "in time") })
		synctest.Wait()
		visitors.Go(func() {
			expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusServiceUnavailable, "1", "no time")
		})
		visitors.Wait()
		if took := time.Since(begin); took != 3*time.Second || calls != 1 {
			t.Errorf("%v and %d calls", took, calls)
		}
	})
}

// A backend that returns because its time is up has not answered, though nothing says so but its context.
func TestAnswerCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := behind(t, wide, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		g.patience = time.Minute // an attempt has five seconds, and there are two
		begin := time.Now()
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusGatewayTimeout, "", "in time")
		if took := time.Since(begin); took < 10*time.Second || took > 10100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// When the backend says that it was sent too much, it is sent nothing for as long as it asks, by nobody.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		begin := time.Now()
		g := behind(t, wide, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if at = append(at, time.Since(begin)); len(at) == 1 {
				w.Header().Set("Retry-After", "2")
				respond(w, r, 0, http.StatusTooManyRequests)
			}
		})
		expect(t, get(t.Context(), g, http.MethodPost, ""), http.StatusTooManyRequests, "2", "POST")
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusOK, "", "")
		if len(at) != 2 || at[1] < 2*time.Second || at[1] > 2200*time.Millisecond {
			t.Errorf("the backend was called at %v", at)
		}
	})
}

// Who is gone is not served: the backend is told, and nothing is written.
func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, 1)
		g := behind(t, wide, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			told <- r.Context().Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		w := get(ctx, g, http.MethodGet, "")
		if w.Body.Len() > 0 || <-told == nil {
			t.Errorf("%q was written to nobody", w.Body)
		}
	})
}

// What cannot be served for other reasons.
func TestOtherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := behind(t, wide, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				panic("oh")
			}
		})
		expect(t, get(t.Context(), g, http.MethodGet, ""), http.StatusBadGateway, "", "failed")
		expect(t, get(t.Context(), g, http.MethodPost, strings.Repeat("x", maxBody+1)), http.StatusRequestEntityTooLarge, "", "too large")
		expect(t, get(t.Context(), g, http.MethodPost, strings.Repeat("x", maxBody)), http.StatusOK, "", "")
		if err := g.d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := get(t.Context(), g, http.MethodGet, "")
		expect(t, w, http.StatusServiceUnavailable, "", "shutting down")
		if w.Header().Get("Connection") != "close" {
			t.Error("the client keeps its connection")
		}
	})
}

// A backend's Retry-After is a number of seconds, or no hint.
func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "0": 0, "": policy.NoHint, "-1": policy.NoHint, "soon": policy.NoHint} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("%q is %v, not %v", text, got, want)
		}
	}
}
