package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// S-C1, S-A5: a full group holds up its own jobs, whatever their keys, and nobody else.
func TestGroupBoundsItsOwnJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Groups: []dispatcher.Group{{Name: "gpu", Workers: 2}}})
		gpu, others := newTimeline(), newTimeline()
		var futures []*job.Future[int]
		for _, key := range []string{"a", "b", "a", "b"} {
			futures = append(futures, submit(t, d, gpu.marking(time.Second, nil), dispatcher.WithKey(key), dispatcher.WithGroup("gpu")))
			futures = append(futures, submit(t, d, others.marking(time.Second, nil), dispatcher.WithKey(key)))
		}
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, seconds(0, 0, 1, 1), gpu.all())
		assert.Equal(t, seconds(0, 0, 0, 0), others.all())
	})
}

// S-C3: a group that is made smaller pre-empts nobody and admits nobody until there is room; a larger one admits at once.
func TestSetGroupWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Groups: []dispatcher.Group{{Name: "gpu", Workers: 2}}})
		line := newTimeline()
		var futures []*job.Future[int]
		for i := range 4 {
			futures = append(futures, submit(t, d, line.marking(time.Duration(i+1)*time.Second, nil), dispatcher.WithGroup("gpu")))
		}
		synctest.Wait()
		require.NoError(t, d.SetGroupWorkers("gpu", 1))
		time.Sleep(1500 * time.Millisecond)
		assert.Equal(t, ms(0, 0), line.all())
		time.Sleep(time.Second)
		assert.Equal(t, ms(0, 0, 2000), line.all())
		require.NoError(t, d.SetGroupWorkers("gpu", 5))
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, ms(0, 0, 2000, 2500), line.all())
		assert.Equal(t, "gpu", snapshot(d).Groups[0].Name)
	})
}

// S-C1: a key has no more attempts in flight than it may, by the rule for all or by its own; and that can be changed (S-C3).
func TestKeyWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{KeyWorkers: 1, Keys: func(key string) dispatcher.KeyConfig {
			if key == "wide" {
				return dispatcher.KeyConfig{Workers: 3}
			}
			return dispatcher.KeyConfig{}
		}})
		wide, narrow := newTimeline(), newTimeline()
		var futures []*job.Future[int]
		for range 3 {
			futures = append(futures, submit(t, d, wide.marking(time.Second, nil), dispatcher.WithKey("wide")),
				submit(t, d, narrow.marking(time.Second, nil), dispatcher.WithKey("narrow")))
		}
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, d.SetKeyWorkers(2))
		for _, future := range futures {
			succeed(t, future)
		}
		assert.Equal(t, ms(0, 0, 0), wide.all())
		assert.Equal(t, ms(0, 500, 1000), narrow.all())
		assert.ErrorIs(t, d.SetKeyWorkers(-1), policy.ErrInvalid)
	})
}

// S-A5: where keys share a limit, one of weight 3 gets three times the turns.
func TestKeyWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Limits: []policy.Limit{{Name: "calls", Rate: policy.PerSecond(1), Burst: 1, Initial: policy.Empty}},
			Keys: func(key string) dispatcher.KeyConfig {
				return dispatcher.KeyConfig{Weight: map[string]int{"heavy": 3}[key]}
			},
		})
		line := newTimeline()
		var futures []*job.Future[int]
		for range 20 {
			for _, key := range []string{"light", "heavy"} {
				futures = append(futures, submit(t, d, line.naming(key, 0, nil), dispatcher.WithKey(key)))
			}
		}
		time.Sleep(20500 * time.Millisecond)
		heavy := 0
		for _, key := range line.order() {
			if key == "heavy" {
				heavy++
			}
		}
		assert.Len(t, line.order(), 20)
		assert.Equal(t, 15, heavy)
		for _, future := range futures {
			succeed(t, future)
		}
	})
}

// A key's own breaker beats that of all (S-B1), and Keys is asked off the loop: it may call the dispatcher (S-O1).
func TestKeyBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *dispatcher.Dispatcher
		asked := 0
		d = open(t, dispatcher.Config{Breaker: policy.Breaker{FailureThreshold: 5}, Keys: func(key string) dispatcher.KeyConfig {
			asked++
			d.Snapshot()
			if key == "touchy" {
				return dispatcher.KeyConfig{Breaker: &policy.Breaker{FailureThreshold: 1}}
			}
			return dispatcher.KeyConfig{}
		}})
		for _, key := range []string{"touchy", "calm"} {
			for range 2 {
				_, err := dispatcher.Do(context.Background(), d, script(newTimeline(), errBackend), dispatcher.WithKey(key))
				assert.Error(t, err)
			}
		}
		states := map[string]policy.State{}
		for _, key := range snapshot(d).Keys {
			states[key.Key] = key.Circuit
		}
		assert.Equal(t, map[string]policy.State{"touchy": policy.Open, "calm": policy.Closed}, states)
		assert.Equal(t, 2, asked, "once for each key")
	})
}

// What makes no sense is refused where it is said, and names the field, the value and what is allowed.
func TestConcurrencyRefusals(t *testing.T) {
	_, err := dispatcher.New(dispatcher.Config{
		KeyWorkers: -1,
		Budget:     policy.Budget{Ratio: 2},
		Groups:     []dispatcher.Group{{Name: "a", Workers: 1}, {Name: "a", Workers: 1}, {Workers: 1}, {Name: "b"}},
	})
	for _, text := range []string{"Config.KeyWorkers is -1", "Budget.Ratio is 2", `"a" twice`, `Config.Groups is ""`, `Config.Groups("b").Workers is 0`} {
		assert.ErrorContains(t, err, text)
	}
	d := open(t, dispatcher.Config{Groups: []dispatcher.Group{{Name: "gpu", Workers: 1}}, Keys: func(key string) dispatcher.KeyConfig {
		return dispatcher.KeyConfig{Weight: -1, Workers: len(key)}
	}})
	refused := func(err error, texts ...string) {
		t.Helper()
		require.ErrorIs(t, err, policy.ErrInvalid)
		for _, text := range texts {
			assert.ErrorContains(t, err, text)
		}
	}
	_, err = dispatcher.Submit(context.Background(), d, newTimeline().marking(0, nil), dispatcher.WithGroup("cpu"))
	refused(err, `group "cpu" is unknown`, `"gpu"`)
	_, err = dispatcher.Submit(context.Background(), d, newTimeline().marking(0, nil))
	refused(err, `Config.Keys("").Weight is -1`)
	refused(d.SetGroupWorkers("cpu", 1), `group "cpu" is unknown`)
	refused(d.SetGroupWorkers("gpu", 0), "at least 1")
}

// S-R11: when the key's share of retries is used up, the job fails with that reason and its last cause.
func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Retry: exact(10, time.Second), Budget: policy.Budget{Ratio: 0.1, MinRetries: 2, Window: time.Minute}})
		line := newTimeline()
		failed := failure(t, submit(t, d, line.marking(0, policy.Transient(errBackend))))
		assert.ErrorIs(t, failed, job.ErrRetryBudget)
		assert.ErrorIs(t, failed, errBackend)
		assert.Equal(t, seconds(0, 1, 2), line.all())
		_, err := await(t, submit(t, d, line.marking(0, policy.Transient(errBackend)), dispatcher.WithKey("another")))
		assert.ErrorIs(t, err, job.ErrRetryBudget)
		assert.Len(t, line.all(), 6, "each key has its own")
	})
}

// S-R10: a result can be one to try again; when attempts are used up the error has it.
func TestRetryOnResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := exact(3, time.Second)
		retry.OnResult = func(result any) bool { return result == "" }
		d := open(t, dispatcher.Config{Retry: retry, Breaker: policy.Breaker{FailureThreshold: 3}})
		n := 0
		value, err := await(t, submit(t, d, func(context.Context) (string, error) {
			n++
			return map[bool]string{true: "at last"}[n == 2], nil
		}))
		require.NoError(t, err)
		assert.Equal(t, "at last", value)

		failed := failure(t, submit(t, d, func(context.Context) (string, error) { return "", nil }))
		assert.ErrorIs(t, failed, job.ErrMaxRetriesExceeded)
		var unwanted *job.ResultError
		require.ErrorAs(t, failed, &unwanted)
		assert.Empty(t, unwanted.Result)
		assert.Equal(t, policy.Open, snapshot(d).Keys[0].Circuit, "three failures of the backend")
	})
}

// S-L3: a sliding limit never lets more through than it says, in any window, from the first second on; and Submit refuses what
// never could.
func TestSlidingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Limits: []policy.Limit{{Name: "calls", Rate: policy.PerMinute(3), Burst: 3, Sliding: true}}})
		line := newTimeline()
		var futures []*job.Future[int]
		for range 7 {
			futures = append(futures, submit(t, d, line.marking(0, nil)))
		}
		for _, future := range futures {
			succeed(t, future)
		}
		all := line.all()
		for i := 3; i < len(all); i++ {
			assert.Greater(t, all[i]-all[i-3], time.Minute)
			assert.Less(t, all[i]-all[i-3], 61*time.Second)
		}
		_, err := dispatcher.Submit(context.Background(), d, line.marking(0, nil), dispatcher.WithCost("calls", 3.5))
		assert.ErrorIs(t, err, policy.ErrInvalid)
	})
}
