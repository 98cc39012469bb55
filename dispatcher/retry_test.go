package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
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

func TestRetryChain(t *testing.T) {
	transient := policy.Transient(errBackend)
	for _, c := range []struct {
		name   string
		retry  policy.Retry
		takes  time.Duration // each attempt
		starts []time.Duration
		reason error
	}{
		{"off, though the error may pass (S-R13)", policy.Retry{}, 0, ms(0), job.ErrFailed},
		{"one attempt is no retry (S-R1)", exact(1, time.Second), 0, ms(0), job.ErrMaxRetriesExceeded},
		{"fixed", exact(4, time.Second), 0, seconds(0, 1, 2, 3), job.ErrMaxRetriesExceeded},
		{"fixed, counted from the end of an attempt", exact(3, time.Second), 250 * time.Millisecond, ms(0, 1250, 2500), job.ErrMaxRetriesExceeded},
		{
			"the defaults, without jitter", policy.Retry{MaxAttempts: 4, Jitter: policy.NoJitter}, 0,
			ms(0, 100, 300, 700), job.ErrMaxRetriesExceeded,
		},
		{
			"exponential", policy.Retry{MaxAttempts: 5, Delay: 200 * time.Millisecond, Backoff: 3, Jitter: policy.NoJitter}, 0,
			ms(0, 200, 800, 2600, 8000), job.ErrMaxRetriesExceeded,
		},
		{
			"capped by MaxDelay (S-R2)",
			policy.Retry{MaxAttempts: 6, Delay: 200 * time.Millisecond, Backoff: 3, MaxDelay: time.Second, Jitter: policy.NoJitter}, 0,
			ms(0, 200, 800, 1800, 2800, 3800), job.ErrMaxRetriesExceeded,
		},
		{
			"MaxElapsed, reached exactly (S-R7)",
			policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Jitter: policy.NoJitter, MaxElapsed: 700 * time.Millisecond}, 0,
			ms(0, 100, 300), job.ErrMaxElapsed,
		},
		{
			"MaxElapsed, not quite reached (S-R7)",
			policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Jitter: policy.NoJitter, MaxElapsed: 701 * time.Millisecond}, 0,
			ms(0, 100, 300, 700), job.ErrMaxElapsed,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Retry: c.retry})
				line := newTimeline()
				failed := failure(t, submit(t, d, line.marking(c.takes, transient)))
				assert.Equal(t, c.starts, line.all())
				assert.Equal(t, c.starts[len(c.starts)-1]+c.takes, line.now(), "it is decided before the wait, not after it (S-R6)")
				assert.ErrorIs(t, failed.Reason, c.reason)
				assert.ErrorIs(t, failed, errBackend)
				assert.Equal(t, len(c.starts), failed.Attempts)
			})
		})
	}
}

func TestRetrySucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(5, time.Second)})
		line := newTimeline()
		value, err := await(t, submit(t, d, script(line, times(3, policy.Transient(errBackend))...)))
		require.NoError(t, err)
		assert.Equal(t, 4, value)
		assert.Equal(t, seconds(0, 1, 2, 3), line.all())
	})
}

// The cap is a cap after jitter (S-R2), and jitter stays within its bounds.
func TestRetryJitter(t *testing.T) {
	for _, c := range []struct {
		name           string
		jitter         policy.Jitter
		least, longest time.Duration
	}{
		{"full", policy.FullJitter, 0, 4 * time.Second},
		{"equal", policy.EqualJitter, 2 * time.Second, 4 * time.Second},
		{"fraction", policy.JitterFraction(0.5), 2 * time.Second, 4 * time.Second},
		{"range", policy.JitterRange(0.25, 8), time.Second, 4 * time.Second},
		{"decorrelated", policy.DecorrelatedJitter, 4 * time.Second, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Seed: 7, Retry: policy.Retry{
					MaxAttempts: 50, Delay: 4 * time.Second, MaxDelay: 4 * time.Second, Backoff: 1, Jitter: c.jitter,
				}})
				line := newTimeline()
				failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend))))
				starts := line.all()
				require.Len(t, starts, 50)
				for i := range starts[1:] {
					gap := starts[i+1] - starts[i]
					assert.GreaterOrEqual(t, gap, c.least)
					assert.LessOrEqual(t, gap, c.longest)
				}
			})
		})
	}
}

// The same seed gives the same waits (S-T1).
func TestRetrySeed(t *testing.T) {
	starts := func(seed uint64) (list []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Seed: seed, Retry: policy.Retry{MaxAttempts: 10}})
			line := newTimeline()
			failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend))))
			list = line.all()
		})
		return list
	}
	once, again := starts(1), starts(1)
	assert.Equal(t, once, again)
	assert.NotEqual(t, starts(1), starts(2))
}

// However many attempts there have been, a wait is neither negative nor beyond its cap (S-R5).
func TestRetrySaturates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const attempts = 400 // 1e300 ns × 1e10^n overflows a float64 long before
		d := open(t, dispatcher.Config{Retry: policy.Retry{
			MaxAttempts: attempts, Delay: time.Millisecond, MaxDelay: 2 * time.Millisecond, Backoff: math.MaxFloat64, Jitter: policy.NoJitter,
		}})
		line := newTimeline()
		failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend))))
		starts := line.all()
		require.Len(t, starts, attempts)
		assert.Equal(t, time.Millisecond, starts[1])
		for i := range starts[2:] {
			assert.Equal(t, 2*time.Millisecond, starts[i+2]-starts[i+1])
		}
	})
}

// A server's hint is a floor (S-R4).
func TestRetryHint(t *testing.T) {
	const hint = 10 * time.Second
	noJitter := func(wait time.Duration) policy.Retry { return exact(2, wait) }
	for _, c := range []struct {
		name           string
		retry          policy.Retry
		least, longest time.Duration // of the wait; 0, 0: there is none
		reason         error
	}{
		{"longer than the backoff", noJitter(time.Second), hint, hint + hint/10, job.ErrMaxRetriesExceeded},
		{"shorter than the backoff", noJitter(20 * time.Second), 20 * time.Second, 20 * time.Second, job.ErrMaxRetriesExceeded},
		{"with full jitter", policy.Retry{MaxAttempts: 2, Delay: hint}, hint, hint + hint/10, job.ErrMaxRetriesExceeded},
		{
			"beyond MaxDelay", policy.Retry{MaxAttempts: 2, Delay: time.Second, MaxDelay: time.Second}, hint, hint + hint/10,
			job.ErrMaxRetriesExceeded,
		},
		{"beyond MaxHint: fails", policy.Retry{MaxAttempts: 2, MaxHint: hint - 1}, 0, 0, job.ErrHintTooLong},
		{
			"beyond MaxHint: waits", policy.Retry{MaxAttempts: 2, MaxHint: hint - 1, BeyondMaxHint: policy.HintWaits}, hint, hint + hint/10,
			job.ErrMaxRetriesExceeded,
		},
		{
			"beyond MaxHint: capped", policy.Retry{MaxAttempts: 2, MaxHint: hint / 2, BeyondMaxHint: policy.HintCapped}, hint / 2, hint/2 + hint/20,
			job.ErrMaxRetriesExceeded,
		},
		{"equal to MaxHint", policy.Retry{MaxAttempts: 2, MaxHint: hint}, hint, hint + hint/10, job.ErrMaxRetriesExceeded},
		{"beyond MaxElapsed", policy.Retry{MaxAttempts: 2, MaxElapsed: hint}, 0, 0, job.ErrMaxElapsed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(8) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Seed: seed + 1, Retry: c.retry})
					line := newTimeline()
					failed := failure(t, submit(t, d, line.marking(0, policy.TransientAfter(errBackend, hint))))
					require.ErrorIs(t, failed, c.reason)
					starts := line.all()
					if c.longest == 0 {
						assert.Equal(t, ms(0), starts)
						assert.Zero(t, line.now())
						return
					}
					require.Len(t, starts, 2)
					assert.GreaterOrEqual(t, starts[1], c.least)
					assert.LessOrEqual(t, starts[1], c.longest)
				})
			}
		})
	}
}

// Which errors are tried again (S-R10). Three attempts are allowed, so starts tells.
func TestRetryClassifies(t *testing.T) {
	yes, no := func(error) bool { return true }, func(error) bool { return false }
	other := errors.New("something else")
	is := func(err error) bool { return errors.Is(err, errBackend) }
	for _, c := range []struct {
		name       string
		err        error
		on, stopOn func(error) bool
		starts     int
		reason     error
	}{
		{"unmarked", errBackend, nil, nil, 1, job.ErrFailed},
		{"unmarked, but On says so", errBackend, is, nil, 3, job.ErrMaxRetriesExceeded},
		{"unmarked, and On says no", other, is, nil, 1, job.ErrFailed},
		{"StopOn beats On", errBackend, yes, is, 1, job.ErrFailed},
		{"StopOn beats Transient", policy.Transient(errBackend), nil, is, 1, job.ErrFailed},
		{"StopOn that says no", policy.Transient(errBackend), nil, no, 3, job.ErrMaxRetriesExceeded},
		{"transient", policy.Transient(errBackend), nil, nil, 3, job.ErrMaxRetriesExceeded},
		{"transient, wrapped", fmt.Errorf("call: %w", policy.Transient(errBackend)), nil, nil, 3, job.ErrMaxRetriesExceeded},
		{"well-known", fmt.Errorf("read: %w: %w", io.ErrUnexpectedEOF, errBackend), nil, nil, 3, job.ErrMaxRetriesExceeded},
		{"fatal, whatever On says", policy.Fatal(errBackend), yes, nil, 1, job.ErrFailed},
		{"neutral, whatever On says", policy.Neutral(errBackend), yes, nil, 1, job.ErrFailed},
		{"unusable, whatever On says", policy.Unusable(errBackend), yes, nil, 1, job.ErrFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				retry := exact(3, time.Second)
				retry.On, retry.StopOn = c.on, c.stopOn
				d := open(t, dispatcher.Config{Retry: retry})
				line := newTimeline()
				failed := failure(t, submit(t, d, line.marking(0, c.err)))
				assert.Len(t, line.all(), c.starts)
				assert.ErrorIs(t, failed.Reason, c.reason)
				assert.ErrorIs(t, failed, c.err)
			})
		})
	}
}

// A retry keeps its job's arrival: it goes before whatever came later (S-A6).
func TestRetryKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: exact(2, 100*time.Millisecond)})
		line := newTimeline()
		first := true
		a := submit(t, d, func(context.Context) (int, error) {
			line.note("a")
			if first {
				first = false
				return 0, policy.Transient(errBackend)
			}
			return 0, nil
		})
		for _, name := range []string{"b", "c", "d"} {
			submit(t, d, line.naming(name, time.Second, nil))
		}
		_, err := await(t, a)
		require.NoError(t, err)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, []string{"a", "b", "a", "c", "d"}, line.order())
		assert.Equal(t, ms(0, 0, 1000, 1000, 2000), line.all())
	})
}

// Backoff holds no worker (S-A3).
func TestRetryHoldsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: exact(2, time.Minute)})
		line := newTimeline()
		parked := submit(t, d, line.naming("parked", 0, policy.Transient(errBackend)))
		_, err := await(t, submit(t, d, line.naming("other", time.Second, nil)))
		require.NoError(t, err)
		assert.Equal(t, time.Second, line.now())
		s := snapshot(d)
		assert.Equal(t, 1, s.Waiting)
		assert.Zero(t, s.Running)
		failure(t, parked)
		assert.Equal(t, []string{"parked", "other", "parked"}, line.order())
		assert.Equal(t, time.Minute, line.now())
	})
}

// What cannot be waited out before the deadline fails now, with the deadline and the last cause (S-A8).
func TestRetryBeyondDeadline(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		deadline time.Duration
		wait     time.Duration // until it is given up
	}{
		{"backoff, after the deadline", policy.Transient(errBackend), 999 * time.Millisecond, 0},
		{"backoff, at the deadline", policy.Transient(errBackend), time.Second, 0},
		{"backoff, before the deadline", policy.Transient(errBackend), 1001 * time.Millisecond, time.Second},
		{"hint", policy.TransientAfter(errBackend, time.Minute), 30 * time.Second, 0},
		{"Retry-After", policy.Throttled(errBackend, time.Minute), 30 * time.Second, 0},
	} {
		for _, by := range []string{"context", "option"} {
			t.Run(c.name+", by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Retry: exact(3, time.Second)})
					line := newTimeline()
					ctx := context.Background()
					var options []dispatcher.Option
					if by == "context" {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, c.deadline)
						defer cancel()
					} else {
						options = append(options, dispatcher.WithDeadline(time.Now().Add(c.deadline)))
					}
					future, err := dispatcher.Submit(ctx, d, line.marking(0, c.err), options...)
					require.NoError(t, err)
					failed := failure(t, future)
					assert.Equal(t, c.wait, line.now())
					assert.ErrorIs(t, failed, context.DeadlineExceeded)
					assert.ErrorIs(t, failed, job.ErrDeadline)
					assert.ErrorIs(t, failed, errBackend)
				})
			})
		}
	}
}

// A cooldown counts as part of the wait that MaxElapsed bounds: the attempt would begin too late (S-R6, S-R7).
func TestRetryMaxElapsedCountsCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		retry := exact(5, 100*time.Millisecond)
		retry.MaxElapsed = 10 * time.Second
		slow := submit(t, d, line.marking(time.Second, policy.Transient(errBackend)), dispatcher.WithRetry(retry))
		synctest.Wait() // it runs, or it would be called back
		submit(t, d, line.marking(0, policy.Throttled(errBackend, time.Minute)))
		failed := failure(t, slow)
		assert.Equal(t, time.Second, line.now())
		assert.ErrorIs(t, failed, job.ErrMaxElapsed)
		assert.ErrorIs(t, failed, errBackend)
	})
}

// The attempt's own time is up: transient, and tried again. The function may make of it what it likes (S-R8).
func TestTimeoutIsTransient(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(ctx context.Context) error
	}{
		{"the context's error", func(ctx context.Context) error { return ctx.Err() }},
		{"an error of its own", func(context.Context) error { return errBackend }},
		{"canceled", func(context.Context) error { return fmt.Errorf("call: %w", context.Canceled) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Timeout: 2 * time.Second, Retry: exact(3, time.Second)})
				line := newTimeline()
				failed := failure(t, submit(t, d, func(ctx context.Context) (int, error) {
					line.mark()
					<-ctx.Done()
					assert.Equal(t, job.ErrAttemptTimeout, context.Cause(ctx))
					assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
					return 0, c.end(ctx)
				}))
				assert.Equal(t, seconds(0, 3, 6), line.all())
				assert.Equal(t, 8*time.Second, line.now())
				assert.ErrorIs(t, failed, job.ErrMaxRetriesExceeded)
				assert.ErrorIs(t, failed, job.ErrAttemptTimeout)
				assert.NotErrorIs(t, failed, job.ErrDeadline)
				assert.NotErrorIs(t, failed, job.ErrCanceled)
			})
		})
	}
}

func TestTimeoutOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Timeout: 2 * time.Second})
		line := newTimeline()
		failure(t, submit(t, d, line.marking(time.Hour, nil), dispatcher.WithTimeout(3*time.Second)))
		assert.Equal(t, 3*time.Second, line.now())
		_, err := await(t, submit(t, d, line.marking(time.Minute, nil), dispatcher.WithTimeout(0)))
		require.NoError(t, err, "zero is no bound")
		assert.Equal(t, 63*time.Second, line.now())
	})
}

// A function that ignores its timeout keeps its worker until it returns, and no retry starts before (S-C1).
func TestTimeoutIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Timeout: time.Second, Retry: exact(2, time.Second)})
		line := newTimeline()
		var running atomic.Int32
		deaf := submit(t, d, func(context.Context) (int, error) {
			assert.Equal(t, int32(1), running.Add(1))
			defer running.Add(-1)
			line.note("deaf")
			time.Sleep(10 * time.Second)
			return 0, errBackend
		})
		other := submit(t, d, func(context.Context) (int, error) {
			assert.Equal(t, int32(1), running.Add(1))
			defer running.Add(-1)
			line.note("other")
			return 0, nil
		})
		_, err := await(t, other)
		require.NoError(t, err)
		failed := failure(t, deaf)
		assert.Equal(t, []string{"deaf", "other", "deaf"}, line.order())
		assert.Equal(t, seconds(0, 10, 11), line.all())
		assert.ErrorIs(t, failed, job.ErrAttemptTimeout)
	})
}

// A function that makes it to its result after its time was up has succeeded.
func TestTimeoutLateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Timeout: time.Second, Retry: exact(2, time.Second)})
		value, err := await(t, submit(t, d, func(context.Context) (int, error) {
			time.Sleep(5 * time.Second)
			return 42, nil
		}))
		require.NoError(t, err)
		assert.Equal(t, 42, value)
	})
}

// The error tells why it stopped and what failed, within reach of errors.Is and errors.As (S-R9).
func TestErrorTellsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Name: "bank", Retry: exact(3, time.Second)})
		future := submit(t, d, func(ctx context.Context) (int, error) {
			a, _ := job.AttemptFrom(ctx)
			return 0, policy.Transient(wait(ctx, 250*time.Millisecond, &codeError{code: 500 + a.N}))
		}, dispatcher.WithKey("eu"))
		failed := failure(t, future)
		assert.Equal(t, "bank", failed.Dispatcher)
		assert.Equal(t, future.ID(), failed.ID)
		assert.Equal(t, "eu", failed.Key)
		assert.Equal(t, 3, failed.Attempts)

		var used *job.MaxRetriesExceededError
		require.ErrorAs(t, failed, &used)
		assert.Equal(t, 3, used.Attempts)
		var coded *codeError
		require.ErrorAs(t, failed, &coded)
		assert.Equal(t, 503, coded.code)
		require.ErrorAs(t, used.Last, &coded)

		require.Len(t, failed.History.First, 3)
		assert.Empty(t, failed.History.Last)
		for i, f := range failed.History.First {
			assert.Equal(t, i+1, f.N)
			assert.Equal(t, time.Duration(i)*1250*time.Millisecond+250*time.Millisecond, f.At)
			assert.Equal(t, 250*time.Millisecond, f.Took)
			require.ErrorAs(t, f.Error, &coded)
			assert.Equal(t, 501+i, coded.code)
		}
		for _, part := range []string{"bank", `"eu"`, "3 attempts", "code 503", "retries exceeded"} {
			assert.Contains(t, failed.Error(), part)
		}
	})
}

type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("code %d", e.code) }

// The history is bounded: the first four and the last four.
func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(30, time.Second)})
		failed := failure(t, submit(t, d, newTimeline().marking(0, policy.Transient(errBackend))))
		assert.Equal(t, []int{1, 2, 3, 4}, attempts(failed.History.First))
		assert.Equal(t, []int{27, 28, 29, 30}, attempts(failed.History.Last))
	})
}

func attempts(failures []job.Failure) []int {
	var list []int
	for _, f := range failures {
		list = append(list, f.N)
	}
	return list
}

// An error, once it has been given out, does not change: neither does its history, whatever a function that was told to
// stop still returns (S-F1).
func TestHistoryDoesNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(30, time.Second)})
		line := newTimeline()
		release := make(chan struct{})
		future := submit(t, d, func(context.Context) (int, error) {
			if line.mark() == 10 {
				<-release
			}
			return 0, policy.Transient(errBackend)
		})
		time.Sleep(20 * time.Second)
		require.Len(t, line.all(), 10)
		require.Equal(t, job.Signaled, future.Cancel())
		failed := failure(t, future)
		before := slices.Clone(failed.History.Last)
		require.Equal(t, []int{6, 7, 8, 9}, attempts(before))
		close(release)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, attempts(before), attempts(failed.History.Last))
	})
}

// WithRetry replaces the dispatcher's rule for one job; the zero one turns retries off.
func TestRetryOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(3, time.Second)})
		for _, c := range []struct {
			retry  policy.Retry
			starts []time.Duration
		}{
			{policy.Retry{}, seconds(0)},
			{exact(4, 5*time.Second), seconds(0, 5, 10, 15)},
		} {
			line := newTimeline()
			failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend)), dispatcher.WithRetry(c.retry)))
			assert.Equal(t, c.starts, line.all())
		}
	})
}
