package dispatcher_test

import (
	"context"
	"sync"
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

func share(t *testing.T, limit policy.Limit) *dispatcher.SharedLimit {
	t.Helper()
	shared, err := dispatcher.NewSharedLimit(limit)
	require.NoError(t, err)
	return shared
}

func sharing(t *testing.T, limits ...*dispatcher.SharedLimit) *dispatcher.Dispatcher {
	t.Helper()
	return open(t, dispatcher.Config{Shared: limits})
}

// S-L11: two dispatchers, made at different times, together take what one could.
func TestSharedLimitHoldsForAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 2})
		a := sharing(t, calls)
		time.Sleep(1500 * time.Millisecond)
		b := sharing(t, calls)
		line := newTimeline()
		var futures []*job.Future[int]
		for range 3 {
			futures = append(futures, submit(t, a, line.marking(0, nil)), submit(t, b, line.marking(0, nil)))
			synctest.Wait()
		}
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, seconds(0, 0, 1, 2, 3, 4), line.all())
	})
}

// S-L11: a large cost in one dispatcher starts when its tokens have come, whatever small ones there are in another.
func TestSharedLimitStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := share(t, policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 50, Initial: policy.Empty})
		small, large := sharing(t, tokens), sharing(t, tokens)
		smalls, larges := newTimeline(), newTimeline()
		big := submit(t, large, larges.marking(0, nil), dispatcher.WithCost("tokens", 50))
		synctest.Wait()
		var futures []*job.Future[int]
		for range 100 {
			futures = append(futures, submit(t, small, smalls.marking(0, nil)))
		}
		succeed(t, big)
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, seconds(5), larges.all())
		assert.Equal(t, 5100*time.Millisecond, smalls.all()[0])
		assert.Equal(t, 15*time.Second, smalls.all()[99])
	})
}

// S-L11: what one dispatcher gives back is there for another at once, and so is what a faster rate brings.
func TestSharedLimitWakesThoseWhoWait(t *testing.T) {
	for name, c := range map[string]struct {
		free func(t *testing.T, calls *dispatcher.SharedLimit, attempt job.Attempt)
		want time.Duration
	}{
		"settled lower": {func(t *testing.T, _ *dispatcher.SharedLimit, attempt job.Attempt) {
			assert.NoError(t, attempt.Settle("calls", 0))
		}, 0},
		"faster": {func(t *testing.T, calls *dispatcher.SharedLimit, _ job.Attempt) {
			assert.NoError(t, calls.SetRate(policy.PerSecond(1000)))
		}, time.Millisecond},
		"larger burst": {func(t *testing.T, calls *dispatcher.SharedLimit, _ job.Attempt) {
			assert.NoError(t, calls.SetBurst(2)) // fills at the rate, and not at once (S-L6)
		}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerHour(1), Burst: 1, Settled: true})
				a, b := sharing(t, calls), sharing(t, calls)
				var holder job.Attempt
				running := submit(t, a, func(ctx context.Context) (int, error) {
					holder, _ = job.AttemptFrom(ctx)
					return 0, wait(ctx, time.Second, nil)
				})
				synctest.Wait()
				line := newTimeline()
				waiting := submit(t, b, line.marking(0, nil))
				synctest.Wait()
				c.free(t, calls, holder)
				succeed(t, waiting)
				succeed(t, running)
				assert.Equal(t, []time.Duration{c.want}, line.all())
			})
		})
	}
}

// S-L11: SetRate wakes all who wait for the limit, in whichever dispatcher and by whichever it is called: none sleeps on by the old
// rate.
func TestSharedSetRateWakesAll(t *testing.T) {
	for name, set := range map[string]func(calls *dispatcher.SharedLimit, a, b *dispatcher.Dispatcher) error{
		"on the limit": func(calls *dispatcher.SharedLimit, _, _ *dispatcher.Dispatcher) error {
			return calls.SetRate(policy.PerSecond(1))
		},
		"on one dispatcher": func(_ *dispatcher.SharedLimit, a, _ *dispatcher.Dispatcher) error {
			return a.SetRate("calls", policy.PerSecond(1))
		},
		"on the other": func(_ *dispatcher.SharedLimit, _, b *dispatcher.Dispatcher) error {
			return b.SetRate("calls", policy.PerSecond(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerDay(1), Burst: 1, Initial: policy.Empty})
				a, b := sharing(t, calls), sharing(t, calls)
				line := newTimeline()
				for range 2 {
					submit(t, a, line.naming("a", 0, nil))
					synctest.Wait()
					submit(t, b, line.naming("b", 0, nil))
					synctest.Wait()
				}
				require.NoError(t, set(calls, a, b))
				time.Sleep(10 * time.Second) // whatever one asks a dispatcher would wake it
				assert.Equal(t, seconds(1, 2, 3, 4), line.all())
				assert.ElementsMatch(t, []string{"a", "a", "b", "b"}, line.order())
			})
		})
	}
}

// Limits of several dispatchers that use two of them in different orders do not lock each other out (S-L11).
func TestSharedLimitsInAnyOrder(t *testing.T) {
	a, err := dispatcher.NewSharedLimit(policy.Limit{Name: "a", Rate: policy.PerSecond(1e6), Burst: 10})
	require.NoError(t, err)
	b, err := dispatcher.NewSharedLimit(policy.Limit{Name: "b", Rate: policy.PerSecond(1e6), Burst: 10})
	require.NoError(t, err)
	first, second := sharing(t, a, b), sharing(t, b, a)
	var users sync.WaitGroup
	for _, d := range []*dispatcher.Dispatcher{first, second} {
		for range 4 {
			users.Go(func() {
				for range 500 {
					if _, err := dispatcher.Do(context.Background(), d, func(context.Context) (int, error) { return 0, nil }); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	users.Go(func() {
		for i := range 100 {
			if err := a.SetRate(policy.PerSecond(1e6 + float64(i))); err != nil {
				t.Error(err)
			}
		}
	})
	users.Wait()
}

// A dispatcher that has been closed, with jobs waiting for a shared limit, stands in nobody's way.
func TestSharedLimitAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 5, Initial: policy.Empty})
		a, err := dispatcher.New(dispatcher.Config{Shared: []*dispatcher.SharedLimit{calls}})
		require.NoError(t, err)
		b := sharing(t, calls)
		line := newTimeline()
		left := submit(t, a, line.marking(0, nil), dispatcher.WithCost("calls", 5))
		synctest.Wait()
		waiting := submit(t, b, line.marking(0, nil))
		time.Sleep(2 * time.Second)
		assert.False(t, settled(waiting))
		require.NoError(t, a.Stop(context.Background()))
		succeed(t, waiting)
		assert.ErrorIs(t, failure(t, left), job.ErrNotStarted)
		assert.Equal(t, seconds(2), line.all())
	})
}

// What makes no sense is refused, and what a change makes impossible fails, in every dispatcher (S-L4).
func TestSharedLimitRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := dispatcher.NewSharedLimit(policy.Limit{Name: "calls", Rate: policy.PerSecond(1), PerKey: true})
		assert.ErrorIs(t, err, policy.ErrInvalid)
		_, err = dispatcher.NewSharedLimit(policy.Limit{Name: "calls"})
		assert.ErrorIs(t, err, policy.ErrInvalid)

		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 5, Initial: policy.Empty, Strict: true})
		_, err = dispatcher.New(dispatcher.Config{Shared: []*dispatcher.SharedLimit{calls, nil, calls}})
		assert.ErrorContains(t, err, "Config.Shared")
		_, err = dispatcher.New(dispatcher.Config{Limits: []policy.Limit{calls.Limit()}, Shared: []*dispatcher.SharedLimit{calls}})
		assert.ErrorContains(t, err, `"calls" twice`)

		a, b := sharing(t, calls), sharing(t, calls)
		large := submit(t, a, newTimeline().marking(0, nil), dispatcher.WithCost("calls", 4))
		synctest.Wait()
		assert.ErrorIs(t, calls.SetRate(policy.Rate{}), policy.ErrInvalid)
		assert.ErrorIs(t, calls.Observe(-1), policy.ErrInvalid)
		require.NoError(t, b.SetBurst("calls", 3)) // for all
		assert.ErrorIs(t, failure(t, large), job.ErrCostTooHigh)
		_, err = dispatcher.Submit(context.Background(), a, newTimeline().marking(0, nil), dispatcher.WithCost("calls", 4))
		assert.ErrorIs(t, err, policy.ErrInvalid)
		assert.InDelta(t, 3, calls.Limit().Burst, 0)
	})
}

// The server's word lowers the level for all, and the level is that of now.
func TestSharedLimitObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(1), Burst: 10})
		a, b := sharing(t, calls), sharing(t, calls)
		require.NoError(t, calls.Observe(2))
		time.Sleep(time.Second)
		assert.InDelta(t, 3, calls.Level(), 0)
		assert.InDelta(t, 3, snapshot(a).Limits[0].Level, 0)
		require.NoError(t, b.Observe("calls", "", 0))
		assert.Zero(t, snapshot(a).Limits[0].Level)
	})
}

// S-L6: a burst of 0 is the default, one second of the rate, as in the limit's rule.
func TestSharedLimitDefaultBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(10), Burst: 50})
		sharing(t, calls)
		require.NoError(t, calls.SetBurst(0))
		assert.Equal(t, 10.0, calls.Level())
		time.Sleep(time.Hour)
		assert.Equal(t, 10.0, calls.Level())
	})
}

// S-L11: dispatchers that come and go while others use the limit, and are asked while they end (for the race detector); and a
// change at that moment reaches each.
func TestSharedLimitComingAndGoing(t *testing.T) {
	pool, err := dispatcher.NewSharedLimit(policy.Limit{Name: "pool", Rate: policy.PerSecond(1e6), Burst: 1000, Strict: true})
	require.NoError(t, err)
	busy := sharing(t, pool)
	nothing := func(context.Context) (int, error) { return 0, nil }
	var users sync.WaitGroup
	users.Go(func() {
		for range 3000 {
			if _, err := dispatcher.Do(context.Background(), busy, nothing); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 60 {
		changed := make(chan error)
		go func() { changed <- pool.SetBurst(float64(1001 + n)) }()
		d, err := dispatcher.New(dispatcher.Config{Shared: []*dispatcher.SharedLimit{pool}})
		require.NoError(t, err)
		require.NoError(t, <-changed)
		future, err := dispatcher.Submit(context.Background(), d, nothing, dispatcher.WithCost("pool", float64(1001+n)))
		if assert.NoError(t, err, "the burst allows that by now") {
			succeed(t, future)
		}
		for range 4 {
			users.Go(func() {
				for range 20 {
					d.Snapshot()
				}
			})
		}
		require.NoError(t, d.Close(context.Background()))
	}
	users.Wait()
}

// A dispatcher that does not come to be, since its name is taken, is none that a change of the limit waits for.
func TestSharedLimitOfWhomNewRefuses(t *testing.T) {
	pool := share(t, policy.Limit{Name: "pool", Rate: policy.PerSecond(10)})
	named := open(t, dispatcher.Config{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for n := range 10_000 {
			if err := pool.SetBurst(float64(n + 1)); err != nil {
				t.Error(err)
			}
		}
	}()
	late := time.After(time.Minute)
	for refused := 0; ; refused++ {
		select {
		case <-late:
			t.Fatal("a change of the limit waits for a dispatcher that is none")
		case <-over:
			t.Logf("%d refused meanwhile", refused)
			return
		default:
			_, err := dispatcher.New(dispatcher.Config{Name: named.Name(), Shared: []*dispatcher.SharedLimit{pool}})
			require.ErrorIs(t, err, dispatcher.ErrNameTaken)
		}
	}
}

// S-L11: two dispatchers that always have jobs for one shared limit start, together, what it allows, to the job, and neither
// starves the other.
func TestSharedLimitIsSharedFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, burst, span = 50, 20, time.Minute
		calls := share(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(rate), Burst: burst})
		var starts [2]atomic.Int64
		var futures []*job.Future[int]
		for i := range starts {
			d := sharing(t, calls)
			for range rate*int(span/time.Second) + burst + 1 { // more than there can be
				futures = append(futures, submit(t, d, func(context.Context) (int, error) { starts[i].Add(1); return 0, nil }))
			}
		}
		time.Sleep(span)
		synctest.Wait()
		a, b := starts[0].Load(), starts[1].Load()
		t.Logf("%d and %d of %d", a, b, a+b)
		assert.EqualValues(t, rate*60+burst, a+b)
		assert.InDelta(t, .5, float64(a)/float64(a+b), .1)
		for _, f := range futures {
			f.Cancel()
		}
	})
}
