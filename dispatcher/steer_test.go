package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
	"github.com/toller-go/toller/scheduler"
)

// Pause starts nothing more; what runs goes on, jobs are accepted, and deadlines hold.
func TestPauseResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(2, time.Second), Limits: []policy.Limit{perSecond(1, 2)}})
		line := newTimeline()
		running := submit(t, d, line.naming("running", 2*time.Second, nil))
		failing := submit(t, d, line.naming("failing", time.Second, policy.Transient(errBackend)))
		synctest.Wait()
		d.Pause()
		d.Pause()
		assert.True(t, d.Snapshot().Paused)
		queued := submit(t, d, line.naming("queued", 0, nil))
		hurried := submit(t, d, line.naming("hurried", 0, nil), dispatcher.WithDeadline(time.Now().Add(5*time.Second)))
		_, err := await(t, running)
		require.NoError(t, err)
		assert.ErrorIs(t, failure(t, hurried), context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, line.now())
		time.Sleep(5 * time.Second)
		assert.Len(t, line.all(), 2)
		d.Resume()
		assert.False(t, d.Snapshot().Paused)
		_, err = await(t, queued)
		require.NoError(t, err)
		failure(t, failing)
		assert.Equal(t, seconds(0, 0, 10, 10), line.all(), "both tokens are there")
	})
}

// A snapshot is of the moment of the call: time has passed for it though nothing has happened (S-B10, S-O3).
func TestSnapshotIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Breaker: breaker(1), Limits: []policy.Limit{perSecond(1, 100)}})
		failure(t, submit(t, d, newTimeline().marking(0, errBackend), dispatcher.WithKey("open"), dispatcher.WithCost("calls", 100)))
		failure(t, submit(t, d, newTimeline().marking(0, policy.Throttled(errBackend, time.Minute)), dispatcher.WithCost("calls", 0)))
		time.Sleep(10 * time.Second)
		s := d.Snapshot()
		require.Len(t, s.Keys, 2)
		assert.Equal(t, 20*time.Second, s.Keys[0].RetryIn)
		assert.Equal(t, 50*time.Second, s.Keys[1].Cooling)
		assert.Equal(t, 10.0, s.Limits[0].Level)
	})
}

// A snapshot tells where everything stands (S-O3); keys like new ones are not in it (S-A9).
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Name: "bank", Workers: 1, Breaker: breaker(1), Retry: exact(2, time.Minute),
			Limits: []policy.Limit{{Name: "calls", Rate: policy.PerHour(3600), Burst: 10}},
		})
		assert.Equal(t, dispatcher.Snapshot{Name: "bank", Snapshot: scheduler.Snapshot{
			Workers: 1, Limits: []scheduler.LimitSnapshot{{Name: "calls", Rate: policy.PerHour(3600), Burst: 10, Level: 10}},
		}}, d.Snapshot())
		trip(t, d, dispatcher.WithKey("open"))
		submit(t, d, script(newTimeline(), policy.Throttled(errBackend, time.Minute)), dispatcher.WithKey("cool"))
		synctest.Wait()
		submit(t, d, newTimeline().marking(10*time.Second, nil), dispatcher.WithKey("busy"))
		submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey("busy"))
		submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey("open"))
		submit(t, d, newTimeline().marking(0, nil), dispatcher.WithKey("late"), dispatcher.WithDelay(time.Hour))
		synctest.Wait()
		assert.Equal(t, dispatcher.Snapshot{Name: "bank", Snapshot: scheduler.Snapshot{
			Queued: 2, Waiting: 2, Running: 1, Workers: 1,
			Keys: []scheduler.KeySnapshot{
				{Key: "open", Queued: 1, Circuit: policy.Open, Trips: 1, RetryIn: recovery, Waits: []scheduler.Wait{
					{Kind: scheduler.ForWorker, In: -1}, {Kind: scheduler.ForCircuit, In: recovery},
				}},
				{Key: "cool", Waiting: 1, Cooling: time.Minute},
				{Key: "busy", Queued: 1, Running: 1, Waits: []scheduler.Wait{{Kind: scheduler.ForWorker, In: -1}}},
				{Key: "late", Waiting: 1},
			},
			Limits: []scheduler.LimitSnapshot{{Name: "calls", Rate: policy.PerHour(3600), Burst: 10, Level: 7}},
		}}, d.Snapshot())
		require.NoError(t, d.WaitIdle(context.Background()))
		time.Sleep(time.Minute)
		assert.Empty(t, snapshot(d).Keys)
	})
}

// WaitIdle waits for all there is, and for what comes in the meantime, and closes nothing (S-F6, S-O3).
func TestWaitIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Workers: 1, Retry: exact(2, 5*time.Second)})
		line := newTimeline()
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Zero(t, line.now())

		submit(t, d, script(line, policy.Transient(errBackend))) // until 5 s
		submit(t, d, func(context.Context) (int, error) {        // until 2 s
			time.Sleep(2 * time.Second)
			submit(t, d, line.marking(0, nil), dispatcher.WithDelay(6*time.Second)) // until 8 s
			return 0, nil
		})
		why := errors.New("no time to wait")
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, why)
		defer cancel()
		err := d.WaitIdle(ctx)
		assert.ErrorIs(t, err, why)
		assert.Equal(t, time.Second, line.now())
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, 8*time.Second, line.now())

		deaf := submit(t, d, func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 0, nil })
		synctest.Wait()
		assert.Equal(t, job.Signaled, deaf.Cancel())
		require.NoError(t, d.WaitIdle(context.Background()))
		assert.Equal(t, 10*time.Second, line.now(), "what is settled and still runs is waited for")
		_, err = await(t, submit(t, d, line.marking(0, nil)))
		assert.NoError(t, err)
	})
}
