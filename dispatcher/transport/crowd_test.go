package transport_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
)

// S-L10: of 50 callers who share a cooldown none arrives early, and afterwards they come no faster than the limit.
func TestSharedCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, wait = 50, 2 * s
		rules := dispatcher.Config{Retry: exact(5, s), Limits: requests(policy.PerSecond(10), 20)}
		start := time.Now()
		w := build(t, rules, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			if time.Since(start) < wait { // as many of the burst as are under way before the first is back
				say(w, 429, `{"error":{"code":"rate_limit_exceeded"}}`, "Retry-After", "2")
				return
			}
			say(w, 200, completion)
		})
		var all sync.WaitGroup
		for range callers {
			all.Go(func() { assert.Equal(t, 200, w.ask(t.Context()).status) })
		}
		all.Wait()
		at := w.times()
		early := len(at) - callers
		assert.Positive(t, early)
		assert.LessOrEqual(t, early, 20)
		for _, a := range at[:early] {
			assert.Zero(t, a)
		}
		for i, a := range at[early:] {
			assert.GreaterOrEqual(t, a, wait)
			// What the limit has by then: the 20 that came in during the wait, and ten a second since.
			assert.LessOrEqual(t, i+1, 20+int(10*(a-wait)/s)+1, "at %v", a)
		}
	})
}

// A server that says nothing but 429, and forgets all at the end of each minute of its clock: few are refused, and none is lost.
func TestFixedMinuteWithoutHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perMinute, callers = 600, 50
		var mu sync.Mutex
		minute, taken, good, refused := time.Time{}, 0, 0, 0
		rules := dispatcher.Config{Workers: callers, Retry: policy.Retry{MaxAttempts: 5}}
		w := build(t, rules, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if now := time.Now().Truncate(time.Minute); now != minute { //nolint:revive // instants of one bubble
				minute, taken = now, 0
			}
			taken++
			ok := taken <= perMinute
			if ok {
				good++
			} else {
				refused++
			}
			mu.Unlock()
			if !ok {
				say(w, 429, "")
				return
			}
			time.Sleep(s)
			say(w, 200, completion)
		})
		time.Sleep(17 * s) // the minutes of the server are not ours
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if got := w.ask(t.Context()); got.status != 200 {
						t.Errorf("lost: %+v", got)
						return
					}
				}
			})
		}
		time.Sleep(30 * s)
		mu.Lock()
		good, refused = 0, 0
		mu.Unlock()
		time.Sleep(5 * time.Minute)
		mu.Lock()
		share := float64(refused) / float64(good+refused)
		summary := fmt.Sprintf("%d answered, %d refused: %.1f %%", good, refused, 100*share)
		mu.Unlock()
		close(stop)
		all.Wait()
		t.Log(summary)
		assert.Less(t, share, 0.10, summary)
	})
}
