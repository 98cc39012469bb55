package dispatcher_test

import (
	"context"
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

// assertReleased checks that none of the starts came before a cooldown ended, that all came within the spread, and that
// there was no stampede (S-L10).
func assertReleased(t *testing.T, starts []time.Duration, end, spread time.Duration) {
	t.Helper()
	require.NotEmpty(t, starts)
	assert.GreaterOrEqual(t, starts[0], end, "none starts early")
	assert.LessOrEqual(t, starts[len(starts)-1], end+spread)
	assert.Len(t, slices.Compact(slices.Clone(starts)), len(starts), "no two at once")
	for i := range starts { // uniform, it would be a tenth of them; all bounds hold for the seeds in use
		inTenth := 0
		for _, at := range starts[i:] {
			if at < starts[i]+spread/10 {
				inTenth++
			}
		}
		assert.LessOrEqual(t, inTenth, len(starts)*4/10, "in a tenth of the spread, from %v on: %v", starts[i], starts)
	}
}

// One refusal holds all of its key: those queued behind it, and itself (S-L10, S-R12).
func TestThrottleHoldsTheQueued(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Workers: 1, Seed: seed + 1, Retry: exact(1, time.Second)})
			line := newTimeline()
			refused := submit(t, d, script(line, policy.Throttled(errBackend, 10*time.Second)))
			for range 19 {
				submit(t, d, line.marking(0, nil))
			}
			_, err := await(t, refused)
			require.NoError(t, err, "a throttle uses up no attempt")
			require.NoError(t, d.WaitIdle(context.Background()))
			starts := line.all()
			require.Len(t, starts, 21)
			assert.Zero(t, starts[0])
			assertReleased(t, starts[1:], 10*time.Second, time.Second)
		})
	}
}

// Twenty that were in flight and are all refused are one episode; they don't come back together (S-L10).
func TestThrottleHoldsTheRunning(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Workers: 20, Seed: seed + 1, Retry: policy.Retry{MaxAttempts: 1}})
			line := newTimeline()
			for range 20 {
				submit(t, d, func(ctx context.Context) (int, error) {
					line.mark()
					if a, _ := job.AttemptFrom(ctx); a.N == 1 {
						return 0, wait(ctx, time.Second, policy.Throttled(errBackend, 10*time.Second))
					}
					return 0, nil
				})
			}
			require.NoError(t, d.WaitIdle(context.Background()))
			starts := line.all()
			require.Len(t, starts, 40)
			assertReleased(t, starts[20:], 11*time.Second, time.Second)
		})
	}
}

// A shorter hint never shortens the cooldown, a longer one lengthens it.
func TestThrottleHintsAdd(t *testing.T) {
	for _, c := range []struct{ second, end time.Duration }{
		{2 * time.Second, 10 * time.Second},
		{9 * time.Second, 10 * time.Second},
		{20 * time.Second, 21 * time.Second},
		{0, 10 * time.Second},
		{policy.NoHint, 10 * time.Second},
	} {
		t.Run(c.second.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{})
				line := newTimeline()
				submit(t, d, newTimeline().marking(time.Second, policy.Throttled(errBackend, c.second)))
				synctest.Wait() // it runs, or it would be called back
				submit(t, d, newTimeline().marking(0, policy.Throttled(errBackend, 10*time.Second)))
				synctest.Wait()
				next := submit(t, d, line.marking(0, nil))
				time.Sleep(time.Second)
				synctest.Wait()
				keys := snapshot(d).Keys
				require.Len(t, keys, 1)
				assert.Equal(t, c.end-time.Second, keys[0].Cooling)
				_, err := await(t, next)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, line.now(), c.end)
				assert.LessOrEqual(t, line.now(), c.end+c.end/10)
			})
		})
	}
}

// Without a hint the key backs off by itself: 100 ms, doubled for each refusal in a row, up to 30 s.
func TestThrottleWithoutHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(1, time.Millisecond)})
		line := newTimeline()
		_, err := await(t, submit(t, d, script(line, times(12, policy.Throttled(errBackend, policy.NoHint))...)))
		require.NoError(t, err)
		assert.Equal(t, ms(0, 100, 300, 700, 1500, 3100, 6300, 12700, 25500, 51100, 81100, 111100, 141100), line.all())
	})
}

// When a cooldown without a hint ends, one attempt goes first; the others follow its success, or after a second.
func TestThrottleScout(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  time.Duration // the scout
		end    error
		others time.Duration // from when on the others start
	}{
		{"succeeds", 300 * time.Millisecond, nil, 400 * time.Millisecond},
		{"runs on", time.Minute, nil, 1100 * time.Millisecond},
		{"fails, so another goes first", 300 * time.Millisecond, errBackend, 400 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Seed: 3})
				line := newTimeline()
				failure(t, submit(t, d, newTimeline().marking(0, policy.Throttled(errBackend, policy.NoHint))))
				scout := submit(t, d, line.marking(c.takes, c.end))
				for range 10 {
					submit(t, d, line.marking(0, nil))
				}
				_, err := await(t, scout)
				assert.Equal(t, c.end == nil, err == nil)
				require.NoError(t, d.WaitIdle(context.Background()))
				starts := line.all()
				require.Len(t, starts, 11)
				assert.Equal(t, 100*time.Millisecond, starts[0])
				assert.GreaterOrEqual(t, starts[1], c.others)
				assert.LessOrEqual(t, starts[10], c.others+100*time.Millisecond)
			})
		})
	}
}

// A hint of zero is no hot loop: 100 ms, at least (S-R12).
func TestThrottleHintOfZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(1, time.Millisecond)})
		line := newTimeline()
		_, err := await(t, submit(t, d, script(line, times(5, policy.Throttled(errBackend, 0))...)))
		require.NoError(t, err)
		assert.Equal(t, ms(0, 100, 200, 300, 400, 500), line.all())
	})
}

// The job's own backoff counts as well, when that is longer.
func TestThrottleBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 1, Delay: time.Second, Jitter: policy.NoJitter}})
		line := newTimeline()
		_, err := await(t, submit(t, d, script(line, times(4, policy.Throttled(errBackend, 0))...)))
		require.NoError(t, err)
		assert.Equal(t, seconds(0, 1, 3, 7, 15), line.all())
	})
}

// Throttles use up no attempts; failures between them do.
func TestThrottleUsesNoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(2, time.Second)})
		line := newTimeline()
		throttled, transient := policy.Throttled(errBackend, time.Second), policy.Transient(errBackend)
		failed := failure(t, submit(t, d, script(line, throttled, throttled, transient, throttled, throttled, transient)))
		assert.Equal(t, 6, failed.Attempts)
		var used *job.MaxRetriesExceededError
		require.ErrorAs(t, failed, &used)
		assert.Equal(t, 2, used.Attempts)
	})
}

// MaxThrottleWait bounds the time in cooldowns and throttle backoff, in all; reached exactly is not beyond it.
func TestMaxThrottleWait(t *testing.T) {
	for _, c := range []struct {
		most   time.Duration
		starts int
	}{
		{10*time.Second - 1, 1},
		{25 * time.Second, 3},
		{30 * time.Second, 4},
		{0, 91}, // 15 minutes
	} {
		t.Run(c.most.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Retry: policy.Retry{MaxAttempts: 1, Delay: time.Second, Backoff: 1, MaxThrottleWait: c.most}})
				line := newTimeline()
				failed := failure(t, submit(t, d, line.marking(0, policy.Throttled(errBackend, 10*time.Second))))
				starts := line.all()
				assert.Len(t, starts, c.starts)
				assert.Equal(t, starts[len(starts)-1], line.now(), "decided before the wait")
				assert.ErrorIs(t, failed, job.ErrThrottled)
				assert.ErrorIs(t, failed, errBackend)
			})
		})
	}
}

// With retries off a throttle ends the job, and the cooldown stands.
func TestThrottleWithoutRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		failed := failure(t, submit(t, d, line.marking(0, policy.Throttled(errBackend, 10*time.Second))))
		assert.ErrorIs(t, failed, job.ErrFailed)
		assert.Zero(t, line.now())
		_, err := dispatcher.Do(context.Background(), d, line.marking(0, nil))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, line.now(), 10*time.Second)
		assert.LessOrEqual(t, line.now(), 11*time.Second)
	})
}

// Who has no time to wait out a cooldown is told at once (S-A8), be he queued already or coming later.
func TestCooldownBeyondDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: exact(3, time.Second)})
		line := newTimeline()
		deadline := func(after time.Duration) dispatcher.Option { return dispatcher.WithDeadline(line.start.Add(after)) }
		refused := submit(t, d, script(line, policy.Transient(errBackend), policy.Throttled(errBackend, 10*time.Second)))
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		d.Pause()
		inTime := submit(t, d, line.marking(0, nil), deadline(12*time.Second))
		tooLate := submit(t, d, line.marking(0, nil), deadline(11*time.Second))
		delayed := submit(t, d, line.marking(0, nil), deadline(5*time.Second), dispatcher.WithDelay(4*time.Second))
		other := submit(t, d, line.marking(0, nil), deadline(5*time.Second), dispatcher.WithDelay(3*time.Second), dispatcher.WithKey("other"))
		time.Sleep(500 * time.Millisecond)
		d.Resume() // the refused one, being the oldest, is told at 1 s
		for _, f := range []*job.Future[int]{tooLate, delayed} {
			failed := failure(t, f)
			assert.Equal(t, time.Second, line.now())
			assert.ErrorIs(t, failed, context.DeadlineExceeded)
			assert.ErrorIs(t, failed, job.ErrDeadline)
		}
		failed := failure(t, submit(t, d, line.marking(0, nil), deadline(11*time.Second)))
		assert.Equal(t, time.Second, line.now(), "it comes later, and is told at once")
		assert.ErrorIs(t, failed, context.DeadlineExceeded)
		for _, f := range []*job.Future[int]{refused, inTime, other} {
			_, err := await(t, f)
			assert.NoError(t, err)
		}
	})
}

// A key in cooldown does not hold up another.
func TestCooldownPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Limits: []policy.Limit{perSecond(1, 1)}})
		line := newTimeline()
		submit(t, d, line.naming("a", 0, policy.Throttled(errBackend, time.Minute)), dispatcher.WithKey("a"))
		for range 3 {
			submit(t, d, line.naming("a", 0, nil), dispatcher.WithKey("a"))
			submit(t, d, line.naming("b", 0, nil), dispatcher.WithKey("b"))
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, []string{"a", "b", "b", "b", "a", "a", "a"}, line.order())
		assert.Equal(t, seconds(0, 1, 2, 3), line.all()[:4])
		assert.GreaterOrEqual(t, line.all()[4], time.Minute)
	})
}

// Keys take turns, whoever has more to do.
func TestKeysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		d.Pause()
		line := newTimeline()
		for _, c := range []struct {
			key  string
			jobs int
		}{{"a", 6}, {"b", 2}, {"c", 3}} {
			for range c.jobs {
				submit(t, d, line.naming(c.key, time.Second, nil), dispatcher.WithKey(c.key))
			}
		}
		d.Resume()
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, []string{"a", "b", "c", "a", "b", "c", "a", "c", "a", "a", "a"}, line.order())
		assert.Equal(t, seconds(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), line.all())
	})
}

// While a key is held up by a limit of its own, another is not.
func TestKeyLimitHoldsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := perSecond(0.1, 1)
		limit.PerKey = true
		d := open(t, dispatcher.Config{Workers: 1, Limits: []policy.Limit{limit}})
		line := newTimeline()
		for range 3 {
			submit(t, d, line.naming("a", 0, nil), dispatcher.WithKey("a"))
		}
		submit(t, d, line.naming("b", 0, nil), dispatcher.WithKey("b"))
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, []string{"a", "b", "a", "a"}, line.order())
		assert.Equal(t, seconds(0, 0, 10, 20), line.all())
	})
}

// Attempts in flight stay within Workers while everybody is let go after a cooldown (S-C1).
func TestReleaseStaysWithinWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 3, Retry: policy.Retry{MaxAttempts: 1}})
		var running, most atomic.Int32
		for range 30 {
			submit(t, d, func(ctx context.Context) (int, error) {
				most.Store(max(most.Load(), running.Add(1))) // under -race a lost maximum would still be one that was seen
				defer running.Add(-1)
				if a, _ := job.AttemptFrom(ctx); a.N == 1 {
					return 0, policy.Throttled(errBackend, time.Second)
				}
				return 0, wait(ctx, time.Second, nil)
			})
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.LessOrEqual(t, most.Load(), int32(3))
	})
}
