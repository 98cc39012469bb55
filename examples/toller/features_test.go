package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// Everything in the list of features that Toller publishes, under its name there.
func TestFeatures(t *testing.T) {
	for _, feature := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"task decorator: all patterns at once", decoratesOnce},
		{"task decorator: shared instances", sharesInstances},
		{"task decorator: enable_rate_limiter, enable_retry, enable_circuit_breaker", switchesParts},
		{"rate limiting: async-safe token bucket", limitsTogether},
		{"rate limiting: configurable call rates and burst capacity", limitsAsConfigured},
		{"rate limiting: automatic waiting when limits are hit", waitsForTheLimit},
		{"retries: max attempts", triesSoOften},
		{"retries: fixed delay, exponential backoff, jitter", backsOff},
		{"retries: conditional retries on specific exceptions, TransientError", triesAgainOn},
		{"retries: conditional stopping on specific exceptions, FatalError", stopsOn},
		{"retries: MaxRetriesExceeded wraps the last error", wrapsTheLastError},
		{"circuit breaker: closed, open, half-open", goesThroughItsStates},
		{"circuit breaker: failure thresholds and recovery timeouts", opensAsConfigured},
		{"circuit breaker: trips on MaxRetriesExceeded", tripsOnExhaustedRetries},
		{"circuit breaker: trips on custom fatal errors", tripsOnChosenErrors},
		{"circuit breaker: prevents calls to a failing service, which has time to recover", sparesTheBackend},
		{"custom exception hierarchy", tellsErrorsApart},
		{"async native", waitsWithoutGoroutines},
		{"lightweight: minimal dependencies", importsLittle},
	} {
		t.Run(feature.name, func(t *testing.T) { synctest.Test(t, feature.test) })
	}
}

// call is Wrap of a function that has an error and nothing else to say.
func call(d *dispatcher.Dispatcher, fn func(context.Context) error, options ...dispatcher.Option) func(context.Context) error {
	wrapped := dispatcher.Wrap(d, func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, fn(ctx) }, options...)
	return func(ctx context.Context) error {
		_, err := wrapped(ctx, struct{}{})
		return err
	}
}

// failing returns a function that marks its attempts, of which so many fail with err.
func (l *timeline) failing(n int, err error) func(context.Context) error {
	return func(context.Context) error {
		l.mark()
		if len(l.all()) <= n {
			return err
		}
		return nil
	}
}

// fixed is n attempts, so long after each other.
func fixed(n int, delay time.Duration) policy.Retry {
	return policy.Retry{MaxAttempts: n, Delay: delay, Backoff: 1, Jitter: policy.NoJitter}
}

// One expression, and all three act: the limit spaces attempts, a failed one is repeated, and calls that fail open the circuit.
func decoratesOnce(t *testing.T) {
	d := open(t, dispatcher.Config{
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1}},
		Retry:   fixed(2, 100*time.Millisecond),
		Breaker: policy.Breaker{FailureThreshold: 1, Counts: policy.CountJobs},
	})
	line := newTimeline()
	double := dispatcher.Wrap(d, func(_ context.Context, n int) (int, error) {
		line.mark()
		if n < 0 || len(line.all()) == 1 {
			return 0, policy.Transient(errBackend)
		}
		return 2 * n, nil
	})
	value, err := double(t.Context(), 21)
	same(t, "value", value, 42)
	same(t, "error", err, nil)
	_, err = double(t.Context(), -1)
	same(t, "retries exceeded", errors.Is(err, job.ErrMaxRetriesExceeded), true)
	_, err = double(t.Context(), 1)
	same(t, "circuit open", errors.Is(err, policy.ErrOpenCircuit), true)
	same(t, "attempts", line.all(), ms(0, 1000, 2000, 3000))
}

// Two functions of one dispatcher share its limits, and with one key a circuit; a third has another key, and so a circuit of its
// own. What goes through another dispatcher can share a limit as well.
func sharesInstances(t *testing.T) {
	account, err := dispatcher.NewSharedLimit(policy.Limit{Name: "account", Rate: policy.PerSecond(1), Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := dispatcher.Config{Shared: []*dispatcher.SharedLimit{account}, Breaker: policy.Breaker{FailureThreshold: 1}}
	d, other := open(t, cfg), open(t, cfg)
	line := newTimeline()
	good, bad := line.marking(0, nil), line.marking(0, errBackend)
	a, b := call(d, bad, dispatcher.WithKey("eu")), call(d, good, dispatcher.WithKey("eu"))
	c, elsewhere := call(d, good, dispatcher.WithKey("us")), call(other, good, dispatcher.WithKey("eu"))

	same(t, "limit of two", c(t.Context()), nil)
	same(t, "limit of two", elsewhere(t.Context()), nil)
	same(t, "failure of a", errors.Is(a(t.Context()), errBackend), true)
	same(t, "b shares the circuit of a", errors.Is(b(t.Context()), policy.ErrOpenCircuit), true)
	same(t, "c does not", c(t.Context()), nil)
	same(t, "nor does another dispatcher", elsewhere(t.Context()), nil)
	same(t, "all share the limit", line.all(), ms(0, 1000, 2000, 3000, 4000))
}

// Each part is on or off, for the dispatcher and for one function of it.
func switchesParts(t *testing.T) {
	d := open(t, dispatcher.Config{
		Limits:  []policy.Limit{{Name: "calls", Rate: policy.PerHour(1), Burst: 1}},
		Retry:   fixed(3, time.Second),
		Breaker: policy.Breaker{FailureThreshold: 1, Counts: policy.CountJobs},
		Keys: func(key string) dispatcher.KeyConfig {
			if key == "no breaker" {
				return dispatcher.KeyConfig{Breaker: &policy.Breaker{}}
			}
			return dispatcher.KeyConfig{}
		},
	})
	bad := func(l *timeline) func(context.Context) error { return l.marking(0, policy.Transient(errBackend)) }
	free, once, unguarded := dispatcher.WithCost("calls", 0), dispatcher.WithRetry(policy.Retry{}), dispatcher.WithKey("no breaker")

	line := newTimeline()
	_ = call(d, bad(line), free)(t.Context())
	same(t, "without limit", line.all(), ms(0, 1000, 2000))
	same(t, "with breaker", errors.Is(call(d, bad(line), free)(t.Context()), policy.ErrOpenCircuit), true)

	line = newTimeline()
	_ = call(d, bad(line), free, once, dispatcher.WithKey("other"))(t.Context())
	same(t, "without retries", line.all(), ms(0))

	line = newTimeline()
	for range 2 {
		_ = call(d, bad(line), free, once, unguarded)(t.Context())
	}
	same(t, "without breaker", line.all(), ms(0, 0))

	line = newTimeline()
	_ = call(d, bad(line), once, unguarded)(t.Context())
	_ = call(d, bad(line), once, unguarded)(t.Context())
	same(t, "with limit", line.all(), []time.Duration{0, time.Hour})
}

// Any number of goroutines take from one bucket, and get what is in it and what comes in, no more and no less.
func limitsTogether(t *testing.T) {
	limiter, err := dispatcher.NewLimiter(policy.TollerLimit("calls"))
	if err != nil {
		t.Fatal(err)
	}
	line := newTimeline()
	together(50, func() {
		same(t, "error", limiter.Acquire(t.Context(), 1), nil)
		line.mark()
	})
	want := make([]time.Duration, 50) // the burst of 20 at once, then ten a second
	for n := 20; n < 50; n++ {
		want[n] = time.Duration(n-19) * 100 * time.Millisecond
	}
	same(t, "acquired", line.all(), want)
}

func limitsAsConfigured(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit policy.Limit
		costs []float64
		want  []time.Duration
	}{
		{"one by one", policy.Limit{Rate: policy.PerSecond(2), Burst: 1}, []float64{1, 1, 1}, ms(0, 500, 1000)},
		{"burst", policy.Limit{Rate: policy.PerSecond(2), Burst: 3}, []float64{1, 1, 1, 1}, ms(0, 0, 0, 500)},
		{"less than one a second", policy.Limit{Rate: policy.PerSecond(.5), Burst: 1}, []float64{1, 1}, ms(0, 2000)},
		{"per minute", policy.Limit{Rate: policy.PerMinute(60), Burst: 1}, []float64{1, 1}, ms(0, 1000)},
		{"weighted", policy.Limit{Rate: policy.PerSecond(5), Burst: 5}, []float64{2, 2, 2}, ms(0, 0, 200)},
		{"fractions", policy.Limit{Rate: policy.PerSecond(1), Burst: 1}, []float64{.5, .5, .5}, ms(0, 0, 500)},
	} {
		tt.limit.Name = "calls"
		limiter, err := dispatcher.NewLimiter(tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		alone := newTimeline()
		for _, cost := range tt.costs {
			same(t, tt.name, limiter.Acquire(t.Context(), cost), nil)
			alone.mark()
		}
		d := open(t, dispatcher.Config{Limits: []policy.Limit{tt.limit}})
		wrapped := newTimeline()
		for _, cost := range tt.costs {
			same(t, tt.name, call(d, wrapped.marking(0, nil), dispatcher.WithCost("calls", cost))(t.Context()), nil)
		}
		same(t, tt.name+", alone", alone.all(), tt.want)
		same(t, tt.name+", wrapped", wrapped.all(), tt.want)
	}
}

// A call that the limit holds back waits, holds nothing meanwhile, and ends as if it had not waited.
func waitsForTheLimit(t *testing.T) {
	d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1}}})
	line := newTimeline()
	wrapped := call(d, line.marking(0, nil))
	together(2, func() { same(t, "error", wrapped(t.Context()), nil) })
	same(t, "attempts", line.all(), ms(0, 1000))

	bound, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	same(t, "given up", errors.Is(wrapped(bound), context.DeadlineExceeded), true)
	same(t, "given up after", line.now(), 1500*time.Millisecond)
	same(t, "the next one", wrapped(t.Context()), nil)
	same(t, "attempts", line.all(), ms(0, 1000, 2000))
}

func triesSoOften(t *testing.T) {
	for attempts := 1; attempts <= 5; attempts++ {
		d := open(t, dispatcher.Config{Retry: fixed(attempts, time.Second)})
		line := newTimeline()
		err := call(d, line.failing(9, policy.Transient(errBackend)))(t.Context())
		same(t, "attempts", len(line.all()), attempts)
		same(t, "retries exceeded", errors.Is(err, job.ErrMaxRetriesExceeded), true)

		line = newTimeline()
		same(t, "the last attempt counts", call(d, line.failing(attempts-1, policy.Transient(errBackend)))(t.Context()), nil)
	}
}

func backsOff(t *testing.T) {
	exact := func(r policy.Retry, want ...int) {
		t.Helper()
		line := newTimeline()
		_ = call(open(t, dispatcher.Config{Retry: r}), line.failing(9, policy.Transient(errBackend)))(t.Context())
		same(t, "attempts", line.all(), ms(want...))
	}
	r := policy.Retry{MaxAttempts: 5, Delay: 100 * time.Millisecond, Jitter: policy.NoJitter}
	exact(r, 0, 100, 300, 700, 1500)
	r.MaxDelay = 250 * time.Millisecond
	exact(r, 0, 100, 300, 550, 800)
	r.Backoff = 1
	exact(r, 0, 100, 200, 300, 400)

	for _, tt := range []struct {
		jitter policy.Jitter
		lo, hi time.Duration
	}{
		{policy.FullJitter, 0, time.Second},
		{policy.JitterFraction(.1), 900 * time.Millisecond, 1100 * time.Millisecond},
		{policy.JitterRange(.5, 1.5), 500 * time.Millisecond, 1500 * time.Millisecond},
	} {
		retry := policy.Retry{MaxAttempts: 2, Delay: time.Second, Jitter: tt.jitter}
		d := open(t, dispatcher.Config{Retry: retry, Seed: 1})
		line := newTimeline()
		together(50, func() { _ = call(d, line.marking(0, policy.Transient(errBackend)))(t.Context()) })
		waits := line.all()[50:]
		span := tt.hi - tt.lo
		if waits[0] < tt.lo || waits[49] >= tt.hi || waits[0] > tt.lo+span/5 || waits[49] < tt.hi-span/5 {
			t.Errorf("%v: from %v to %v", tt.jitter, waits[0], waits[49])
		}
		same(t, "different waits", len(slices.Compact(waits)), 50)
	}
}

// quotaError is a type of error like those that SDKs have.
type quotaError struct{}

func (quotaError) Error() string { return "over quota" }

func isQuota(err error) bool { return errors.As(err, new(quotaError)) }

// attempts runs err through three attempts at most, and returns how many there were.
func attempts(t *testing.T, retry policy.Retry, err error) int {
	t.Helper()
	retry.MaxAttempts = 3
	line := newTimeline()
	_ = call(open(t, dispatcher.Config{Retry: retry}), line.failing(9, err))(t.Context())
	return len(line.all())
}

func triesAgainOn(t *testing.T) {
	same(t, "transient", attempts(t, policy.Retry{}, policy.Transient(errBackend)), 3)
	same(t, "unmarked", attempts(t, policy.Retry{}, errBackend), 1)
	same(t, "well-known", attempts(t, policy.Retry{}, context.DeadlineExceeded), 3)
	same(t, "chosen", attempts(t, policy.Retry{On: isQuota}, quotaError{}), 3)
	same(t, "not chosen", attempts(t, policy.Retry{On: isQuota}, errBackend), 1)
	same(t, "only what is chosen", attempts(t, policy.Retry{
		On: isQuota, StopOn: func(err error) bool { return !isQuota(err) },
	}, policy.Transient(errBackend)), 1)
}

func stopsOn(t *testing.T) {
	all := func(error) bool { return true }
	same(t, "fatal", attempts(t, policy.Retry{}, policy.Fatal(errBackend)), 1)
	same(t, "fatal beats On", attempts(t, policy.Retry{On: all}, policy.Fatal(errBackend)), 1)
	same(t, "StopOn beats On", attempts(t, policy.Retry{On: all, StopOn: isQuota}, quotaError{}), 1)
	same(t, "StopOn beats a mark", attempts(t, policy.Retry{StopOn: isQuota}, policy.Transient(quotaError{})), 1)
	same(t, "anything else", attempts(t, policy.Retry{On: all, StopOn: isQuota}, errBackend), 3)
}

func wrapsTheLastError(t *testing.T) {
	d := open(t, dispatcher.Config{Retry: fixed(2, time.Second)})
	err := call(d, func(ctx context.Context) error {
		if attempt, _ := job.AttemptFrom(ctx); attempt.N == 1 {
			return policy.Transient(errBackend)
		}
		return policy.Transient(quotaError{})
	})(t.Context())
	exceeded, ok := errors.AsType[*job.MaxRetriesExceededError](err)
	if !ok {
		t.Fatal(err)
	}
	same(t, "attempts", exceeded.Attempts, 2)
	same(t, "last", isQuota(exceeded.Last), true)
	same(t, "its cause", isQuota(exceeded), true)
	same(t, "a cause", isQuota(err), true)
	same(t, "the first", errors.Is(err, errBackend), false)
	whole, _ := errors.AsType[*job.Error](err)
	same(t, "the first is in the history", errors.Is(whole.History.First[0].Error, errBackend), true)
}
