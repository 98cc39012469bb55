package dispatcher_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// A dispatcher that idles holds nothing of the jobs it has had, however they ended: neither what their functions refer to nor
// what they returned. A future keeps its result for as long as somebody has the future.
func TestNothingIsRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Workers: 2, Groups: []dispatcher.Group{{Name: "g", Workers: 1}},
			Limits: []policy.Limit{
				{Name: "calls", Rate: policy.PerSecond(2), Burst: 3}, {Name: "own", Rate: policy.PerSecond(2), Burst: 3, PerKey: true},
			},
			Shared:  []*dispatcher.SharedLimit{share(t, policy.Limit{Name: "shared", Rate: policy.PerSecond(3), Burst: 2})},
			Retry:   policy.Retry{MaxAttempts: 2, Delay: time.Second},
			Breaker: policy.Breaker{FailureThreshold: 4, RecoveryTimeout: time.Second, WhenOpen: policy.FailFast},
			OnEvent: func(dispatcher.Event) {},
		})
		kept := &retained{}
		everyEnd(t, d, kept)
		require.NoError(t, d.WaitIdle(t.Context()))
		time.Sleep(time.Minute) // the pool's goroutines end
		synctest.Wait()
		runtime.GC()
		runtime.GC() // what the first one has found to be free
		assert.Empty(t, kept.names())
	})
}

// everyEnd has jobs end in every way, several times, and drops their futures.
func everyEnd(t *testing.T, d *dispatcher.Dispatcher, kept *retained) {
	t.Helper()
	ends := map[string]error{
		"succeeds": nil, "fails": errBackend, "retried": policy.Transient(errBackend), "throttled": policy.Throttled(errBackend, time.Second),
		"fatal": policy.Fatal(errBackend), "neutral": policy.Neutral(errBackend),
	}
	var futures []*job.Future[*[1 << 12]byte]
	submitAll := func() {
		for name, err := range ends {
			for _, key := range []string{"", name} {
				fn := kept.job(name, time.Millisecond, err)
				futures = append(futures, submit(t, d, fn, dispatcher.WithKey(key), dispatcher.WithGroup("g"), dispatcher.WithCost("calls", .5)),
					submit(t, d, fn, dispatcher.WithKey(key), dispatcher.WithDeadline(time.Now().Add(2*time.Second))))
			}
		}
	}
	submitAll()
	for _, f := range futures[:10] { // some of them waiting, some running
		f.Cancel()
		time.Sleep(time.Millisecond)
	}
	submitAll()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := job.First(ctx, futures...) // leaves the others unwatched
	require.NoError(t, err)
	job.Settled(t.Context(), futures...)
	_, _ = dispatcher.Do(t.Context(), d, kept.job("do", 0, nil))
	each := func(ctx context.Context, _ int) (*[1 << 12]byte, error) {
		return kept.job("map", time.Second, nil)(ctx)
	}
	for range dispatcher.Map(t.Context(), d, numbers(1000), each, nil, dispatcher.InOrder()) {
		break
	}
}

// Who keeps an item of a Map keeps what is in it, and not what the Map was made of.
func TestItemKeepsNoStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{})
		kept := &retained{}
		item := firstItem(t, d, kept)
		time.Sleep(time.Minute) // the workers end
		synctest.Wait()
		runtime.GC()
		runtime.GC()
		assert.Empty(t, kept.names())
		assert.Equal(t, 2*item.In, item.Value)
	})
}

func firstItem(t *testing.T, d *dispatcher.Dispatcher, kept *retained) dispatcher.Item[int, int] {
	t.Helper()
	own := kept.make("the function's own")
	double := func(_ context.Context, n int) (int, error) { runtime.KeepAlive(own); return 2 * n, nil }
	for item := range dispatcher.Map(t.Context(), d, slices.Values([]int{7, 8, 9}), double, nil) {
		return item
	}
	return dispatcher.Item[int, int]{}
}

// retained tells what the garbage collector has not freed.
type retained struct {
	mu       sync.Mutex
	pointers []weak.Pointer[[1 << 12]byte] // guarded by mu
	of       []string                      // guarded by mu; whose they are
}

// job returns a function that refers to something and returns something.
func (r *retained) job(name string, takes time.Duration, err error) job.Func[*[1 << 12]byte] {
	own := r.make(name + "'s own")
	return func(ctx context.Context) (*[1 << 12]byte, error) {
		runtime.KeepAlive(own)
		return r.make(name + "'s result"), wait(ctx, takes, err)
	}
}

func (r *retained) make(name string) *[1 << 12]byte {
	made := new([1 << 12]byte)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pointers = append(r.pointers, weak.Make(made))
	r.of = append(r.of, name)
	return made
}

// names returns whose things are still there.
func (r *retained) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for i, p := range r.pointers {
		if p.Value() != nil {
			names = append(names, r.of[i])
		}
	}
	return names
}
