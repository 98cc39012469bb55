package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// What surprises in Toller, each with a scenario in which the model of it does so, and a dispatcher does not. README.md lists them.

// Retries bypass the limiter: under a limit of one call a second, three attempts go out within 0.2 s.
func TestRetriesPassTheLimiter(t *testing.T) {
	s := settings{rate: 1, burst: 1, attempts: 3, delay: 100 * time.Millisecond, backoff: 1, jitter: false}
	surprise(t, s, func(t *testing.T, c contestant) []time.Duration {
		line := newTimeline()
		_ = c.wrap(line.marking(0, transientError{errBackend}), 1)(t.Context())
		return line.all()
	}, ms(0, 100, 200), ms(0, 1000, 2000))
}

// A call waits for its token, pays it, and only then learns that the circuit is open.
func TestOpenCircuitCostsNoWaitAndNoToken(t *testing.T) {
	type seen struct {
		turnedAway []time.Duration
		tokens     float64 // after 20 s
	}
	s := settings{rate: .1, burst: 1, threshold: 1, recovery: 30 * time.Second}
	surprise(t, s, func(t *testing.T, c contestant) seen {
		line := newTimeline()
		call := c.wrap(func(context.Context) error { return errBackend }, 1)
		_ = call(t.Context())
		for range 2 {
			if err := call(t.Context()); !rejected(err) {
				t.Error(err)
			}
			line.mark()
		}
		time.Sleep(20*time.Second - line.now())
		return seen{line.all(), c.tokens()}
	}, seen{ms(10_000, 20_000), 0}, seen{ms(0, 0), 1})
}

// A breaker that expects TransientError stands outside the retries, which turn that into MaxRetriesExceeded: it never trips.
func TestBreakerSeesTransientErrors(t *testing.T) {
	s := settings{
		attempts: 3, delay: 100 * time.Millisecond, backoff: 1, jitter: false,
		threshold: 2, recovery: time.Minute, expected: transientException,
	}
	surprise(t, s, func(t *testing.T, c contestant) int {
		line := newTimeline()
		call := c.wrap(line.marking(0, transientError{errBackend}), 1)
		for range 10 {
			_ = call(t.Context())
		}
		return len(line.all())
	}, 30, 2)
}

// The half-open circuit, which is said to let one call through, lets everybody through.
func TestHalfOpenLetsOneThrough(t *testing.T) {
	s := settings{threshold: 1, recovery: 10 * time.Second}
	surprise(t, s, func(t *testing.T, c contestant) int {
		line := newTimeline()
		call := c.wrap(line.marking(time.Second, errBackend), 1)
		_ = call(t.Context())
		time.Sleep(10 * time.Second)
		together(10, func() { _ = call(t.Context()) })
		return len(line.all()) - 1
	}, 10, 1)
}

// A probe that is canceled has not failed, and so it closes the circuit, though the backend has said nothing.
func TestCanceledProbeClosesNothing(t *testing.T) {
	type seen struct {
		state string
		sent  int // of five calls that come then
	}
	s := settings{threshold: 1, recovery: 10 * time.Second}
	surprise(t, s, func(t *testing.T, c contestant) seen {
		line := newTimeline()
		call := c.wrap(line.marking(5*time.Second, errBackend), 1)
		_ = call(t.Context())
		time.Sleep(10 * time.Second)
		probing, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = call(probing)
		state := c.state()
		together(5, func() { _ = call(t.Context()) })
		return seen{state, len(line.all()) - 2}
	}, seen{"closed", 5}, seen{"half-open", 1})
}

// Who waits for many tokens sleeps until there would be enough, finds that others have taken some, and sleeps again: as long as
// small calls come, a large one starves.
func TestLargeCallsAreNotStarved(t *testing.T) {
	s := settings{rate: 1, burst: 10}
	surprise(t, s, func(t *testing.T, c contestant) time.Duration {
		nothing := func(context.Context) error { return nil }
		small, large := c.wrap(nothing, 1), c.wrap(nothing, 10)
		line := newTimeline()
		_ = large(t.Context()) // which empties the bucket
		var calls sync.WaitGroup
		var done time.Duration
		calls.Go(func() {
			_ = large(t.Context())
			done = line.now()
		})
		for range 30 { // at 1.5 s, 2.5 s, …
			calls.Go(func() {
				time.Sleep(1500 * time.Millisecond)
				_ = small(t.Context())
			})
			time.Sleep(time.Second)
		}
		calls.Wait()
		return done
	}, 40*time.Second, 10*time.Second)
}

// There is no order among those who wait, either: who comes later can go first.
func TestNobodyOvertakes(t *testing.T) {
	s := settings{rate: 1, burst: 2}
	surprise(t, s, func(t *testing.T, c contestant) []time.Duration {
		nothing := func(context.Context) error { return nil }
		line := newTimeline()
		_ = c.wrap(nothing, 2)(t.Context()) // which empties the bucket
		began := make([]time.Duration, 2)
		var calls sync.WaitGroup
		for i, tokens := range []float64{2, 1} {
			calls.Go(func() {
				_ = c.wrap(nothing, tokens)(t.Context())
				began[i] = line.now()
			})
			time.Sleep(time.Second)
		}
		calls.Wait()
		return began
	}, ms(3000, 1000), ms(2000, 3000))
}

// The cap on the delay comes before jitter, which goes beyond it.
func TestMaxDelayCapsTheWait(t *testing.T) {
	s := settings{attempts: 2, delay: 100 * time.Millisecond, maxDelay: 100 * time.Millisecond, backoff: 1, jitter: [2]float64{1.5, 1.5}}
	surprise(t, s, func(t *testing.T, c contestant) []time.Duration {
		line := newTimeline()
		_ = c.wrap(line.marking(0, transientError{errBackend}), 1)(t.Context())
		return line.all()
	}, ms(0, 150), ms(0, 100))
}

// A jitter of 1 is silently none: those who failed together come back together.
func TestJitterOfOneSpreads(t *testing.T) {
	for _, jitter := range []any{1, 1.0} {
		s := settings{attempts: 2, delay: time.Second, backoff: 1, jitter: jitter}
		surprise(t, s, func(t *testing.T, c contestant) int {
			line := newTimeline()
			call := c.wrap(line.marking(0, transientError{errBackend}), 1)
			together(20, func() { _ = call(t.Context()) })
			again := line.all()[20:]
			if first, last := again[0], again[19]; first < 0 || last > 2*time.Second {
				t.Errorf("they come back from %v to %v", first, last)
			}
			return len(slices.Compact(again))
		}, 1, 20)
	}
}

// A jitter that makes no sense is none, too; of a range, the log says so. Ours is refused by New, with the name of the field.
func TestSenselessJitterIsRefused(t *testing.T) {
	for _, jitter := range []any{1.5, 2, [2]float64{2, 1}} {
		s := settings{attempts: 3, delay: time.Second, backoff: 1, jitter: jitter}
		retry := tollerRetry{delay: s.delay, jitter: jitter}
		for range 20 {
			same(t, "wait of the model of Toller", retry.spread(s.delay), time.Second)
		}
		_, err := dispatcher.New(s.config())
		fault, ok := errors.AsType[*policy.FieldError](err)
		if !ok || fault.Field != "Retry.Jitter" {
			t.Errorf("jitter %v: %v", jitter, err)
		}
	}
}

// The last error is an attribute of MaxRetriesExceeded, and not its cause: whoever looks for it among the causes finds nothing.
func TestLastErrorIsTheCause(t *testing.T) {
	s := settings{attempts: 2, delay: time.Second, backoff: 1, jitter: false}
	surprise(t, s, func(t *testing.T, c contestant) bool {
		err := c.wrap(func(context.Context) error { return transientError{errBackend} }, 1)(t.Context())
		_, found := errors.AsType[transientError](err)
		return found
	}, false, true)
}

// No wait can be bounded but by cutting off the whole call from outside, and so it sleeps although it can't be in time. Here, what
// would end too late ends at once, and the error tells that and what went wrong.
func TestWaitsAreBounded(t *testing.T) {
	type seen struct {
		after time.Duration
		late  bool // the error says that time is up
	}
	s := settings{attempts: 3, delay: 10 * time.Second, backoff: 1, jitter: false}
	var err error
	surprise(t, s, func(t *testing.T, c contestant) seen {
		line := newTimeline()
		bound, cancel := context.WithTimeout(t.Context(), 3*time.Second) // asyncio.wait_for
		defer cancel()
		err = c.wrap(func(context.Context) error { return transientError{errBackend} }, 1)(bound)
		return seen{line.now(), errors.Is(err, context.DeadlineExceeded)}
	}, seen{3 * time.Second, true}, seen{0, true})
	if _, told := errors.AsType[transientError](err); !told { // ours has run last
		t.Errorf("it does not tell what went wrong: %v", err)
	}
}

// Every Exception counts as a failure of the backend, the caller's own mistakes included: two bad requests close the door to all.
func TestBadRequestsOpenNothing(t *testing.T) {
	s := settings{threshold: 2, recovery: 30 * time.Second}
	surprise(t, s, func(t *testing.T, c contestant) string {
		call := c.wrap(func(context.Context) error { return fatalError{errors.New("prompt too short")} }, 1)
		for range 2 {
			_ = call(t.Context())
		}
		return c.state()
	}, "open", "closed")
}

// A call that began before the circuit opened, and ends while it is tested, is taken for the test.
func TestOldResultsDecideNothing(t *testing.T) {
	s := settings{threshold: 1, recovery: time.Second}
	surprise(t, s, func(t *testing.T, c contestant) string {
		old, bad, probe := newTimeline().marking(3*time.Second, nil), newTimeline().marking(0, errBackend), newTimeline().marking(9*time.Second, errBackend)
		var calls sync.WaitGroup
		calls.Go(func() { _ = c.wrap(old, 1)(t.Context()) })
		time.Sleep(time.Second)
		_ = c.wrap(bad, 1)(t.Context())
		time.Sleep(time.Second)
		calls.Go(func() { _ = c.wrap(probe, 1)(t.Context()) })
		time.Sleep(2 * time.Second) // the old call has ended, the probe still runs
		state := c.state()
		calls.Wait()
		return state
	}, "closed", "half-open")
}
