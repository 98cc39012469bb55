package transport_test

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/policy"
)

// openAI is the headers of a limit of requests.
func openAI(most, left int, reset time.Duration) []string {
	return []string{
		"x-ratelimit-limit-requests", fmt.Sprint(most), "x-ratelimit-remaining-requests", fmt.Sprint(left), "x-ratelimit-reset-requests", reset.String(),
	}
}

func requests(rate policy.Rate, burst float64) []policy.Limit {
	return []policy.Limit{{Name: "requests", Rate: rate, Burst: burst}}
}

func rate(d *dispatcher.Dispatcher) policy.Rate {
	d.Snapshot()
	return d.Snapshot().Limits[0].Rate
}

// S-L6: what a server says of its limits lowers ours, the level at once and the rate where it is slower.
func TestLearn(t *testing.T) {
	for _, test := range []struct {
		name       string
		configured policy.Rate
		headers    []string
		wantRate   policy.Rate
		wantLevel  float64 // right after
	}{
		{"both", policy.PerMinute(1000), openAI(60, 30, 30*s), policy.PerMinute(60), 30},
		{"nothing, if we are slower", policy.PerMinute(10), openAI(1000, 500, 30*s), policy.PerMinute(10), 99},
		{"the level alone", policy.PerMinute(10), openAI(1000, 7, 59580*time.Millisecond), policy.PerMinute(10), 7},
		{"the rate alone", policy.PerMinute(1000), []string{"x-ratelimit-limit-req-minute", "60"}, policy.PerMinute(60), 99},
		{"all, where nothing was configured", policy.Unlimited, openAI(60, 30, 30*s), policy.PerMinute(60), 30},
		{"nothing of another limit", policy.PerMinute(10), []string{"x-ratelimit-limit-tokens", "60", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1m0s"}, policy.PerMinute(10), 99},
		{"nothing from nonsense", policy.PerMinute(10), openAI(-1, -1, -s), policy.PerMinute(10), 99},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := build(t, dispatcher.Config{Limits: requests(test.configured, 100)}, transport.Config{}, script(func(w http.ResponseWriter) { say(w, 200, completion, test.headers...) }))
				assert.Equal(t, 200, w.ask(t.Context()).status)
				assert.Equal(t, test.wantRate, rate(w.d))
				assert.Equal(t, test.wantLevel, level(w.d, "requests"))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Limits: requests(policy.PerMinute(1000), 100)}, transport.Config{NoLearning: true}, script(func(w http.ResponseWriter) { say(w, 200, completion, openAI(60, 30, 30*s)...) }))
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Equal(t, policy.PerMinute(1000), rate(w.d))
		assert.Equal(t, 99.0, level(w.d, "requests"))
	})
}

// A server that grants more than before is followed, up to what was configured.
func TestLearnUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		w := build(t, dispatcher.Config{Limits: requests(policy.PerMinute(100), 100)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			m := int(most.Load())
			say(w, 200, completion, openAI(m, m/2, 30*s)...)
		})
		for _, m := range []int64{60, 80, 500, 40} {
			most.Store(m)
			assert.Equal(t, 200, w.ask(t.Context()).status)
			assert.Equal(t, policy.PerMinute(math.Min(100, float64(m))), rate(w.d), "%d", m)
		}
	})
}

// What a key has of its own is lowered for that key; the rate is that of all keys, and stays.
func TestLearnPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := requests(policy.PerMinute(1000), 100)
		limits[0].PerKey = true
		w := build(t, dispatcher.Config{Limits: limits}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			say(w, 200, completion, openAI(60, 30, 30*s)...)
		})
		assert.Equal(t, 200, w.do(post(t.Context(), "http://a.example/v1/chat/completions")).status)
		_ = w.d.Observe("requests", "b.example", 77)
		got := map[string]float64{}
		w.d.Snapshot()
		for _, key := range w.d.Snapshot().Keys {
			got[key.Key] = key.Limits[0].Level
			assert.Equal(t, policy.PerMinute(1000), key.Limits[0].Rate)
		}
		assert.Equal(t, map[string]float64{"a.example": 30, "b.example": 77}, got)
	})
}

// S-L7: answers overtake one another; one that was sent before another that is known already says nothing new.
func TestLearnOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, dispatcher.Config{Limits: requests(policy.PerHour(1), 100)}, transport.Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				say(w, 200, completion, openAI(100, 90, 10*time.Hour)...)
			case 2: // sent first, answered last
				time.Sleep(10 * s)
				say(w, 200, completion, openAI(100, 10, 90*time.Hour)...)
			default:
				say(w, 200, completion, openAI(100, 80, 20*time.Hour)...)
			}
		})
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Equal(t, 90.0, level(w.d, "requests"))
		slow := make(chan reply)
		go func() { slow <- w.do(post(t.Context(), "http://other.example/v1/chat/completions")) }()
		time.Sleep(s)
		assert.Equal(t, 200, w.ask(t.Context()).status)
		assert.Equal(t, 80.0, math.Floor(level(w.d, "requests")))
		assert.Equal(t, 200, (<-slow).status)
		assert.Equal(t, 80.0, math.Floor(level(w.d, "requests")), "of the one that was overtaken nothing is believed")
	})
}

// limited is a server with a bucket of its own, which says in its headers what is left of it.
type limited struct {
	perMinute, burst float64
	takes            time.Duration // for an answer
	dialect          func(most, left float64, now time.Time) []string

	mu      sync.Mutex
	level   float64   // guarded by mu
	counted time.Time // guarded by mu
	good    int       // guarded by mu; answered since reset
	refused int       // guarded by mu; with 429, since reset
}

func (l *limited) serve(n int, w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	now := time.Now()
	if l.counted.IsZero() {
		l.level, l.counted = l.burst, now
	}
	l.level = min(l.burst, l.level+now.Sub(l.counted).Minutes()*l.perMinute)
	l.counted = now
	ok := l.level >= 1
	if ok {
		l.level--
		l.good++
	} else {
		l.refused++
	}
	headers := l.dialect(l.burst, l.level, now)
	l.mu.Unlock()
	if !ok {
		say(w, 429, `{"error":{"code":"rate_limit_exceeded"}}`, headers...)
		return
	}
	time.Sleep(l.takes)
	say(w, 200, completion, headers...)
}

// since returns what has been answered and refused since the last call.
func (l *limited) since() (good, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	good, refused = l.good, l.refused
	l.good, l.refused = 0, 0
	return good, refused
}

// After half a minute of learning from headers alone, nearly all that the server grants is used, and next to nothing is refused.
func TestLearnFromNothing(t *testing.T) {
	// Each says how many are missing, as its vendor does; the limit is named per minute, and so is its bucket.
	dialects := map[string]func(most, left float64, now time.Time) []string{
		"OpenAI": func(most, left float64, _ time.Time) []string {
			reset := time.Duration((most - math.Floor(left)) / most * float64(time.Minute)).Round(time.Millisecond)
			return openAI(int(most), int(left), reset)
		},
		"Anthropic": func(most, left float64, now time.Time) []string {
			full := now.Add(time.Duration((most - left) / most * float64(time.Minute)))
			return []string{
				"anthropic-ratelimit-requests-limit", fmt.Sprint(most), "anthropic-ratelimit-requests-remaining", fmt.Sprint(math.Floor(left)),
				"anthropic-ratelimit-requests-reset", full.UTC().Format(time.RFC3339), "Date", now.UTC().Format(http.TimeFormat),
			}
		},
		"Azure": func(most, left float64, _ time.Time) []string {
			reset := math.Ceil((most - left) / most * 60)
			return []string{
				"x-ratelimit-limit-requests", fmt.Sprint(most), "x-ratelimit-remaining-requests", fmt.Sprint(math.Floor(left)), "x-ratelimit-reset-requests", fmt.Sprint(reset),
			}
		},
	}
	for name, dialect := range dialects {
		for _, takes := range []time.Duration{100 * time.Millisecond, 3 * s} {
			t.Run(fmt.Sprint(name, ", answers take ", takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &limited{perMinute: 600, burst: 600, takes: takes, dialect: dialect}
					rules := dispatcher.Config{Limits: requests(policy.Unlimited, 0), Retry: policy.Retry{MaxAttempts: 5}}
					w := build(t, rules, transport.Config{}, server.serve)
					stop := make(chan struct{})
					var callers sync.WaitGroup
					for range 50 {
						callers.Go(func() {
							for {
								select {
								case <-stop:
									return
								default:
								}
								if got := w.ask(t.Context()); got.err != nil || got.status != 200 {
									t.Errorf("lost: %+v", got)
									return
								}
							}
						})
					}
					time.Sleep(30 * s)
					server.since()
					const minutes = 2
					time.Sleep(minutes * time.Minute)
					good, refused := server.since()
					close(stop)
					callers.Wait()
					used := float64(good) / (minutes * server.perMinute)
					t.Logf("used %.1f %% of the limit, refused %.1f %% of %d", 100*used, 100*float64(refused)/float64(good+refused), good+refused)
					assert.GreaterOrEqual(t, used, 0.95)
					assert.LessOrEqual(t, float64(refused), 0.02*float64(good+refused))
					require.Equal(t, policy.PerMinute(600), rate(w.d))
				})
			})
		}
	}
}
