package dispatcher_test

import (
	"context"
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

// sluggish is a context that takes a second when an attempt looks at it for the first time: until then the attempt has been
// admitted and handed to a goroutine, and its function has not been called.
type sluggish struct {
	context.Context
	looks atomic.Int32
}

func (c *sluggish) Err() error {
	if c.looks.Add(1) == 2 { // Submit looks first
		time.Sleep(time.Second)
	}
	return nil
}

// S-L1, S-L10: what happens between admission and start holds for those who have not started: they wait like all others, and what
// they had taken is given back. The limit never fills, and holds two.
func TestRecall(t *testing.T) {
	for _, c := range []struct {
		name     string
		happens  func(*dispatcher.Dispatcher) // half a second after both jobs were admitted
		end      error                        // of the first, at that moment
		from, to time.Duration                // when the other starts
	}{
		{"nothing", nil, nil, time.Second, time.Second},
		{"throttled", nil, policy.Throttled(errBackend, 10*time.Second), 10500 * time.Millisecond, 11500 * time.Millisecond},
		{"circuit opens", nil, errBackend, 500*time.Millisecond + recovery, 500*time.Millisecond + recovery},
		{"forced open", func(d *dispatcher.Dispatcher) {
			d.ForceOpen("k")
			time.AfterFunc(4*time.Second, func() { d.Reset("k") })
		}, nil, 4500 * time.Millisecond, 4500 * time.Millisecond},
		{"paused", func(d *dispatcher.Dispatcher) {
			d.Pause()
			time.AfterFunc(4*time.Second, d.Resume)
		}, nil, 4500 * time.Millisecond, 4500 * time.Millisecond},
		{"paused for a moment", func(d *dispatcher.Dispatcher) { d.Pause(); d.Resume() }, nil, time.Second, time.Second},
		{"other key", func(d *dispatcher.Dispatcher) { d.ForceOpen("other") }, nil, time.Second, time.Second},
	} {
		for _, how := range []string{"Submit", "Do"} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := open(t, dispatcher.Config{Breaker: breaker(1), Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: 2}}})
					key := dispatcher.WithKey("k")
					submit(t, d, newTimeline().marking(500*time.Millisecond, c.end), key)
					line := newTimeline()
					fn := func(ctx context.Context) (int, error) {
						a, _ := job.AttemptFrom(ctx)
						line.mark()
						return a.N, nil
					}
					over := make(chan error, 1)
					go func() {
						ctx, wait := &sluggish{Context: context.Background()}, dispatcher.WithWhenOpen(policy.Wait)
						n, err := 0, error(nil)
						if how == "Do" {
							n, err = dispatcher.Do(ctx, d, fn, key, wait)
						} else if future, refused := dispatcher.Submit(ctx, d, fn, key, wait); assert.NoError(t, refused) {
							n, err = future.Await(context.Background())
						}
						assert.Equal(t, 1, n, "it is the first attempt")
						over <- err
					}()
					time.Sleep(500 * time.Millisecond)
					synctest.Wait()
					if c.happens != nil {
						c.happens(d)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					if c.from > 1500*time.Millisecond {
						assert.Empty(t, line.all())
						assert.Equal(t, 1.0, level(t, d), "it has given back what it took")
						assert.Zero(t, snapshot(d).Running)
					}
					require.NoError(t, <-over)
					require.Len(t, line.all(), 1)
					assert.GreaterOrEqual(t, line.all()[0], c.from)
					assert.LessOrEqual(t, line.all()[0], c.to)
					assert.Equal(t, 0.0, level(t, d))
				})
			})
		}
	}
}

// S-F6: Stop finishes what runs, and that is what has called its function.
func TestStopRecalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		line := newTimeline()
		future, err := dispatcher.Submit(&sluggish{Context: context.Background()}, d, line.marking(0, nil))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, d.Stop(context.Background()))
		failed := failure(t, future)
		assert.ErrorIs(t, failed, job.ErrNotStarted)
		assert.Zero(t, failed.Attempts)
		assert.Equal(t, time.Second, line.now())
		assert.Empty(t, line.all())
	})
}

// However often those on their way to a worker are called back, none is lost, none runs twice, and what they cost is exact.
func TestRecallLosesNobody(t *testing.T) {
	const jobs = 2000
	d := open(t, dispatcher.Config{Workers: jobs, Limits: []policy.Limit{{Name: "calls", Rate: policy.Blocked, Burst: jobs}}})
	var ran atomic.Int64
	var futures []*job.Future[int]
	d.Pause()
	for range jobs {
		futures = append(futures, submit(t, d, func(ctx context.Context) (int, error) {
			ran.Add(1)
			a, _ := job.AttemptFrom(ctx)
			return a.N, nil
		}))
	}
	for range 50 {
		before := ran.Load()
		if d.Resume(); before == jobs {
			break
		}
		for ran.Load() == before {
			runtime.Gosched() // until one has begun
		}
		d.Pause()
	}
	d.Resume()
	for _, future := range futures {
		n, err := await(t, future)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	assert.Equal(t, int64(jobs), ran.Load())
	assert.Equal(t, 0.0, level(t, d))
	assert.Zero(t, snapshot(d).Running)
}
