package dispatcher_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// S-O3: Explain says what a job waits for, until when, and what would free it.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{
			Name: "batch", Workers: 3, KeyWorkers: 1, Groups: []dispatcher.Group{{Name: "gpu", Workers: 1}},
			Limits:  []policy.Limit{{Name: "tokens", Rate: policy.PerSecond(10), Burst: 50, DefaultCost: 1}},
			Retry:   exact(2, time.Minute),
			Breaker: policy.Breaker{FailureThreshold: 1},
		})
		says := func(want string, f *job.Future[int]) {
			t.Helper()
			synctest.Wait()
			assert.Equal(t, want, f.Explain().String())
		}
		line := newTimeline()
		running := submit(t, d, line.marking(time.Hour, nil), dispatcher.WithKey("a"), dispatcher.WithGroup("gpu"))
		says(`job 1 (key "a") of dispatcher "batch" is running, attempt 1`, running)
		says(`job 2 (key "a") of dispatcher "batch" is queued: it waits for a worker of key "a": all that it may have are busy (or an attempt of the key that ends, SetKeyWorkers)`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("a")))
		says(`job 3 (key "b") of dispatcher "batch" is queued: it waits for group "gpu": all its workers are busy (or an attempt of the group that ends, SetGroupWorkers)`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("b"), dispatcher.WithGroup("gpu")))
		says(`job 4 (key "c") of dispatcher "batch" is queued: it waits for limit "tokens" (49 of the 50 it costs), in 100ms (or SetRate, SetBurst, a refund)`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("c"), dispatcher.WithCost("tokens", 50)))
		says(`job 5 (key "d") of dispatcher "batch" is queued: it waits for its turn: jobs before it wait for what it needs too`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("d")))
		time.Sleep(10 * time.Second)
		says(`job 6 (key "e") of dispatcher "batch" is waiting: it waits for its delay to be over, in 1m0s`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("e"), dispatcher.WithDelay(time.Minute)))
		retried := submit(t, d, script(line, policy.Transient(errBackend)), dispatcher.WithKey("f"))
		says(`job 7 (key "f") of dispatcher "batch" is waiting after 1 attempt (backend says no): it waits for its backoff to be over, in 1m0s`, retried)
		says(`job 8 (key "f") of dispatcher "batch" is queued: it waits for the circuit of key "f", in 30s (or a probe that succeeds, Reset, ForceClosed)`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("f")))
		throttled := submit(t, d, script(line, policy.Throttled(errBackend, 20*time.Minute)), dispatcher.WithKey("g"))
		says(`job 9 (key "g") of dispatcher "batch" is settled after 1 attempt (backend says no)`, throttled)
		d.Pause()
		says(`job 10 (key "g") of dispatcher "batch" is queued: it waits for the dispatcher, which is paused (or Resume); and for the cooldown of key "g", whose server was sent too much, in 20m0s`,
			submit(t, d, line.marking(0, nil), dispatcher.WithKey("g")))
		d.Resume()

		waits := retried.Explain().Waits
		assert.Equal(t, []job.Wait{{For: "instant", In: time.Minute, Why: "its backoff to be over"}}, waits)
		running.Cancel()
		says(`job 1 (key "a") of dispatcher "batch" is settled after 1 attempt`, running)
		assert.Equal(t, job.Explanation{}, new(job.Future[int]).Explain())
	})
}

// What is known of a job that keeps failing: how each attempt ended, as of the call.
func TestExplainTellsTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dispatcher.Config{Name: "failing", Retry: exact(20, time.Second)})
		failing := submit(t, d, newTimeline().marking(100*time.Millisecond, policy.Transient(errBackend)))
		explained := func(after time.Duration) job.Explanation {
			time.Sleep(after)
			synctest.Wait()
			return failing.Explain()
		}
		early := explained(500 * time.Millisecond)
		assert.Equal(t, `job 1 of dispatcher "failing" is waiting after 1 attempt (backend says no): it waits for its backoff to be over, in 600ms`, early.String())
		assert.Len(t, early.History.First, 1)
		eight := explained(7500 * time.Millisecond)
		nine := explained(1500 * time.Millisecond)
		assert.Equal(t, 9, nine.Attempts)
		for numbers, said := range map[[8]int]job.History{{1, 2, 3, 4, 5, 6, 7, 8}: eight.History, {1, 2, 3, 4, 6, 7, 8, 9}: nine.History} {
			list := slices.Concat(said.First, said.Last)
			require.Len(t, list, 8)
			for i, f := range list { // what has been said is not changed by what comes later
				want := job.Failure{N: numbers[i], At: time.Duration(numbers[i])*1100*time.Millisecond - time.Second, Took: 100 * time.Millisecond, Error: f.Error}
				assert.Equal(t, want, f)
				assert.ErrorIs(t, f.Error, errBackend)
			}
		}
		failing.Cancel()
	})
}

// Of a dispatcher that has ended, every job is over.
func TestExplainAfterClose(t *testing.T) {
	d := open(t, dispatcher.Config{Name: "closed"})
	f := submit(t, d, func(context.Context) (int, error) { return 0, nil })
	assert.NoError(t, d.Close(context.Background()))
	assert.Equal(t, `job 1 of dispatcher "closed" is settled`, f.Explain().String())
}
