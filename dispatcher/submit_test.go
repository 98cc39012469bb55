package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// full returns a dispatcher with room for n jobs, all of which is taken for the time given. Only the first job runs.
func full(t *testing.T, n int, takes time.Duration) *dispatcher.Dispatcher {
	t.Helper()
	d := open(t, dispatcher.Config{Workers: 1, Queue: n, Retry: exact(2, time.Hour)})
	for range n {
		submit(t, d, newTimeline().marking(takes, nil))
	}
	synctest.Wait()
	return d
}

// A full queue: TrySubmit refuses, and takes nothing.
func TestTrySubmitFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t, 3, time.Second)
		line := newTimeline()
		future, err := dispatcher.TrySubmit(context.Background(), d, line.marking(0, nil))
		assert.ErrorIs(t, err, dispatcher.ErrQueueFull)
		assert.Nil(t, future)
		assert.Zero(t, line.now())
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = dispatcher.TrySubmit(context.Background(), d, line.marking(0, nil))
		assert.NoError(t, err, "one has ended")
	})
}

// The bound counts every accepted job that is not settled: queued, parked, running (S-F8). One that is settled and still
// runs is not counted.
func TestQueueCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Queue: 4, Workers: 1, Retry: exact(2, time.Minute)})
		free := func() (n int) {
			var probes []*job.Future[int]
			for {
				f, err := dispatcher.TrySubmit(context.Background(), d, newTimeline().marking(0, nil), dispatcher.WithDelay(time.Hour))
				if err != nil {
					break
				}
				probes = append(probes, f)
			}
			for _, f := range probes {
				f.Cancel()
			}
			return len(probes)
		}
		assert.Equal(t, 4, free())
		submit(t, d, newTimeline().marking(0, policy.Transient(errBackend)))
		synctest.Wait()
		assert.Equal(t, 3, free(), "parked")
		deaf := submit(t, d, func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 0, nil })
		synctest.Wait()
		assert.Equal(t, 2, free(), "running")
		queued := submit(t, d, newTimeline().marking(0, nil))
		assert.Equal(t, 1, free(), "queued")
		queued.Cancel()
		assert.Equal(t, 2, free())
		deaf.Cancel()
		assert.Equal(t, 3, free(), "settled")
	})
}

// Submit waits for room, and gets it in the order of the calls.
func TestSubmitWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t, 2, 10*time.Second)
		line := newTimeline()
		for i := range 4 {
			go func() {
				_, err := dispatcher.Submit(context.Background(), d, newTimeline().marking(10*time.Second, nil))
				assert.NoError(t, err)
				line.note(fmt.Sprint(i))
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"0", "1", "2", "3"}, line.order())
		assert.Equal(t, seconds(10, 20, 30, 40), line.all())
	})
}

// Its context ends the wait for room, with its cause; those behind move up at once.
func TestSubmitGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t, 1, 10*time.Second)
		line := newTimeline()
		why := errors.New("not that urgent")
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, why)
		defer cancel()
		for range 20 {
			go func() {
				future, err := dispatcher.Submit(ctx, d, newTimeline().marking(0, nil))
				assert.ErrorIs(t, err, why)
				assert.Nil(t, future)
				assert.Equal(t, time.Second, line.now())
			}()
			synctest.Wait()
		}
		_, err := await(t, submit(t, d, line.marking(0, nil)))
		require.NoError(t, err)
		assert.Equal(t, seconds(10), line.all())
	})
}

// Close wakes those who wait for room, and they are refused.
func TestCloseWakesThoseWhoWaitForRoom(t *testing.T) {
	for name, shut := range map[string]func(*dispatcher.Dispatcher, context.Context) error{
		"Close": (*dispatcher.Dispatcher).Close,
		"Stop":  (*dispatcher.Dispatcher).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := full(t, 1, 10*time.Second)
				line := newTimeline()
				for range 5 {
					go func() {
						future, err := dispatcher.Submit(context.Background(), d, newTimeline().marking(0, nil))
						assert.ErrorIs(t, err, dispatcher.ErrClosed)
						assert.Nil(t, future)
						line.mark()
					}()
				}
				go func() {
					_, err := dispatcher.Do(context.Background(), d, newTimeline().marking(0, nil))
					assert.ErrorIs(t, err, dispatcher.ErrClosed)
					line.mark()
				}()
				synctest.Wait()
				time.Sleep(time.Second)
				require.NoError(t, shut(d, context.Background()))
				assert.Equal(t, seconds(1, 1, 1, 1, 1, 1), line.all())
				assert.Equal(t, 10*time.Second, line.now())
			})
		})
	}
}

// From inside a job, with its context, a full queue is an error at once: the room it would wait for is its own (S-F8).
func TestSubmitInsideNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Queue: 1})
		other := open(t, dispatcher.Config{Workers: 1, Queue: 1})
		type key struct{}
		line := newTimeline()
		_, err := await(t, submit(t, d, func(ctx context.Context) (int, error) {
			for _, ctx := range []context.Context{ctx, context.WithValue(ctx, key{}, "derived"), context.WithoutCancel(ctx)} {
				_, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
				assert.ErrorIs(t, err, dispatcher.ErrQueueFull)
				_, err = dispatcher.Go(ctx, d, func(context.Context) error { return nil })
				assert.ErrorIs(t, err, dispatcher.ErrQueueFull)
				_, err = dispatcher.Do(ctx, d, line.marking(0, nil))
				assert.ErrorIs(t, err, dispatcher.ErrQueueFull)
			}
			// Through a job of another dispatcher it is the same.
			_, err := dispatcher.Do(ctx, other, func(ctx context.Context) (int, error) {
				_, err := dispatcher.Submit(ctx, d, line.marking(0, nil))
				assert.ErrorIs(t, err, dispatcher.ErrQueueFull)
				return 0, nil
			})
			return 0, err
		}))
		require.NoError(t, err)
		assert.Zero(t, line.now())
		assert.Empty(t, line.all())
	})
}

// A job may hand in another, and where there is room, it is accepted.
func TestSubmitInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		line := newTimeline()
		inner, err := await(t, submit(t, d, func(context.Context) (*job.Future[int], error) {
			return dispatcher.Submit(context.Background(), d, line.marking(0, nil))
		}))
		require.NoError(t, err)
		_, err = await(t, inner)
		assert.NoError(t, err)
	})
}

// The context of an attempt ends with it, and so does a job that was handed in with it.
func TestSubmitInsideWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1})
		inner, err := await(t, submit(t, d, func(ctx context.Context) (*job.Future[int], error) {
			return dispatcher.Submit(ctx, d, newTimeline().marking(0, nil))
		}))
		require.NoError(t, err)
		assert.ErrorIs(t, failure(t, inner), job.ErrCanceled)
	})
}

// What goes wrong later is told by the future, and not by Submit (S-F5).
func TestLaterFailuresComeFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1)})
		trip(t, d)
		for name, options := range map[string][]dispatcher.Option{
			"open circuit":                {dispatcher.WithWhenOpen(policy.FailFast)},
			"a delay beyond the deadline": {dispatcher.WithDelay(time.Hour), dispatcher.WithDeadline(time.Now().Add(time.Minute))},
		} {
			future, err := dispatcher.Submit(context.Background(), d, newTimeline().marking(0, nil), options...)
			require.NoError(t, err, name)
			line := newTimeline()
			failure(t, future)
			assert.Zero(t, line.now(), name)
		}
	})
}

func TestGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(2, time.Second)})
		line := newTimeline()
		future, err := dispatcher.Go(context.Background(), d, func(context.Context) error {
			if line.mark() == 1 {
				return policy.Transient(errBackend)
			}
			return nil
		})
		require.NoError(t, err)
		_, err = await(t, future)
		assert.NoError(t, err)
		assert.Equal(t, seconds(0, 1), line.all())
	})
}

func TestWithDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: exact(2, time.Second), Limits: []policy.Limit{perSecond(1, 1)}})
		line := newTimeline()
		late := submit(t, d, line.naming("late", 0, policy.Transient(errBackend)), dispatcher.WithDelay(10*time.Second))
		soon := submit(t, d, line.naming("soon", 0, nil), dispatcher.WithDelay(3*time.Second))
		now := submit(t, d, line.naming("now", 0, nil), dispatcher.WithDelay(0))
		synctest.Wait()
		s := snapshot(d)
		assert.Equal(t, 2, s.Waiting)
		failure(t, late)
		assert.True(t, settled(soon) && settled(now))
		assert.Equal(t, []string{"now", "soon", "late", "late"}, line.order())
		assert.Equal(t, seconds(0, 3, 10, 11), line.all(), "the delay is before the first attempt only")
	})
}

// The earlier of the two deadlines counts.
func TestWithDeadline(t *testing.T) {
	for _, c := range []struct{ ctx, option, want time.Duration }{
		{time.Second, 2 * time.Second, time.Second},
		{2 * time.Second, time.Second, time.Second},
		{0, time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{})
			ctx := context.Background()
			if c.ctx > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.ctx)
				defer cancel()
			}
			line := newTimeline()
			future, err := dispatcher.Submit(ctx, d, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				assert.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
				line.mark()
				return 0, nil
			}, dispatcher.WithDeadline(time.Now().Add(c.option)))
			require.NoError(t, err)
			failed := failure(t, future)
			assert.ErrorIs(t, failed, context.DeadlineExceeded)
			assert.ErrorIs(t, failed, job.ErrDeadline)
			assert.NotErrorIs(t, failed, job.ErrAttemptTimeout)
			require.NoError(t, d.WaitIdle(context.Background()))
			assert.Equal(t, []time.Duration{c.want}, line.all())
		})
	}
}

// What cannot be done is refused, with an error that can be matched.
func TestSubmitRefusesNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		ctx := context.Background()
		fn := newTimeline().marking(0, nil)
		var noContext context.Context
		for _, c := range []struct {
			name string
			ctx  context.Context
			d    *dispatcher.Dispatcher
			fn   job.Func[int]
			want error
		}{
			{"function", ctx, d, nil, dispatcher.ErrNilFunc},
			{"context", noContext, d, fn, dispatcher.ErrNilContext},
			{"dispatcher", ctx, nil, fn, dispatcher.ErrNilDispatcher},
		} {
			future, err := dispatcher.Submit(c.ctx, c.d, c.fn)
			assert.ErrorIs(t, err, c.want, c.name)
			assert.Nil(t, future)
			_, err = dispatcher.TrySubmit(c.ctx, c.d, c.fn)
			assert.ErrorIs(t, err, c.want, c.name)
			_, err = dispatcher.Do(c.ctx, c.d, c.fn)
			assert.ErrorIs(t, err, c.want, c.name)
			var plain func(context.Context) error
			var wrapped func(context.Context, int) (int, error)
			if c.fn != nil {
				plain = func(context.Context) error { return nil }
				wrapped = func(context.Context, int) (int, error) { return 0, nil }
			}
			_, err = dispatcher.Go(c.ctx, c.d, plain)
			assert.ErrorIs(t, err, c.want, c.name)
			_, err = dispatcher.Wrap(c.d, wrapped)(c.ctx, 1)
			assert.ErrorIs(t, err, c.want, c.name)
		}
	})
}

// An option that makes no sense is refused with its name, the value and what is allowed.
func TestSubmitRefusesOptions(t *testing.T) {
	d := open(t, dispatcher.Config{Limits: []policy.Limit{perSecond(1, 5), {Name: "tokens", Rate: policy.PerSecond(1)}}})
	none := open(t, dispatcher.Config{})
	for _, c := range []struct {
		name   string
		d      *dispatcher.Dispatcher
		option dispatcher.Option
		parts  []string // field, value, allowed
	}{
		{"cost below zero", d, dispatcher.WithCost("calls", -1), []string{`cost of limit "calls"`, "-1"}},
		{"cost not a number", d, dispatcher.WithCost("calls", math.NaN()), []string{`cost of limit "calls"`, "NaN"}},
		{"cost infinite", d, dispatcher.WithCost("calls", math.Inf(1)), []string{`cost of limit "calls"`, "+Inf"}},
		{"no such limit", d, dispatcher.WithCost("call", 1), []string{`limit "call"`, `"calls", "tokens"`}},
		{"no limits", none, dispatcher.WithCost("calls", 1), []string{`limit "calls"`, "no limits"}},
		{"no deadline", d, dispatcher.WithDeadline(time.Time{}), []string{"WithDeadline", "0001-01-01", "zero time"}},
		{"delay below zero", d, dispatcher.WithDelay(-time.Second), []string{"WithDelay", "-1s", "zero or positive"}},
		{"timeout below zero", d, dispatcher.WithTimeout(-time.Second), []string{"WithTimeout", "-1s", "positive"}},
		{"retry", d, dispatcher.WithRetry(policy.Retry{MaxAttempts: 2, Backoff: 0.5}), []string{"Retry.Backoff", "0.5", "at least 1"}},
		{"retry that is off", d, dispatcher.WithRetry(policy.Retry{Delay: time.Second}), []string{"Retry.MaxAttempts", "0", "UnlimitedAttempts"}},
		{"when open", d, dispatcher.WithWhenOpen(policy.Wait + 1), []string{"WithWhenOpen", "3", "ByCall, FailFast or Wait"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			future, err := dispatcher.Submit(context.Background(), c.d, newTimeline().marking(0, nil), c.option)
			assert.Nil(t, future)
			require.ErrorIs(t, err, policy.ErrInvalid)
			var fault *policy.FieldError
			require.ErrorAs(t, err, &fault)
			for _, part := range c.parts {
				assert.ErrorContains(t, err, part)
			}
			_, err = dispatcher.Do(context.Background(), c.d, newTimeline().marking(0, nil), dispatcher.Option{}, c.option)
			assert.ErrorIs(t, err, policy.ErrInvalid)
		})
	}
	_, err := await(t, submit(t, d, newTimeline().marking(0, nil), dispatcher.Option{}))
	assert.NoError(t, err, "the zero Option says nothing")
}

// New tells every fault at once.
func TestNewRefuses(t *testing.T) {
	cfg := dispatcher.Config{
		Workers: -1, Queue: -2, Timeout: -3, MaxKeys: -4, EventBuffer: -5, AgeAfter: dispatcher.NeverAge - 1,
		Limits: []policy.Limit{
			{}, {Name: "a", Rate: policy.PerSecond(-1)}, {Name: "b", Rate: policy.PerSecond(1), Burst: math.NaN()},
			{Name: "b", Rate: policy.PerSecond(1)},
		},
		Retry:   policy.Retry{MaxAttempts: -2},
		Breaker: policy.Breaker{Probes: 2},
	}
	d, err := dispatcher.New(cfg)
	assert.Nil(t, d)
	require.ErrorIs(t, err, policy.ErrInvalid)
	for _, part := range []string{
		"Config.Workers is -1", "Config.Queue is -2", "Config.Timeout is -3ns", "Config.MaxKeys is -4", "Config.EventBuffer is -5",
		"Config.AgeAfter is -2ns", `Limit("").Name`, `Limit("").Rate`, `Limit("a").Rate`,
		`Limit("b").Burst is NaN`, `"b" twice`, "Retry.MaxAttempts is -2", "Breaker.FailureThreshold",
	} {
		assert.ErrorContains(t, err, part)
	}
	for line := range strings.Lines(err.Error()) {
		assert.Contains(t, line, "must be")
	}
}

// There may be 64 limits, the shared ones included, and 64 groups: a job's gates are kept as bits.
func TestNewRefusesMoreThan64(t *testing.T) {
	var limits []policy.Limit
	var groups []dispatcher.Group
	for i := range 64 {
		limits = append(limits, policy.Limit{Name: fmt.Sprint(i), Rate: policy.PerHour(1)})
		groups = append(groups, dispatcher.Group{Name: fmt.Sprint(i), Workers: 1})
	}
	d := open(t, dispatcher.Config{Limits: limits, Groups: groups})
	_, err := dispatcher.Do(t.Context(), d, func(context.Context) (int, error) { return 0, nil }, dispatcher.WithGroup("63"), dispatcher.WithCost("63", .5))
	require.NoError(t, err)
	assert.InDelta(t, .5, d.Snapshot().Limits[63].Level, .1)

	shared := share(t, policy.Limit{Name: "shared", Rate: policy.PerSecond(1)})
	_, err = dispatcher.New(dispatcher.Config{Limits: limits, Shared: []*dispatcher.SharedLimit{shared}, Groups: append(groups, dispatcher.Group{Name: "g", Workers: 1})})
	require.ErrorIs(t, err, policy.ErrInvalid)
	assert.ErrorContains(t, err, "Config.Limits is 65; it must be at most 64 of them, the shared ones included")
	assert.ErrorContains(t, err, "Config.Groups is 65; it must be at most 64 of them")
}

// The zero Config works (S-R13), and says what it is.
func TestZeroConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		for range dispatcher.DefaultWorkers + 1 {
			submit(t, d, line.marking(time.Second, nil))
		}
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, slices.Concat(slices.Repeat(seconds(0), dispatcher.DefaultWorkers), seconds(1)), line.all())
	})
}

// Options by themselves cost no allocation.
func TestOptionsDoNotAllocate(t *testing.T) {
	d := open(t, dispatcher.Config{})
	nothing := func(context.Context) (int, error) { return 0, nil }
	each := func(options ...dispatcher.Option) float64 {
		return testing.AllocsPerRun(500, func() {
			if _, err := dispatcher.Do(context.Background(), d, nothing, options...); err != nil {
				t.Error(err)
			}
		})
	}
	none := each()
	two := each(dispatcher.WithPriority(-3), dispatcher.WithWhenOpen(policy.Wait))
	if two > none+1 { // one is noise of the goroutines around
		t.Errorf("%v allocations with two options, %v without", two, none)
	}
}
