package dispatcher_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
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

// recorder is a listener that keeps what it is told.
type recorder struct {
	start time.Time

	mu     sync.Mutex
	events []dispatcher.Event // guarded by mu
}

func (r *recorder) hear(e dispatcher.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, e := range r.events {
		line := fmt.Sprintf("%d %v %v job %d %s#%d", e.Seq, e.At.Sub(r.start), e.Kind, e.Job, e.Key, e.Attempt)
		if !e.Until.IsZero() {
			line += fmt.Sprint(" until ", e.Until.Sub(r.start))
		}
		if e.Err != nil {
			line += ": " + e.Err.Error()
		}
		lines = append(lines, line)
	}
	return lines
}

// S-O2: what happens is told in order, numbered, with the instant at which it did.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		d := open(t, dispatcher.Config{Name: "told", Retry: exact(2, time.Second), Breaker: breaker(2), OnEvent: r.hear})
		failure(t, submit(t, d, newTimeline().marking(0, policy.Transient(errBackend)), dispatcher.WithKey("a")))
		failure(t, submit(t, d, newTimeline().marking(0, policy.Fatal(errBackend)), dispatcher.WithKey("b"), dispatcher.WithDelay(2*time.Second)))
		synctest.Wait()
		assert.Equal(t, []string{
			`1 0s attempt started job 1 a#1`,
			`2 0s attempt ended job 1 a#1: backend says no`,
			`3 0s job waiting job 1 a#0 until 1s`,
			`4 1s attempt started job 1 a#2`,
			`5 1s attempt ended job 1 a#2: backend says no`,
			`6 1s circuit opened job 1 a#0 until 31s`,
			`7 1s job settled job 1 a#2: job 1 (key "a") of dispatcher "told": retries exceeded, after 2 attempts: backend says no`,
			`8 1s job waiting job 2 b#0 until 3s`,
			`9 3s attempt started job 2 b#1`,
			`10 3s attempt ended job 2 b#1: backend says no`,
			`11 3s job settled job 2 b#1: job 2 (key "b") of dispatcher "told": failed (with an error that is not tried again), after 1 attempt: backend says no`,
		}, r.lines())
		assert.Zero(t, d.EventsDropped())
	})
}

// S-O2: a listener that is too slow misses events, which are counted; the jobs do not wait for it.
func TestEventsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, slow := &recorder{start: time.Now()}, make(chan struct{})
		d := open(t, dispatcher.Config{EventBuffer: 3, OnEvent: func(e dispatcher.Event) {
			<-slow
			r.hear(e)
		}})
		for range 10 {
			succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		}
		synctest.Wait()
		dropped := d.EventsDropped()
		close(slow)
		synctest.Wait()
		succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		last := r.events[len(r.events)-1]
		assert.EqualValues(t, 33, last.Seq, "three for each job")
		assert.Len(t, r.events, int(33-dropped))
		assert.Greater(t, dropped, uint64(20))
	})
}

// S-O2: a listener may call anything, the dispatcher's own methods and Close included. [gobreaker deadlocks there]
func TestListenerMayCallAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *dispatcher.Dispatcher
		closed := make(chan error, 1)
		ready := make(chan struct{})
		d = open(t, dispatcher.Config{OnEvent: func(e dispatcher.Event) {
			<-ready
			d.Snapshot()
			d.Pause()
			d.Resume()
			switch {
			case e.Kind == dispatcher.JobSettled && e.Job == 1:
				_, err := dispatcher.Do(context.Background(), d, newTimeline().marking(time.Second, nil))
				assert.NoError(t, err)
			case e.Kind == dispatcher.JobSettled:
				closed <- d.Close(context.Background())
			}
		}})
		close(ready)
		succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		assert.NoError(t, <-closed)
	})
}

// Who flushes waits for what has happened, for no more than that, and no longer than he wants.
func TestFlushEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard atomic.Int64
		d := open(t, dispatcher.Config{OnEvent: func(dispatcher.Event) {
			time.Sleep(time.Second)
			heard.Add(1)
		}})
		require.NoError(t, d.FlushEvents(t.Context()), "nothing has happened")
		line := newTimeline()
		for range 3 {
			submit(t, d, newTimeline().marking(0, nil))
		}
		require.NoError(t, d.WaitIdle(t.Context()))
		hasty, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, d.FlushEvents(hasty), context.DeadlineExceeded)
		require.Equal(t, 1500*time.Millisecond, line.now())
		both := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				if d.FlushEvents(t.Context()) == nil {
					both <- line.now()
				}
			}()
		}
		synctest.Wait()
		succeed(t, submit(t, d, newTimeline().marking(0, nil))) // more has happened
		first, second := <-both, <-both
		require.Equal(t, first, second)
		require.EqualValues(t, line.now()/time.Second, heard.Load())
		told := heard.Load()
		require.NoError(t, d.Close(t.Context()))
		require.NoError(t, d.FlushEvents(t.Context()))
		require.Greater(t, heard.Load(), told, "the second and third of them were told first")
		require.EqualValues(t, line.now()/time.Second, heard.Load())
		now := line.now()
		require.NoError(t, d.FlushEvents(t.Context()), "there is nothing left")
		for range 100 {
			require.NoError(t, d.FlushEvents(hasty), "nor is there to wait for")
		}
		require.Equal(t, now, line.now())
		require.Zero(t, d.EventsDropped())
	})
}

// What was dropped is not waited for, nor what nobody hears; and the listener does not wait for itself.
func TestFlushEventsThatNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *dispatcher.Dispatcher
		var own error
		ready := make(chan struct{})
		d = open(t, dispatcher.Config{EventBuffer: 1, OnEvent: func(dispatcher.Event) {
			<-ready
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			own = d.FlushEvents(ctx)
		}})
		for range 10 {
			succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		}
		require.NotZero(t, d.EventsDropped())
		close(ready)
		require.NoError(t, d.FlushEvents(t.Context()))
		require.ErrorIs(t, own, context.DeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		succeed(t, submit(t, d, newTimeline().marking(0, nil)))
		require.NoError(t, d.FlushEvents(t.Context()))
		require.ErrorIs(t, d.FlushEvents(nil), dispatcher.ErrNilContext) //nolint:staticcheck // on purpose
		var none *dispatcher.Dispatcher
		require.ErrorIs(t, none.FlushEvents(t.Context()), dispatcher.ErrNilDispatcher)
	})
}

// A listener that ends its goroutine, as a check that fails a test does, has missed nothing by that.
func TestListenerEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []uint64
		d := open(t, dispatcher.Config{OnEvent: func(e dispatcher.Event) {
			heard = append(heard, e.Seq)
			runtime.Goexit()
		}})
		const jobs = 10
		for range jobs {
			succeed(t, submit(t, d, newTimeline().marking(time.Second, nil)))
		}
		require.NoError(t, d.Close(t.Context()))
		require.NoError(t, d.FlushEvents(t.Context()))
		require.GreaterOrEqual(t, len(heard), jobs)
		for i, seq := range heard {
			require.Equal(t, uint64(i+1), seq)
		}
		require.Zero(t, d.EventsDropped())
	})
}

// What is logged has attributes, for machines to find.
func TestLogValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "until" {
				return slog.Attr{}
			}
			return a
		}}))
		r := &recorder{start: time.Now()}
		d := open(t, dispatcher.Config{Name: "logged", Breaker: breaker(1), OnEvent: r.hear, Limits: []policy.Limit{perSecond(1, 5)}})
		failed := failure(t, submit(t, d, newTimeline().marking(0, errBackend), dispatcher.WithKey("k")))
		synctest.Wait()
		log.Info("job failed", "job", failed)
		log.Info("state", "now", snapshot(d))
		require.NotEmpty(t, r.events)
		log.Info("event", "event", r.events[2])
		want := `{"level":"INFO","msg":"job failed","job":{"dispatcher":"logged","job":1,"attempts":1,"key":"k","reason":"failed (retries are off)","last":"backend says no"}}
{"level":"INFO","msg":"state","now":{"dispatcher":"logged","queued":0,"waiting":0,"running":0,"paused":false,"limit calls":{"level":4,"waiting":0},"key k":{"circuit":"open","cooling":0,"queued":0}}}
{"level":"INFO","msg":"event","event":{"seq":3,"event":"circuit opened","job":1,"key":"k"}}
`
		assert.Equal(t, want, out.String())
		var _ slog.LogValuer = (*job.Error)(nil)
	})
}
