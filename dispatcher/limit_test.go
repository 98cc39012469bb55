package dispatcher_test

import (
	"context"
	"fmt"
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

// perSecond is n calls a second, with a burst.
func perSecond(n, burst float64) policy.Limit {
	return policy.Limit{Name: "calls", Rate: policy.PerSecond(n), Burst: burst}
}

// level is what is in the bucket of the one limit.
func level(t *testing.T, d *dispatcher.Dispatcher) float64 {
	t.Helper()
	limits := snapshot(d).Limits
	require.Len(t, limits, 1)
	return limits[0].Level
}

// The k-th of many jobs that all wait starts when the k-th token is there: the first ones live on the burst, and the
// others on the rate (S-L2).
func TestLimitStartTimes(t *testing.T) {
	for _, c := range []struct {
		rate  policy.Rate
		every time.Duration // between two tokens
		burst int
		jobs  int
	}{
		{policy.PerSecond(10), 100 * time.Millisecond, 20, 100},
		{policy.PerSecond(1), time.Second, 1, 10},
		{policy.PerMinute(600), 100 * time.Millisecond, 20, 100},
		{policy.PerHour(60), time.Minute, 3, 20},
		{policy.Per(1, 7*time.Millisecond), 7 * time.Millisecond, 5, 200},
	} {
		t.Run(fmt.Sprintf("%v burst %d", c.rate, c.burst), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{
					Workers: c.jobs, Limits: []policy.Limit{{Name: "calls", Rate: c.rate, Burst: float64(c.burst)}},
				})
				line := newTimeline()
				for range c.jobs {
					submit(t, d, line.marking(3*time.Second, nil))
				}
				require.NoError(t, d.WaitIdle(context.Background()))
				var want []time.Duration
				for k := 1; k <= c.jobs; k++ {
					want = append(want, time.Duration(max(0, k-c.burst))*c.every)
				}
				assert.Equal(t, want, line.all())
			})
		})
	}
}

// A rate that does not divide a second is kept without drift (S-L8): the k-th new token is there after ⌈k×span/n⌉. (The
// burst is 2, so that a bucket which is looked at up to a nanosecond late has room for what has come in since.)
func TestLimitDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 1000
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(7, 2)}})
		line := newTimeline()
		for range jobs {
			submit(t, d, line.marking(0, nil))
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		starts := line.all()
		require.Len(t, starts, jobs)
		for k, at := range starts {
			want := (time.Duration(max(0, k-1))*time.Second + 6) / 7
			require.Equal(t, want, at, "start %d", k)
		}
	})
}

// Unused tokens are kept up to the burst, and no further.
func TestLimitRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 3)}})
		line := newTimeline()
		for range 3 {
			submit(t, d, line.marking(0, nil))
		}
		time.Sleep(time.Hour)
		for range 5 {
			submit(t, d, line.marking(0, nil))
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, seconds(0, 0, 0, 3600, 3600, 3600, 3601, 3602), line.all())
	})
}

// Retries pass the same door as everybody (S-A1).
func TestLimitHoldsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 2)}, Retry: exact(6, time.Millisecond)})
		line := newTimeline()
		failed := failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend))))
		assert.Equal(t, ms(0, 1, 1000, 2000, 3000, 4000), line.all())
		assert.ErrorIs(t, failed, job.ErrMaxRetriesExceeded)
	})
}

// When one limit says no, nothing is taken from the others (S-A2).
func TestLimitsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerHour(1), Burst: 5},
			{Name: "tokens", Rate: policy.PerSecond(1), Burst: 10},
		}})
		line := newTimeline()
		cost := dispatcher.WithCost("tokens", 10)
		for range 3 {
			submit(t, d, line.marking(0, nil), cost)
		}
		synctest.Wait()
		s := snapshot(d)
		require.Len(t, s.Limits, 2)
		assert.Equal(t, 4.0, s.Limits[0].Level, "the jobs that wait for tokens have taken no calls")
		assert.Equal(t, 0.0, s.Limits[1].Level)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, seconds(0, 10, 20), line.all())
	})
}

// Waiters that give up have taken nothing: the job behind 20 of them starts exactly when it would have alone (S-A4).
func TestLimitCanceledWaitersAreFree(t *testing.T) {
	for _, how := range []string{"context", "Future.Cancel", "context, one by one"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 1)}})
				line := newTimeline()
				_, err := await(t, submit(t, d, line.naming("first", 0, nil)))
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var ahead []*job.Future[int]
				var cancels []context.CancelFunc
				for range 20 {
					own, stop := context.WithCancel(ctx)
					defer stop()
					future, err := dispatcher.Submit(own, d, line.naming("ahead", 0, nil))
					require.NoError(t, err)
					ahead, cancels = append(ahead, future), append(cancels, stop)
				}
				last := submit(t, d, line.naming("last", 0, nil))
				time.Sleep(500 * time.Millisecond)
				switch how {
				case "context":
					cancel()
				case "Future.Cancel":
					for _, f := range ahead {
						assert.Equal(t, job.NeverRan, f.Cancel())
					}
				default:
					for _, stop := range cancels {
						time.Sleep(10 * time.Millisecond)
						stop()
					}
				}
				for _, f := range ahead {
					failed := failure(t, f)
					assert.ErrorIs(t, failed, job.ErrCanceled)
					assert.ErrorIs(t, failed, context.Canceled)
					assert.Zero(t, failed.Attempts)
				}
				_, err = await(t, last)
				require.NoError(t, err)
				assert.Equal(t, time.Second, line.now())
				assert.Equal(t, []string{"first", "last"}, line.order())
			})
		})
	}
}

// The same behind a job whose cost is large, and would have held the line for long.
func TestLimitCanceledLargeCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 100)}})
		line := newTimeline()
		_, err := await(t, submit(t, d, line.marking(0, nil), dispatcher.WithCost("calls", 100)))
		require.NoError(t, err)
		large := submit(t, d, line.marking(0, nil), dispatcher.WithCost("calls", 100))
		small := submit(t, d, line.marking(0, nil))
		time.Sleep(5500 * time.Millisecond)
		assert.False(t, settled(small), "the large one is not starved by the small one (S-A5)")
		assert.Equal(t, job.NeverRan, large.Cancel())
		_, err = await(t, small)
		require.NoError(t, err)
		assert.Equal(t, ms(0, 5500), line.all(), "5.5 tokens are there, of which one is enough")
	})
}

// fleeting is a context that ends between admission and start: it has ended only when the attempt looks at it. It cannot
// be watched, so nobody learns of it earlier.
type fleeting struct {
	context.Context
	looks  atomic.Int32
	ending int32 // the look from which on it has ended
}

func (c *fleeting) Done() <-chan struct{} { return nil }

func (c *fleeting) Err() error {
	if c.looks.Add(1) >= c.ending {
		return context.Canceled
	}
	return nil
}

// What an attempt has taken that could not start after all is given back exactly (S-L1).
func TestLimitGivesBackUnstarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Workers: 1,
			Limits:  []policy.Limit{perSecond(0.25, 2)},
			Breaker: policy.Breaker{FailureThreshold: 1},
		})
		line := newTimeline()
		ctx := &fleeting{Context: context.Background(), ending: 2} // Submit looks once
		future, err := dispatcher.Submit(ctx, d, line.marking(0, nil), dispatcher.WithCost("calls", 1.5))
		require.NoError(t, err)
		failed := failure(t, future)
		assert.ErrorIs(t, failed, job.ErrCanceled)
		assert.ErrorIs(t, failed, context.Canceled)
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Empty(t, line.all(), "it was never run")
		assert.Equal(t, 2.0, level(t, d))
		assert.Zero(t, snapshot(d).Running)
		for range 3 {
			submit(t, d, line.marking(0, nil))
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, seconds(0, 0, 4), line.all())
	})
}

// A context that has ended before it is admitted takes nothing (S-A7).
func TestContextDoneTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 1)}})
		line := newTimeline()
		why := fmt.Errorf("changed my mind: %w", errBackend)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(why)
		for _, call := range []func() error{
			func() error { _, err := dispatcher.Submit(ctx, d, line.marking(0, nil)); return err },
			func() error { _, err := dispatcher.TrySubmit(ctx, d, line.marking(0, nil)); return err },
			func() error { _, err := dispatcher.Do(ctx, d, line.marking(0, nil)); return err },
		} {
			err := call()
			assert.ErrorIs(t, err, why)
			var failed *job.Error
			assert.NotErrorAs(t, err, &failed, "it was refused, so there is no job")
		}
		assert.Equal(t, 1.0, level(t, d))

		// Accepted, and ended while it waits for a worker's turn, or for the loop to look at it.
		d.Pause()
		ctx, cancel = context.WithCancelCause(context.Background())
		future, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
		require.NoError(t, err)
		cancel(why)
		d.Resume()
		failed := failure(t, future)
		assert.ErrorIs(t, failed, job.ErrCanceled)
		assert.ErrorIs(t, failed, why)
		require.NoError(t, d.WaitIdle(context.Background())) // who was on the way to a worker has given back what it took
		assert.Empty(t, line.all())
		assert.Equal(t, 1.0, level(t, d))
	})
}

// A deadline that has passed is no better than a context that has ended: the function is not run (S-A7).
func TestDeadlinePassedTakesNothing(t *testing.T) {
	for _, ago := range []time.Duration{time.Hour, 1, 0} {
		t.Run(ago.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 1)}})
				line := newTimeline()
				future, err := dispatcher.Submit(context.Background(), d, line.marking(0, nil), dispatcher.WithDeadline(time.Now().Add(-ago)))
				if err == nil {
					_, err = await(t, future)
				}
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Empty(t, line.all())
				assert.Equal(t, 1.0, level(t, d))
			})
		})
	}
}

// A cost above the burst waits for a full bucket and puts it into debt; it neither hangs nor fails (S-L4).
func TestLimitOversizedCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 5)}})
		line := newTimeline()
		for _, cost := range []float64{12, 1, 7, 0.5} {
			submit(t, d, line.marking(0, nil), dispatcher.WithCost("calls", cost))
		}
		synctest.Wait()
		assert.Equal(t, -7.0, level(t, d))
		require.NoError(t, d.WaitIdle(context.Background()))
		// 0: 5-12 = -7. 8 s: 1-1 = 0. 13 s: 5-7 = -2. 15.5 s: 0.5-0.5 = 0.
		assert.Equal(t, ms(0, 8000, 13000, 15500), line.all())
	})
}

// A strict limit refuses at once what is above its burst (S-L4).
func TestLimitStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := perSecond(1, 5)
		limit.Strict = true
		d := open(t, dispatcher.Config{Limits: []policy.Limit{limit}})
		line := newTimeline()
		_, err := dispatcher.Submit(context.Background(), d, line.marking(0, nil), dispatcher.WithCost("calls", 5.000001))
		assert.ErrorIs(t, err, policy.ErrInvalid)
		assert.ErrorContains(t, err, `cost of limit "calls"`)
		assert.ErrorContains(t, err, "5.000001")
		assert.ErrorContains(t, err, "burst of 5")
		_, err = await(t, submit(t, d, line.marking(0, nil), dispatcher.WithCost("calls", 5)))
		require.NoError(t, err)
		assert.Zero(t, level(t, d))
	})
}

// A strict limit refuses the cost that nobody names as well, be it in New or in Submit.
func TestLimitStrictDefaultCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerSecond(1), Burst: 0.5, Strict: true}, // and a cost of 1, by default
		}})
		if err == nil {
			defer d.Close(context.Background())
			_, err = dispatcher.Submit(context.Background(), d, newTimeline().marking(0, nil))
		}
		assert.ErrorIs(t, err, policy.ErrInvalid)
	})
}

func TestLimitCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerHour(1), Burst: 10},
			{Name: "tokens", Rate: policy.PerHour(1), Burst: 100, DefaultCost: 30},
		}})
		levels := func() [2]float64 {
			require.NoError(t, d.WaitIdle(context.Background()))
			s := snapshot(d)
			return [2]float64{s.Limits[0].Level, s.Limits[1].Level}
		}
		line := newTimeline()
		submit(t, d, line.marking(0, nil))
		assert.Equal(t, [2]float64{9, 70}, levels(), "the defaults (S-L12)")
		submit(t, d, line.marking(0, nil), dispatcher.WithCost("tokens", 2.25))
		assert.Equal(t, [2]float64{8, 67.75}, levels(), "naming one leaves the other at its default")
		submit(t, d, line.marking(0, nil), dispatcher.WithCost("tokens", 0), dispatcher.WithCost("calls", 0.5))
		assert.Equal(t, [2]float64{7.5, 67.75}, levels())
	})
}

func TestLimitCostRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerSecond(1), Burst: 10},
			{Name: "tokens", Rate: policy.PerSecond(1), Burst: 100, CostRequired: true},
		}})
		line := newTimeline()
		for _, options := range [][]dispatcher.Option{nil, {dispatcher.WithCost("calls", 1)}} {
			_, err := dispatcher.Submit(context.Background(), d, line.marking(0, nil), options...)
			assert.ErrorIs(t, err, policy.ErrInvalid)
			assert.ErrorContains(t, err, `WithCost("tokens"`)
		}
		_, err := await(t, submit(t, d, line.marking(0, nil), dispatcher.WithCost("tokens", 1)))
		assert.NoError(t, err)
	})
}

// Each key has a bucket of its own in a limit that is per key; what is shared is shared all the same.
func TestLimitPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := perSecond(1, 1)
		limit.PerKey = true
		d := open(t, dispatcher.Config{Workers: 1, Limits: []policy.Limit{
			limit,
			{Name: "all", Rate: policy.PerSecond(1), Burst: 4},
		}})
		line := newTimeline()
		for i := range 3 {
			for _, key := range []string{"a", "b"} {
				submit(t, d, line.naming(fmt.Sprint(key, i), 0, nil), dispatcher.WithKey(key))
			}
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, []string{"a0", "b0", "a1", "b1", "a2", "b2"}, line.order())
		// All: 4 - 2 at 0 s, 3 - 2 at 1 s, 2 - 2 at 2 s.
		assert.Equal(t, seconds(0, 0, 1, 1, 2, 2), line.all())
	})
}

// A blocked limit lets its burst through and then nothing; an unlimited one everything.
func TestLimitBlockedUnlimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{
			{Name: "blocked", Rate: policy.Blocked, Burst: 3},
			{Name: "unlimited", Rate: policy.Unlimited},
		}})
		line := newTimeline()
		var all []*job.Future[int]
		for range 4 {
			all = append(all, submit(t, d, line.marking(0, nil), dispatcher.WithDeadline(time.Now().Add(time.Hour))))
		}
		failed := failure(t, all[3])
		assert.ErrorIs(t, failed, job.ErrDeadline)
		assert.ErrorIs(t, failed, context.DeadlineExceeded)
		assert.Equal(t, time.Hour, line.now())
		assert.Equal(t, ms(0, 0, 0), line.all())
	})
}

// When nothing waits there is no wake-up, whatever has happened before; when something waits there is one, at the moment
// at which it can start (S-L9).
func TestIdleMeansIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := perSecond(1, 1)
		limit.PerKey = true
		d := open(t, dispatcher.Config{
			Limits: []policy.Limit{{Name: "all", Rate: policy.PerSecond(1), Burst: 1}, limit},
			Retry:  exact(3, time.Second), Breaker: policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Minute},
		})
		none := time.Duration(-1)
		assert.Equal(t, none, dispatcher.NextWake(d), "new")

		line := newTimeline()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		for range 2 {
			_, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Equal(t, time.Second, dispatcher.NextWake(d), "the second waits for a token")
		time.Sleep(600 * time.Millisecond)
		assert.Equal(t, 400*time.Millisecond, dispatcher.NextWake(d))
		require.NoError(t, d.WaitIdle(context.Background()))
		submit(t, d, line.marking(0, policy.Transient(errBackend)), dispatcher.WithRetry(policy.Retry{}), dispatcher.WithKey("b"))
		require.NoError(t, d.WaitIdle(context.Background()))
		submit(t, d, line.marking(0, policy.Throttled(errBackend, time.Minute)), dispatcher.WithRetry(policy.Retry{}), dispatcher.WithKey("c"))
		require.NoError(t, d.WaitIdle(context.Background()))
		time.Sleep(time.Hour)
		assert.Equal(t, none, dispatcher.NextWake(d), "circuit half open, cooldown over, buckets full")
	})
}
