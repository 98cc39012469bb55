package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

func limiter(t *testing.T, limit policy.Limit) *dispatcher.Limiter {
	t.Helper()
	l, err := dispatcher.NewLimiter(limit)
	require.NoError(t, err)
	return l
}

func breakerAlone(t *testing.T, rule policy.Breaker) *dispatcher.Breaker {
	t.Helper()
	b, err := dispatcher.NewBreaker(rule)
	require.NoError(t, err)
	return b
}

// A limiter alone serves in order of arrival, a large amount before the small ones that came later (S-A5), and a new rate is
// felt by those who wait (S-L6).
func TestLimiterServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(2), Burst: 4})
		line := newTimeline()
		var callers sync.WaitGroup
		for _, tokens := range []float64{4, 3, 1, .5, 1.5} {
			callers.Go(func() {
				assert.NoError(t, l.Acquire(t.Context(), tokens))
				line.mark()
			})
			synctest.Wait()
		}
		time.Sleep(2250 * time.Millisecond) // 4 at once, 3 at 1.5 s, 1 at 2 s
		require.NoError(t, l.SetRate(policy.PerSecond(1)))
		callers.Wait() // .5 has come in at 2.25 s, and 1.5 more take as many seconds
		assert.Equal(t, ms(0, 1500, 2000, 2250, 3750), line.all())
		assert.Zero(t, l.Level())
		time.Sleep(time.Hour)
		assert.Equal(t, 4.0, l.Level())
	})
}

// S-A4: who gives up has taken nothing, and those behind move up.
func TestLimiterCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 1})
		line := newTimeline()
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, why)
		defer cancel()
		require.NoError(t, l.Acquire(ctx, 1))
		var callers sync.WaitGroup
		for range 19 {
			callers.Go(func() { assert.ErrorIs(t, l.Acquire(ctx, 1), why) })
		}
		synctest.Wait()
		callers.Go(func() {
			assert.NoError(t, l.Acquire(t.Context(), 1))
			line.mark()
		})
		callers.Wait()
		assert.Equal(t, seconds(1), line.all())
		assert.ErrorIs(t, l.Acquire(ctx, 1), why, "not even when it could")
	})
}

// Who won't wait is told when to come again; who comes while others wait is told that no time can tell.
func TestLimiterTryAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(2), Burst: 2})
		require.NoError(t, l.TryAcquire(2))
		var limited *dispatcher.LimitedError
		require.ErrorAs(t, l.TryAcquire(1.5), &limited)
		assert.Equal(t, &dispatcher.LimitedError{Limit: "calls", RetryAfter: 750 * time.Millisecond}, limited)
		assert.EqualError(t, limited, `limit "calls": not now, retry after 750ms`)
		time.Sleep(750 * time.Millisecond)
		require.NoError(t, l.TryAcquire(1.5))

		ctx, cancel := context.WithCancel(t.Context())
		var first sync.WaitGroup
		first.Go(func() { assert.ErrorIs(t, l.Acquire(ctx, 2), context.Canceled) })
		time.Sleep(500 * time.Millisecond)
		require.ErrorAs(t, l.TryAcquire(.5), &limited)
		assert.EqualError(t, limited, `limit "calls": not now`)
		cancel()
		first.Wait()
		assert.NoError(t, l.TryAcquire(1))
		synctest.Wait() // who was refused has said so, and may not have ended
		assert.Equal(t, 1, inBubble()-2, "nobody waits, and there is no goroutine")
	})
}

// What makes no sense is refused, and so is what is impossible, be it that it has become so.
func TestLimiterRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 10, Strict: true})
		require.NoError(t, l.Acquire(t.Context(), 10))
		var waiting sync.WaitGroup
		waiting.Go(func() { assert.ErrorContains(t, l.Acquire(t.Context(), 9), "at most the burst of 5") })
		synctest.Wait()
		require.NoError(t, l.SetBurst(5))
		waiting.Wait()
		var noCtx context.Context
		for _, err := range []error{
			l.Acquire(t.Context(), -1), l.TryAcquire(6), l.SetRate(policy.Rate{}), l.SetBurst(-1), l.Observe(-1),
			second(dispatcher.NewLimiter(policy.Limit{Name: "a", Rate: policy.PerSecond(1), PerKey: true})),
			second(dispatcher.NewLimiter(policy.Limit{Name: "a", Rate: policy.PerSecond(1), Settled: true})),
			second(dispatcher.NewLimiter(policy.Limit{Name: "a"})),
		} {
			assert.ErrorIs(t, err, policy.ErrInvalid)
		}
		assert.ErrorIs(t, l.Acquire(noCtx, 1), dispatcher.ErrNilContext)
		assert.Equal(t, 5.0, l.Limit().Burst)
		require.NoError(t, l.Observe(0))
		assert.Zero(t, l.Level())
		var zero dispatcher.Limiter
		for _, err := range []error{zero.Acquire(t.Context(), 1), zero.TryAcquire(1), zero.SetRate(policy.PerSecond(1)), zero.SetBurst(1), zero.Observe(1)} {
			assert.ErrorIs(t, err, dispatcher.ErrNilLimiter)
		}
		assert.Zero(t, zero.Level())
		assert.Zero(t, zero.Limit())
	})
}

// A breaker alone: it trips, turns away, is tested by one, and closes (S-B2, S-B3, S-B5); the error says when, and why.
func TestBreakerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerAlone(t, policy.Breaker{FailureThreshold: 2, RecoveryTimeout: 10 * time.Second})
		calls := 0
		call := func(err error) error {
			return b.Do(t.Context(), func(context.Context) error { calls++; return err })
		}
		require.NoError(t, call(nil))
		for _, neutral := range []error{policy.Fatal(errBackend), policy.Neutral(errBackend), policy.Throttled(errBackend, time.Hour), errBackend} {
			assert.Equal(t, neutral, call(neutral)) // the last one counts, and one is not enough
		}
		assert.Equal(t, policy.Closed, b.State())
		assert.Equal(t, errBackend, call(errBackend))
		assert.Equal(t, policy.Open, b.State())
		time.Sleep(4 * time.Second)
		var open *policy.OpenCircuitError
		require.ErrorAs(t, call(nil), &open)
		assert.Equal(t, &policy.OpenCircuitError{RetryAfter: 6 * time.Second, Cause: errBackend}, open)
		assert.Equal(t, 6, calls)

		time.Sleep(6 * time.Second)
		assert.Equal(t, policy.HalfOpen, b.State())
		err := b.Do(t.Context(), func(context.Context) error {
			assert.ErrorAs(t, call(nil), &open, "one is enough to test it")
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, policy.Closed, b.State())
		require.NoError(t, call(nil))
	})
}

// S-B3, S-F7: a probe that panics, ends its goroutine, hangs or is canceled is none: the next one tests the circuit.
func TestBreakerAloneLosesNoProbe(t *testing.T) {
	for name, probe := range map[string]func(ctx context.Context, cancel func()) error{
		"panic":  func(context.Context, func()) error { panic("boom") },
		"Goexit": func(context.Context, func()) error { runtime.Goexit(); return nil },
		"hang":   func(context.Context, func()) error { time.Sleep(time.Hour); return errBackend },
		"cancel": func(ctx context.Context, cancel func()) error { cancel(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breakerAlone(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Second, ProbeTimeout: time.Minute})
				require.Error(t, b.Do(t.Context(), func(context.Context) error { return errBackend }))
				time.Sleep(time.Second)
				go func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					_ = b.Do(ctx, func(ctx context.Context) error { return probe(ctx, cancel) })
				}()
				time.Sleep(2 * time.Minute)
				require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
				assert.Equal(t, policy.Closed, b.State())
				time.Sleep(2 * time.Hour) // what hangs ends, and changes nothing
				assert.Equal(t, policy.Closed, b.State())
			})
		})
	}
}

// S-B7: a call can wait for the circuit to close; it gives up with its context.
func TestBreakerAloneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerAlone(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Second, WhenOpen: policy.Wait})
		require.Error(t, b.Do(t.Context(), func(context.Context) error { return errBackend }))
		line := newTimeline()
		why := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, why)
		defer cancel()
		assert.ErrorIs(t, b.Do(ctx, func(context.Context) error { return nil }), why)
		require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
		assert.Equal(t, time.Second, line.now())
		assert.ErrorIs(t, b.Do(ctx, func(context.Context) error { return nil }), why)
	})
}

// S-B11: a person's word, and what makes no sense.
func TestBreakerAloneByHand(t *testing.T) {
	b := breakerAlone(t, policy.Breaker{FailureThreshold: 1})
	good := func(context.Context) error { return nil }
	b.ForceOpen()
	var open *policy.OpenCircuitError
	require.ErrorAs(t, b.Do(t.Context(), good), &open)
	assert.Negative(t, open.RetryAfter, "only Reset can tell")
	b.Reset()
	require.NoError(t, b.Do(t.Context(), good))
	for _, keep := range []func(){b.ForceClosed, b.Disable} {
		keep()
		for range 3 {
			require.ErrorIs(t, b.Do(t.Context(), func(context.Context) error { return errBackend }), errBackend)
		}
	}
	var zero dispatcher.Breaker
	var noCtx context.Context
	assert.ErrorIs(t, zero.Do(t.Context(), good), dispatcher.ErrNilBreaker)
	assert.ErrorIs(t, b.Do(noCtx, good), dispatcher.ErrNilContext)
	assert.ErrorIs(t, b.Do(t.Context(), nil), dispatcher.ErrNilFunc)
	assert.ErrorIs(t, second(dispatcher.NewBreaker(policy.Breaker{FailureThreshold: -1})), policy.ErrInvalid)
	zero.Reset()
	assert.Equal(t, policy.Closed, zero.State())
}

// Limiters and breakers are used from many goroutines (for the race detector).
func TestAloneUnderLoad(t *testing.T) {
	l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1e6), Burst: 10})
	b := breakerAlone(t, policy.Breaker{FailureThreshold: 5, RecoveryTimeout: time.Microsecond})
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			for n := range 500 {
				assert.NoError(t, l.Acquire(t.Context(), float64(1+n%3)))
				_ = b.Do(t.Context(), func(context.Context) error {
					if n%10 < i {
						return errBackend
					}
					return nil
				})
				b.State()
			}
		})
	}
	users.Wait()
}

// S-B6: a circuit that recovers lets one call more through for each that succeeds. To the others it is as if it was open still.
func TestBreakerAloneRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerAlone(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
		fail := func(context.Context) error { return errBackend }
		well := func(context.Context) error { return nil }
		require.ErrorIs(t, b.Do(t.Context(), fail), errBackend)
		var open *policy.OpenCircuitError
		require.ErrorAs(t, b.Do(t.Context(), well), &open)
		assert.Equal(t, policy.OpenCircuitError{RetryAfter: 10 * time.Second, Cause: errBackend}, *open)
		time.Sleep(10 * time.Second)
		require.NoError(t, b.Do(t.Context(), well))
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() {
				assert.NoError(t, b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil }))
			})
		}
		synctest.Wait()
		require.ErrorAs(t, b.Do(t.Context(), well), &open)
		assert.Equal(t, policy.OpenCircuitError{}, *open, "whose failure it was does not matter any more")
		calls.Wait()
		require.NoError(t, b.Do(t.Context(), well))
		b.ForceOpen()
		require.ErrorAs(t, b.Do(t.Context(), well), &open)
		assert.NoError(t, open.Cause)
	})
}

// S-L4: who waits for more than a strict limit allows is told so, unless it allows it again by then. Nothing is had for nothing.
func TestLimiterChangedTwice(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 10, Strict: true})
			require.NoError(t, l.Acquire(t.Context(), 10))
			line := newTimeline()
			told := make(chan error)
			go func() { told <- l.Acquire(t.Context(), 9) }()
			synctest.Wait()
			require.NoError(t, l.SetBurst(5))
			require.NoError(t, l.SetBurst(20))
			if err := <-told; err != nil {
				assert.ErrorIs(t, err, policy.ErrInvalid)
			} else {
				assert.Equal(t, 9*time.Second, line.now())
			}
		})
	}
}

// A context that panics when a wait begins leaves nobody in the line, and no lock held.
func TestLimiterContextPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 1})
		require.NoError(t, l.Acquire(t.Context(), 1))
		touchy := &touchyContext{Context: t.Context(), what: "Done"}
		touchy.nth.Store(1)
		assert.PanicsWithError(t, errOwn.Error(), func() { _ = l.Acquire(touchy, 1) })
		line := newTimeline()
		require.NoError(t, l.Acquire(t.Context(), 1))
		assert.Equal(t, time.Second, line.now())
	})
}
