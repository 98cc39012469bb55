package dispatcher_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// allocations returns how many objects a call of f allocates on average, on whatever goroutine. [testing.AllocsPerRun] would round
// down, and let half an object pass.
func allocations(f func()) float64 {
	const runs = 5000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 1000 { // until slices and pools have their size
		f()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs
}

// A job costs one object, the task itself, be it submitted and awaited or done on the spot, alone or one of many; a context that
// can end costs nothing more, as long as its jobs share it. The function that is passed is the caller's, and here it is made once.
func TestAllocations(t *testing.T) {
	const slack = .05 // timers, and the runtime's own
	fn := func(context.Context) (int, error) { return 7, nil }
	background := context.Background()
	shared, cancel := context.WithCancel(background)
	defer cancel()
	submit := func(ctx context.Context, fn job.Func[int], options ...dispatcher.Option) func(*testing.T, *dispatcher.Dispatcher) {
		return func(t *testing.T, d *dispatcher.Dispatcher) {
			future, err := dispatcher.Submit(ctx, d, fn, options...)
			if err != nil {
				t.Fatal(err)
			}
			if value, err := future.Await(background); value != 7 || err != nil {
				t.Fatal(value, err)
			}
		}
	}
	for _, c := range []struct {
		name string
		most float64
		do   func(t *testing.T, d *dispatcher.Dispatcher)
	}{
		{"Submit", 1, submit(background, fn)},
		{"Submit with a context that can end", 1, submit(shared, fn)},
		{"Submit that is settled when it is awaited", 1, func(t *testing.T, d *dispatcher.Dispatcher) {
			future, err := dispatcher.Submit(background, d, fn)
			if err != nil {
				t.Fatal(err)
			}
			for future.State() == job.Pending {
				runtime.Gosched()
			}
			if value, err := future.Await(shared); value != 7 || err != nil {
				t.Fatal(value, err)
			}
		}},
		{"Do", 1, func(t *testing.T, d *dispatcher.Dispatcher) {
			if value, err := dispatcher.Do(background, d, fn); value != 7 || err != nil {
				t.Fatal(value, err)
			}
		}},
		{"Do with a context that can end", 1, func(t *testing.T, d *dispatcher.Dispatcher) {
			if value, err := dispatcher.Do(shared, d, fn); value != 7 || err != nil {
				t.Fatal(value, err)
			}
		}},
		{"Submit with a timeout", 3, submit(background, fn, dispatcher.WithTimeout(time.Hour))},
		{"Submit with a key", 1, submit(background, fn, dispatcher.WithKey("key"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := dispatcher.New(dispatcher.Config{})
			require.NoError(t, err)
			defer d.Close(background)
			got := allocations(func() { c.do(t, d) })
			t.Logf("%.3f objects", got)
			assert.LessOrEqual(t, got, c.most+slack)
		})
	}
}

// A Do that has to wait costs no more than one that need not: what it waits on is used again.
func TestAllocationsOfAWaitingDo(t *testing.T) {
	background := context.Background()
	d, err := dispatcher.New(dispatcher.Config{Workers: 1})
	require.NoError(t, err)
	defer d.Close(background)
	turns, over := make(chan struct{}), make(chan struct{})
	running := make(chan struct{})
	var failed atomic.Int32
	do := func(fn job.Func[int]) {
		if value, err := dispatcher.Do(background, d, fn); value != 7 || err != nil {
			failed.Add(1)
		}
	}
	long := func(context.Context) (int, error) {
		running <- struct{}{}
		for dispatcher.CallersWaiting(d) == 0 {
			runtime.Gosched()
		}
		return 7, nil
	}
	short := func(context.Context) (int, error) { return 7, nil }
	go func() {
		defer close(over)
		for range turns {
			do(long)
		}
	}()
	got := allocations(func() {
		turns <- struct{}{}
		<-running
		do(short)
	})
	close(turns)
	<-over
	t.Logf("%.3f objects", got)
	assert.LessOrEqual(t, got, 2*1.05, "of two calls, one of which waits for the other to end")
	assert.Zero(t, failed.Load())
	assert.Zero(t, dispatcher.CallersWaiting(d))
	assert.Zero(t, dispatcher.CallersKnown(d))
}

// What it costs a job to wait for many others does not grow with their number: they come one by one, and it waits again for each.
func TestAllocationsOfAWaitInside(t *testing.T) {
	const jobs = 2000
	d, err := dispatcher.New(dispatcher.Config{Workers: 2})
	require.NoError(t, err)
	defer d.Close(context.Background())
	var before, after runtime.MemStats
	_, err = dispatcher.Do(context.Background(), d, func(ctx context.Context) (int, error) {
		futures := make([]*job.Future[int], jobs)
		for i := range futures {
			future, err := dispatcher.Submit(ctx, d, func(context.Context) (int, error) { time.Sleep(10 * time.Microsecond); return 0, nil })
			if err != nil {
				return 0, err
			}
			futures[i] = future
		}
		runtime.ReadMemStats(&before)
		_, err := job.All(ctx, futures...)
		runtime.ReadMemStats(&after)
		return 0, err
	})
	require.NoError(t, err)
	got := float64(after.Mallocs-before.Mallocs) / jobs
	t.Logf("%.1f objects a job", got)
	assert.LessOrEqual(t, got, 30.0)
}
