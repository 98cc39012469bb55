package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// recovery is how long the circuits in these tests stay open.
const recovery = 30 * time.Second

func breaker(threshold int) policy.Breaker {
	return policy.Breaker{FailureThreshold: threshold, RecoveryTimeout: recovery}
}

// circuit is the snapshot of a key; of a new one when there is nothing to tell.
func circuit(d *dispatcher.Dispatcher, key string) (state policy.State, retryIn time.Duration) {
	for _, k := range snapshot(d).Keys {
		if k.Key == key {
			return k.Circuit, k.RetryIn
		}
	}
	return policy.Closed, 0
}

// trip opens a key's circuit with one failure, and takes no time.
func trip(t *testing.T, d *dispatcher.Dispatcher, options ...dispatcher.Option) {
	t.Helper()
	options = append(options, dispatcher.WithRetry(policy.Retry{}))
	failure(t, submit(t, d, newTimeline().marking(0, errBackend), options...))
}

// openCircuit is the error of a job that would not wait.
func openCircuit(t *testing.T, err error) *policy.OpenCircuitError {
	t.Helper()
	var open *policy.OpenCircuitError
	require.ErrorAs(t, err, &open)
	return open
}

// The whole life of a circuit, on time (S-B1, S-B5, S-B10).
func TestBreakerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 8, Breaker: breaker(3)})
		line := newTimeline()
		key := dispatcher.WithKey("k")
		for i := range 3 { // a failure a second
			state, _ := circuit(d, "k")
			assert.Equal(t, policy.Closed, state, "after %d failures", i)
			failure(t, submit(t, d, newTimeline().marking(time.Second, errBackend), key))
		}
		state, in := circuit(d, "k")
		assert.Equal(t, policy.Open, state)
		assert.Equal(t, recovery, in)

		var waiting []*job.Future[int]
		for range 20 {
			waiting = append(waiting, submit(t, d, line.marking(time.Second, nil), key))
		}
		time.Sleep(recovery - 1)
		state, in = circuit(d, "k")
		assert.Equal(t, policy.Open, state)
		assert.Equal(t, time.Duration(1), in)
		assert.Empty(t, line.all())

		time.Sleep(time.Nanosecond)
		synctest.Wait()
		state, in = circuit(d, "k")
		assert.Equal(t, policy.HalfOpen, state)
		assert.Zero(t, in)
		assert.Equal(t, 1, snapshot(d).Running, "one probe")

		for _, f := range waiting {
			n, err := await(t, f)
			require.NoError(t, err)
			assert.Positive(t, n)
		}
		// A probe, 33 s after the beginning, that takes a second; then the ramp: two at a time, four, eight, until it's over.
		probe := 3*time.Second + recovery
		var want []time.Duration
		for i, n := range []int{1, 2, 4, 8, 5} {
			for range n {
				want = append(want, probe+time.Duration(i)*time.Second)
			}
		}
		assert.Equal(t, want, line.all())
		state, _ = circuit(d, "k")
		assert.Equal(t, policy.Closed, state)
	})
}

// A success ends a row of failures; what is neutral does not (S-B2).
func TestBreakerCountsInARow(t *testing.T) {
	for _, c := range []struct {
		name string
		end  error
		open bool
	}{
		{"a success between", nil, false},
		{"fatal between", policy.Fatal(errBackend), true},
		{"neutral between", policy.Neutral(errBackend), true},
		{"throttled between", policy.Throttled(errBackend, 0), true},
		{"canceled between", context.Canceled, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Breaker: breaker(2)})
				for _, end := range []error{errBackend, c.end, errBackend} {
					submit(t, d, newTimeline().marking(0, end))
					require.NoError(t, d.WaitIdle(context.Background()))
				}
				state, _ := circuit(d, "")
				assert.Equal(t, c.open, state == policy.Open)
			})
		})
	}
}

// Own cancellations, panics and Goexit say nothing about the backend, however many there are (S-B2).
func TestBreakerIgnoresOurOwnEnds(t *testing.T) {
	for name, fn := range map[string]job.Func[int]{
		"panic":  func(context.Context) (int, error) { panic("oh") },
		"Goexit": func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"fatal":  func(context.Context) (int, error) { return 0, policy.Fatal(errBackend) },
		"cancel": func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, errBackend },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Breaker: breaker(1)})
				for range 6 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					future, err := dispatcher.Submit(ctx, d, fn)
					require.NoError(t, err)
					failure(t, future)
					cancel()
				}
				require.NoError(t, d.WaitIdle(context.Background()))
				state, _ := circuit(d, "")
				assert.Equal(t, policy.Closed, state)
			})
		})
	}
}

// The attempt's timeout is the backend's failure.
func TestBreakerCountsTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(2), Timeout: time.Second})
		for range 2 {
			failure(t, submit(t, d, newTimeline().marking(time.Hour, nil)))
		}
		state, _ := circuit(d, "")
		assert.Equal(t, policy.Open, state)
	})
}

// Jobs that wait for an open circuit use up no attempts, and neither do their failed probes (S-B7).
func TestBreakerWaitingUsesNoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1), Retry: exact(2, time.Second)})
		trip(t, d)
		line := newTimeline()
		transient := policy.Transient(errBackend)
		// Three failed probes, a good one that the job ends with.
		value, err := await(t, submit(t, d, script(line, transient, transient, transient)))
		require.NoError(t, err)
		assert.Equal(t, 4, value)
		assert.Equal(t, seconds(30, 60, 90, 120), line.all())
	})
}

// What the error says of the attempts is what the rule has counted: failed probes are not among them.
func TestBreakerProbesNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1), Retry: exact(2, time.Second)})
		trip(t, d)
		line := newTimeline()
		future := submit(t, d, script(line, times(9, policy.Transient(errBackend))...))
		time.Sleep(recovery + 500*time.Millisecond) // the first probe has failed: not counted
		d.Reset("")
		time.Sleep(time.Second) // it has failed, and opened the circuit: counted
		d.Reset("")
		failed := failure(t, future) // and once more
		assert.Equal(t, seconds(30, 31, 32), line.all())
		assert.Equal(t, 3, failed.Attempts)
		var used *job.MaxRetriesExceededError
		require.ErrorAs(t, failed, &used)
		assert.Equal(t, 2, used.Attempts)
	})
}

// Those that somebody waits for fail at once (S-B7).
func TestBreakerFailsFast(t *testing.T) {
	line := newTimeline
	calls := map[string]func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error{
		"Do": func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error {
			_, err := dispatcher.Do(ctx, d, line().marking(0, nil), options...)
			return err
		},
		"Wrap": func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error {
			_, err := dispatcher.Wrap(d, func(context.Context, int) (int, error) { return 0, nil }, options...)(ctx, 1)
			return err
		},
		"TrySubmit": func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error {
			future, err := dispatcher.TrySubmit(ctx, d, line().marking(0, nil), options...)
			if err != nil {
				return errors.New("the error comes through the future, not from TrySubmit")
			}
			_, err = future.Await(ctx)
			return err
		},
		"Submit": func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error {
			future, err := dispatcher.Submit(ctx, d, line().marking(0, nil), options...)
			if err != nil {
				return err
			}
			_, err = future.Await(ctx)
			return err
		},
		"Go": func(ctx context.Context, d *dispatcher.Dispatcher, options ...dispatcher.Option) error {
			future, err := dispatcher.Go(ctx, d, func(context.Context) error { return nil }, options...)
			if err != nil {
				return err
			}
			_, err = future.Await(ctx)
			return err
		},
	}
	for name, call := range calls {
		byCall := name == "Do" || name == "Wrap" || name == "TrySubmit"
		for _, c := range []struct {
			rule   policy.WhenOpen
			option []dispatcher.Option
			fast   bool
		}{
			{policy.ByCall, nil, byCall},
			{policy.FailFast, nil, true},
			{policy.Wait, nil, false},
			{policy.FailFast, []dispatcher.Option{dispatcher.WithWhenOpen(policy.Wait)}, false},
			{policy.Wait, []dispatcher.Option{dispatcher.WithWhenOpen(policy.FailFast)}, true},
			{policy.Wait, []dispatcher.Option{dispatcher.WithWhenOpen(policy.ByCall)}, byCall},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rule := breaker(1)
					rule.WhenOpen = c.rule
					d := open(t, dispatcher.Config{Breaker: rule, Limits: []policy.Limit{perSecond(0.001, 10)}})
					trip(t, d, dispatcher.WithKey("k"))
					time.Sleep(10 * time.Second)
					start := newTimeline()
					before := level(t, d)
					err := call(context.Background(), d, append(c.option, dispatcher.WithKey("k"))...)
					if !c.fast {
						require.NoError(t, err)
						assert.Equal(t, recovery-10*time.Second, start.now(), "it waits, and is the probe")
						return
					}
					assert.Zero(t, start.now())
					open := openCircuit(t, err)
					assert.Equal(t, "k", open.Key)
					assert.Equal(t, recovery-10*time.Second, open.RetryAfter)
					assert.Equal(t, errBackend, open.Cause)
					assert.ErrorIs(t, err, policy.ErrOpenCircuit)
					assert.ErrorIs(t, err, errBackend)
					assert.Zero(t, asJobError(t, err).Attempts)
					assert.InDelta(t, before, level(t, d), 1e-9, "a rejected job uses no tokens (S-A2)")
				})
			})
		}
	}
}

// A thousand jobs rejected by an open circuit use up no tokens (S-A2).
func TestBreakerRejectionsTakeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1), Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: 10}}})
		trip(t, d)
		for range 1000 {
			_, err := dispatcher.Do(context.Background(), d, newTimeline().marking(0, nil))
			openCircuit(t, err)
		}
		assert.Equal(t, 9.0, level(t, d))
		state, in := circuit(d, "")
		assert.Equal(t, policy.Open, state)
		assert.Equal(t, recovery, in, "rejections are no failures (S-B8)")
	})
}

// Half open with its probe out is as good as open for those who won't wait; RetryAfter is when the probe's lease ends.
func TestBreakerFailsFastBehindProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := breaker(1)
		rule.ProbeTimeout = 7 * time.Second
		d := open(t, dispatcher.Config{Breaker: rule})
		trip(t, d)
		probe := submit(t, d, newTimeline().marking(5*time.Second, nil))
		time.Sleep(recovery + 2*time.Second)
		state, _ := circuit(d, "")
		require.Equal(t, policy.HalfOpen, state)
		_, err := dispatcher.Do(context.Background(), d, newTimeline().marking(0, nil))
		open := openCircuit(t, err)
		assert.Equal(t, 5*time.Second, open.RetryAfter)
		assert.Equal(t, errBackend, open.Cause)
		_, err = await(t, probe)
		require.NoError(t, err)
		_, err = dispatcher.Do(context.Background(), d, newTimeline().marking(0, nil))
		assert.NoError(t, err, "closed")
	})
}

// Those that were queued before the circuit opened, and won't wait, fail when it opens.
func TestBreakerFailsFastWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Breaker: breaker(1)})
		line := newTimeline()
		submit(t, d, line.marking(3*time.Second, errBackend))
		fast, err := dispatcher.TrySubmit(context.Background(), d, line.marking(0, nil))
		require.NoError(t, err)
		failed := failure(t, fast)
		assert.Equal(t, 3*time.Second, line.now())
		open := openCircuit(t, failed)
		assert.Equal(t, recovery, open.RetryAfter)
		assert.Equal(t, errBackend, open.Cause)
		assert.Equal(t, ms(0), line.all())
	})
}

// A job whose own failure opens the circuit, and that would not wait, ends with both: the circuit and what it returned.
func TestBreakerFailsFastAfterOwnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(2), Retry: exact(5, time.Second)})
		line := newTimeline()
		_, err := dispatcher.Do(context.Background(), d, line.marking(0, policy.Transient(errBackend)))
		assert.Equal(t, seconds(0, 1), line.all())
		assert.Equal(t, time.Second, line.now())
		openCircuit(t, err)
		failed := asJobError(t, err)
		assert.Equal(t, 2, failed.Attempts)
		assert.ErrorIs(t, failed.Last, errBackend)
		assert.Len(t, failed.History.First, 2)
	})
}

// Ends of attempts that began in an earlier generation change nothing (S-B4).
func TestBreakerIgnoresEarlierGenerations(t *testing.T) {
	late := func(end error, takes time.Duration) (fn job.Func[int]) {
		return func(context.Context) (int, error) { time.Sleep(takes); return 0, end }
	}
	t.Run("a success while open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Breaker: breaker(1)})
			submit(t, d, late(nil, 10*time.Second))
			synctest.Wait() // it runs, or it would be called back
			trip(t, d)
			time.Sleep(20 * time.Second)
			state, in := circuit(d, "")
			assert.Equal(t, policy.Open, state)
			assert.Equal(t, recovery-20*time.Second, in)
		})
	})
	t.Run("a failure while open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Breaker: breaker(1)})
			submit(t, d, late(errBackend, 10*time.Second))
			synctest.Wait() // it runs, or it would be called back
			trip(t, d)
			time.Sleep(20 * time.Second)
			_, in := circuit(d, "")
			assert.Equal(t, recovery-20*time.Second, in, "one outage is one trip (S-B6)")
		})
	})
	t.Run("while half open", func(t *testing.T) {
		for _, end := range []error{nil, errBackend} {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Breaker: breaker(1)})
				submit(t, d, late(end, recovery+5*time.Second))
				synctest.Wait() // it runs, or it would be called back
				trip(t, d)
				line := newTimeline()
				probe := submit(t, d, line.marking(10*time.Second, nil))
				time.Sleep(recovery + 6*time.Second)
				state, _ := circuit(d, "")
				assert.Equal(t, policy.HalfOpen, state)
				_, err := await(t, probe)
				require.NoError(t, err)
				state, _ = circuit(d, "")
				assert.Equal(t, policy.Closed, state)
				assert.Equal(t, recovery+10*time.Second, line.now())
			})
		}
	})
	t.Run("after it has closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Breaker: breaker(1)})
			submit(t, d, late(errBackend, recovery+5*time.Second))
			synctest.Wait() // it runs, or it would be called back
			trip(t, d)
			_, err := await(t, submit(t, d, newTimeline().marking(0, nil)))
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
			require.Zero(t, snapshot(d).Running)
			state, _ := circuit(d, "")
			assert.Equal(t, policy.Closed, state)
		})
	})
	t.Run("before a reset", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Breaker: breaker(1)})
			submit(t, d, late(errBackend, 5*time.Second))
			synctest.Wait()
			d.Reset("")
			time.Sleep(10 * time.Second)
			state, _ := circuit(d, "")
			assert.Equal(t, policy.Closed, state, "manual transitions start a generation as well")
		})
	})
}

// Every way out of a probe returns its lease, so the circuit closes in the end (S-B3).
func TestBreakerProbeWaysOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		probe job.Func[int]
		next  time.Duration // when the next probe starts
	}{
		{"panic", func(context.Context) (int, error) { time.Sleep(time.Second); panic("oh") }, recovery + time.Second},
		{"Goexit", func(context.Context) (int, error) { time.Sleep(time.Second); runtime.Goexit(); return 0, nil }, recovery + time.Second},
		{"neutral", func(context.Context) (int, error) { time.Sleep(time.Second); return 0, policy.Fatal(errBackend) }, recovery + time.Second},
		{
			"throttled", func(context.Context) (int, error) { time.Sleep(time.Second); return 0, policy.Throttled(errBackend, 0) },
			recovery + time.Second,
		},
		{"failure", func(context.Context) (int, error) { time.Sleep(time.Second); return 0, errBackend }, 2*recovery + time.Second},
		{"canceled, and it heeds that", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, recovery + 2*time.Second},
		{
			"canceled, and it returns later", func(ctx context.Context) (int, error) { time.Sleep(4 * time.Second); return 0, errBackend },
			recovery + 4*time.Second,
		},
		{
			"hangs past its lease", func(context.Context) (int, error) { time.Sleep(3 * time.Minute); return 0, nil },
			recovery + 10*time.Second + recovery,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule := breaker(1)
				rule.ProbeTimeout = 10 * time.Second
				d := open(t, dispatcher.Config{Breaker: rule})
				trip(t, d)
				line := newTimeline()
				ctx, cancel := context.WithTimeout(context.Background(), recovery+2*time.Second)
				defer cancel()
				probe, err := dispatcher.Submit(ctx, d, c.probe)
				require.NoError(t, err)
				next := submit(t, d, line.marking(0, nil))
				_, err = await(t, next)
				require.NoError(t, err)
				// A throttle cools the key down for a while, though no more than a jitter's worth.
				if c.name == "throttled" {
					assert.InDelta(t, c.next, line.now(), float64(100*time.Millisecond))
				} else {
					assert.Equal(t, c.next, line.now())
				}
				failure(t, probe)
				require.NoError(t, d.WaitIdle(context.Background()))
				state, _ := circuit(d, "")
				assert.Equal(t, policy.Closed, state)
				assert.Zero(t, snapshot(d).Running)
			})
		})
	}
}

// A probe that was admitted and never ran returns its lease as well (S-B3, S-B8).
func TestBreakerProbeUnstarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1)})
		trip(t, d)
		line := newTimeline()
		probe, err := dispatcher.Submit(&fleeting{Context: context.Background(), ending: 2}, d, line.naming("probe", 0, nil))
		require.NoError(t, err)
		next := submit(t, d, line.naming("next", 0, nil))
		_, err = await(t, next)
		require.NoError(t, err)
		assert.ErrorIs(t, failure(t, probe), job.ErrCanceled)
		assert.Equal(t, []string{"next"}, line.order())
		assert.Equal(t, recovery, line.now())
	})
}

// At most Probes probes at a time; Successes of them close the circuit, and one bad one opens it again (S-B5).
func TestBreakerProbes(t *testing.T) {
	for _, c := range []struct {
		name   string
		ends   []error // of the probes, in the order in which they start; then all is well
		starts []time.Duration
	}{
		// Two at a time. The third success closes the circuit, and the ramp begins at three; the fourth probe is history.
		{"all well", nil, seconds(30, 30, 31, 31, 32, 32, 32, 33)},
		{"one fails", []error{nil, errBackend}, ms(30000, 30000, 60500, 60500, 61500, 61500, 62500, 62500)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule := breaker(1)
				rule.Probes, rule.Successes = 2, 3
				d := open(t, dispatcher.Config{Breaker: rule})
				trip(t, d)
				line := newTimeline()
				var started atomic.Int32
				for range len(c.starts) {
					submit(t, d, func(ctx context.Context) (int, error) {
						line.mark()
						n := int(started.Add(1))
						if n <= len(c.ends) && c.ends[n-1] != nil {
							return 0, wait(ctx, 500*time.Millisecond, c.ends[n-1]) // the first to end
						}
						return 0, wait(ctx, time.Second, nil)
					})
				}
				require.NoError(t, d.WaitIdle(context.Background()))
				assert.Equal(t, c.starts, line.all())
			})
		})
	}
}

// Unusable opens the key until a reset, even where no breaker is configured (S-B2).
func TestBreakerUnusable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		key := dispatcher.WithKey("account")
		refused := policy.Unusable(errBackend)
		failed := failure(t, submit(t, d, newTimeline().marking(0, refused), key))
		assert.ErrorIs(t, failed.Reason, job.ErrFailed)
		assert.ErrorIs(t, failed, errBackend)

		line := newTimeline()
		waits := submit(t, d, line.marking(0, nil), key)
		_, err := dispatcher.Do(context.Background(), d, line.marking(0, nil), key)
		open := openCircuit(t, err)
		assert.Equal(t, "account", open.Key)
		assert.Negative(t, open.RetryAfter)
		assert.ErrorIs(t, open.Cause, errBackend)
		assert.ErrorContains(t, err, "until it is reset")

		time.Sleep(time.Hour)
		state, in := circuit(d, "account")
		assert.Equal(t, policy.Open, state)
		assert.Negative(t, in)
		assert.False(t, settled(waits))
		_, err = dispatcher.Do(context.Background(), d, line.marking(0, nil), dispatcher.WithKey("other"))
		require.NoError(t, err)

		d.Reset("account")
		_, err = await(t, waits)
		require.NoError(t, err)
		assert.Equal(t, time.Hour, line.now())
		_, err = dispatcher.Do(context.Background(), d, line.marking(0, nil), key)
		assert.NoError(t, err)
	})
}

func TestBreakerUnusableReprobe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: policy.Breaker{Reprobe: 10 * time.Minute}})
		failure(t, submit(t, d, newTimeline().marking(0, policy.Unusable(errBackend))))
		line := newTimeline()
		_, err := await(t, submit(t, d, line.marking(0, nil)))
		require.NoError(t, err)
		assert.Equal(t, 10*time.Minute, line.now())
	})
}

// Reset closes a circuit at once, and forgets the failures that have been counted.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(2)})
		trip(t, d)
		d.Reset("")
		trip(t, d)
		state, _ := circuit(d, "")
		assert.Equal(t, policy.Closed, state, "it counts from new")
		trip(t, d)
		state, _ = circuit(d, "")
		assert.Equal(t, policy.Open, state)

		line := newTimeline()
		var all []*job.Future[int]
		for range 10 {
			all = append(all, submit(t, d, line.marking(0, nil)))
		}
		time.Sleep(5 * time.Second)
		d.Reset("")
		d.Reset("a key that nobody knows")
		for _, f := range all {
			_, err := await(t, f)
			require.NoError(t, err)
		}
		assert.Equal(t, 5*time.Second, line.now(), "as if it were new: without a ramp")
	})
}

// One key's circuit is its own.
func TestBreakerPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1), Workers: 1})
		trip(t, d, dispatcher.WithKey("bad"))
		line := newTimeline()
		waits := submit(t, d, line.naming("bad", 0, nil), dispatcher.WithKey("bad"))
		for range 3 {
			submit(t, d, line.naming("good", time.Second, nil), dispatcher.WithKey("good"))
		}
		_, err := await(t, waits)
		require.NoError(t, err)
		assert.Equal(t, []string{"good", "good", "good", "bad"}, line.order())
		assert.Equal(t, seconds(0, 1, 2, 30), line.all())
	})
}

// A job that waits for a circuit still has its deadline.
func TestBreakerWaitEndsAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1)})
		trip(t, d)
		line := newTimeline()
		failed := failure(t, submit(t, d, line.marking(0, nil), dispatcher.WithDeadline(time.Now().Add(10*time.Second))))
		assert.ErrorIs(t, failed, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, line.now())
		assert.Empty(t, line.all())
	})
}
