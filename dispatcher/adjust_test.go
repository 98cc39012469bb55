package dispatcher_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// succeed waits for a job that must succeed.
func succeed[T any](t *testing.T, f *job.Future[T]) {
	t.Helper()
	_, err := await(t, f)
	require.NoError(t, err)
}

// A job that waits on an empty bucket at 0.01/s starts exactly 1 ms after the rate becomes 1000/s (S-L6).
func TestSetRateWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(0.01), Burst: 1}}})
		succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		line := newTimeline()
		future := submit(t, d, line.marking(0, nil))
		synctest.Wait()
		require.NoError(t, d.SetRate("calls", policy.PerSecond(1000)))
		succeed(t, future)
		assert.Equal(t, []time.Duration{time.Millisecond}, line.all())
	})
}

// What a limit is changed to is checked, and what is refused changes nothing.
func TestAdjustRefusesNonsense(t *testing.T) {
	d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1)}}})
	for name, err := range map[string]error{
		"no such limit, rate":     d.SetRate("call", policy.PerSecond(1)),
		"no such limit, burst":    d.SetBurst("call", 1),
		"no such limit, observed": d.Observe("call", "", 1),
		"zero rate":               d.SetRate("calls", policy.Rate{}),
		"negative burst":          d.SetBurst("calls", -1),
		"not a number":            d.SetBurst("calls", math.NaN()),
		"negative rest":           d.Observe("calls", "", -1),
		"no workers":              d.SetWorkers(0),
	} {
		assert.ErrorIs(t, err, policy.ErrInvalid, name)
	}
	assert.ErrorContains(t, d.SetRate("call", policy.PerSecond(1)), `limit "call" is unknown; it must be one that exists: "calls"`)
}

// Submit goes by the burst as it is now, and jobs that wait fail when it is lowered below their cost (S-L4).
func TestSetBurstOfAStrictLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "tokens", Rate: policy.PerSecond(1), Burst: 10, Strict: true}}})
		succeed(t, submit(t, d, newTimeline().marking(0, nil), dispatcher.WithCost("tokens", 10)))
		waits := submit(t, d, newTimeline().marking(0, nil), dispatcher.WithCost("tokens", 8))
		require.NoError(t, d.SetBurst("tokens", 5))
		assert.ErrorIs(t, failure(t, waits), job.ErrCostTooHigh)
		_, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithCost("tokens", 8))
		assert.ErrorIs(t, err, policy.ErrInvalid)
		require.NoError(t, d.SetBurst("tokens", 20))
		succeed(t, submit(t, d, newTimeline().marking(0, nil), dispatcher.WithCost("tokens", 8)))
	})
}

// Fewer workers pre-empt nothing and grant nothing until below; more go to work at once (S-C3).
func TestSetWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 4})
		line := newTimeline()
		for range 8 {
			submit(t, d, line.marking(time.Second, nil))
		}
		synctest.Wait()
		require.NoError(t, d.SetWorkers(1))
		time.Sleep(2500 * time.Millisecond)
		require.NoError(t, d.SetWorkers(10))
		require.NoError(t, d.WaitIdle(t.Context()))
		assert.Equal(t, []time.Duration{0, 0, 0, 0, time.Second, 2 * time.Second, 2500 * time.Millisecond, 2500 * time.Millisecond}, line.all())
	})
}

// The server's word lowers the level of a bucket, and never raises it (S-L6).
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 10}}})
		require.NoError(t, d.Observe("calls", "", 2))
		require.NoError(t, d.Observe("calls", "", 9))
		line := newTimeline()
		for range 3 {
			submit(t, d, line.marking(0, nil))
		}
		require.NoError(t, d.WaitIdle(t.Context()))
		assert.Equal(t, []time.Duration{0, 0, time.Second}, line.all())
	})
}

// An attempt says what it really cost: the difference is there for the next, or is debt, and the second word does not count
// (S-L5).
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Limits: []policy.Limit{
			{Name: "calls", Rate: policy.PerSecond(100), Burst: 10},
			{Name: "tokens", Rate: policy.PerSecond(10), Burst: 100, Settled: true},
		}})
		line := newTimeline()
		settling := func(actual float64) job.Func[int] {
			return func(ctx context.Context) (int, error) {
				line.mark()
				a, ok := job.AttemptFrom(ctx)
				assert.True(t, ok)
				assert.NoError(t, a.Settle("tokens", actual))
				assert.NoError(t, a.Settle("tokens", 0))
				assert.ErrorIs(t, a.Settle("calls", 0), policy.ErrInvalid)
				assert.ErrorIs(t, a.Settle("token", 0), policy.ErrInvalid)
				assert.ErrorIs(t, a.Settle("tokens", math.Inf(1)), policy.ErrInvalid)
				return 0, nil
			}
		}
		submit(t, d, settling(10), dispatcher.WithCost("tokens", 100))
		submit(t, d, settling(120), dispatcher.WithCost("tokens", 90)) // 90 are left: at once; it leaves 30 of debt
		submit(t, d, settling(1), dispatcher.WithCost("tokens", 10))   // 4 s until 10 are there
		require.NoError(t, d.WaitIdle(t.Context()))
		assert.Equal(t, []time.Duration{0, 0, 4 * time.Second}, line.all())
	})
}

// A failure that the server certainly did not bill is refunded; another is not (S-L5).
func TestUnbilledFailuresAreRefunded(t *testing.T) {
	for _, c := range []struct {
		err  error
		want time.Duration
	}{{policy.Unbilled(policy.Transient(errBackend)), time.Second}, {policy.Transient(errBackend), 10 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{
				Limits: []policy.Limit{{Name: "tokens", Rate: policy.PerSecond(10), Burst: 100, Settled: true}},
				Retry:  exact(2, time.Second),
			})
			line := newTimeline()
			failure(t, submit(t, d, line.marking(0, c.err), dispatcher.WithCost("tokens", 100)))
			assert.Equal(t, []time.Duration{0, c.want}, line.all())
		})
	}
}
