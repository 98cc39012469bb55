package job_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job"
)

var errPlain = errors.New("plain")

// owner is a job whose cancellation is scripted.
type owner struct {
	id     job.ID
	cancel func() job.Canceled
}

func (o *owner) JobID() job.ID           { return o.id }
func (o *owner) CancelJob() job.Canceled { return o.cancel() }

func (o *owner) ExplainJob() job.Explanation { return job.Explanation{ID: o.JobID()} }

func (o *owner) Place() job.Place { return job.PlaceOf("test") }

func (o *owner) AttendJobs(context.Context, []job.Owner) job.Attendance {
	panic("nobody is beside it")
}

func newPromise[T any](id job.ID) *job.Promise[T] {
	p := new(job.Promise[T])
	p.Init(&owner{id: id, cancel: func() job.Canceled {
		var zero T
		if !p.Settle(zero, &job.Error{ID: id, Reason: job.ErrCanceled}) {
			return job.AlreadySettled
		}
		return job.NeverRan
	}})
	return p
}

func TestSettleThenAwait(t *testing.T) {
	for name, err := range map[string]error{"value": nil, "error": errPlain} {
		t.Run(name, func(t *testing.T) {
			p := newPromise[string](7)
			f := p.Future()
			require.Same(t, f, p.Future())
			require.Equal(t, job.ID(7), f.ID())
			value, got, ok := f.Result()
			require.False(t, ok)
			require.NoError(t, got)
			require.Empty(t, value)

			require.True(t, p.Settle("answer", err))
			want := "answer"
			if err != nil {
				want = "" // there is no value with an error
			}
			for range 3 { // any number of times
				value, got = f.Await(t.Context())
				require.Equal(t, want, value)
				require.Equal(t, err, got)
				value, got, ok = f.Result()
				require.True(t, ok)
				require.Equal(t, want, value)
				require.Equal(t, err, got)
			}
		})
	}
}

// S-F1: only the first answer counts.
func TestSettleOnce(t *testing.T) {
	p := newPromise[int](1)
	require.True(t, p.Settle(1, nil))
	require.False(t, p.Settle(2, nil))
	require.False(t, p.Settle(0, errPlain))
	value, err := p.Future().Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, value)

	p = newPromise[int](1)
	require.True(t, p.Settle(0, errPlain))
	require.False(t, p.Settle(2, nil))
	_, err = p.Future().Await(t.Context())
	require.Equal(t, errPlain, err)
}

// S-F1, under a race: of many that settle at once exactly one wins, and everybody sees its answer.
func TestSettleRace(t *testing.T) {
	for range 200 {
		p := newPromise[int](1)
		f := p.Future()
		var wins atomic.Int64
		var winner atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if p.Settle(i, nil) {
					wins.Add(1)
					winner.Store(int64(i))
				}
			})
			wg.Go(func() {
				<-f.Done()
				value, err, ok := f.Result()
				again, errAgain := f.Await(t.Context())
				if !ok || err != nil || errAgain != nil || again != value {
					t.Errorf("Result: %v, %v, %v; Await: %v, %v", value, err, ok, again, errAgain)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int64(1), wins.Load())
		value, _, _ := f.Result()
		require.Equal(t, winner.Load(), int64(value))
	}
}

// S-F3: any number of waiters; all wake with the answer at the moment it is given. The bubble fails if one is left over.
func TestAwaitManyWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPromise[string](1)
		f := p.Future()
		start := time.Now()
		var woken int
		var mu sync.Mutex
		for range 100 {
			go func() {
				value, err := f.Await(t.Context())
				if err != nil || value != "answer" || time.Since(start) != time.Minute {
					t.Errorf("%q, %v after %v", value, err, time.Since(start))
				}
				mu.Lock()
				woken++
				mu.Unlock()
			}()
		}
		synctest.Wait()
		require.Zero(t, woken)
		time.Sleep(time.Minute)
		require.True(t, p.Settle("answer", nil))
		synctest.Wait()
		require.Equal(t, 100, woken)
	})
}

// S-F2, S-F3: one who gives up gets the cause of its own context, and neither the job nor the others notice.
func TestAwaitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(job.Promise[string])
		p.Init(&owner{id: 42, cancel: func() job.Canceled { t.Error("canceled"); return 0 }})
		f := p.Future()
		start := time.Now()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		value, err := f.Await(ctx)
		require.Equal(t, time.Second, time.Since(start))
		require.Empty(t, value)
		require.ErrorIs(t, err, job.ErrNotSettled)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Contains(t, err.Error(), "job 42")

		because, cancelBecause := context.WithCancelCause(t.Context())
		cancelBecause(errPlain)
		_, err = f.Await(because)
		require.ErrorIs(t, err, job.ErrNotSettled)
		require.ErrorIs(t, err, errPlain)

		require.True(t, p.Settle("answer", nil), "the job goes on")
		value, err = f.Await(ctx)
		require.NoError(t, err, "settled already, although the context has ended")
		require.Equal(t, "answer", value)
	})
}

// tieContext ends at the very moment at which somebody begins to wait for it, and so does the job.
type tieContext struct {
	context.Context
	settle func()
}

func (c *tieContext) Done() <-chan struct{} { c.settle(); return c.Context.Done() }

// S-F3: a settled job wins a tie.
func TestAwaitTie(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 { // select takes either of two that are ready
		p := newPromise[string](1)
		ctx := &tieContext{Context: ended, settle: func() { p.Settle("answer", nil) }}
		value, err := p.Future().Await(ctx)
		require.NoError(t, err)
		require.Equal(t, "answer", value)
	}
}

func TestDone(t *testing.T) {
	p := newPromise[int](1)
	f := p.Future()
	done := f.Done()
	require.Equal(t, done, f.Done(), "always the same channel")
	select {
	case <-done:
		t.Fatal("closed too early")
	default:
	}
	p.Settle(1, nil)
	<-done
	require.Equal(t, done, f.Done())
	require.False(t, p.Settle(2, nil), "a second answer does not close it again")

	p = newPromise[int](1) // asked for afterwards
	p.Settle(1, nil)
	done = p.Future().Done()
	<-done
	require.Equal(t, done, p.Future().Done())
}

// S-F4: Cancel asks the owner while the job is not settled, and not afterwards.
func TestCancel(t *testing.T) {
	for _, answer := range []job.Canceled{job.AlreadySettled, job.NeverRan, job.BetweenAttempts, job.Signaled} {
		calls := 0
		p := new(job.Promise[int])
		p.Init(&owner{cancel: func() job.Canceled { calls++; return answer }})
		require.Equal(t, answer, p.Future().Cancel())
		require.Equal(t, 1, calls)
		p.Settle(1, nil)
		require.Equal(t, job.AlreadySettled, p.Future().Cancel())
		require.Equal(t, 1, calls)
	}

	p := newPromise[int](1)
	require.Equal(t, job.NeverRan, p.Future().Cancel())
	_, err := p.Future().Await(t.Context())
	require.ErrorIs(t, err, job.ErrCanceled)
	require.Equal(t, job.AlreadySettled, p.Future().Cancel())
	require.False(t, p.Settle(1, nil), "canceled work is never a success")
	_, err = p.Future().Await(t.Context())
	require.ErrorIs(t, err, job.ErrCanceled)
}

func TestZeroFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f job.Future[string]
		require.Zero(t, f.ID())
		_, _, ok := f.Result()
		require.False(t, ok)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := f.Await(ctx)
		require.ErrorIs(t, err, job.ErrNotSettled)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, job.NeverRan, f.Cancel(), "it is not settled, and never will be")
		select {
		case <-f.Done():
			t.Error("a zero Future never settles")
		default:
		}
	})
}

// A nil future, of a submission whose error nobody looked at, has ended with an error that says so; nothing panics or hangs.
func TestNilFuture(t *testing.T) {
	var f *job.Future[string]
	_, err := f.Await(t.Context())
	require.ErrorIs(t, err, job.ErrNilFuture)
	_, err, ok := f.Result()
	require.True(t, ok)
	require.ErrorIs(t, err, job.ErrNilFuture)
	<-f.Done()
	require.Equal(t, job.Failed, f.State())
	require.Equal(t, job.AlreadySettled, f.Cancel())
	require.Zero(t, f.ID())
	require.Zero(t, f.Explain())
}

func TestCanceledText(t *testing.T) {
	for want, c := range map[string]job.Canceled{
		"already settled": job.AlreadySettled, "never ran": job.NeverRan, "between attempts": job.BetweenAttempts,
		"signaled": job.Signaled, "Canceled(9)": 9,
	} {
		assert.Equal(t, want, c.String())
	}
}

// A future without waiters costs no channel.
func TestSettleDoesNotAllocate(t *testing.T) {
	promises := make([]job.Promise[int], 200)
	i := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		promises[i].Settle(1, nil)
		_, _, _ = promises[i].Future().Result()
		_, _ = promises[i].Future().Await(context.Background())
		i++
	}))
}

func ExampleFuture_Await() {
	var p job.Promise[string] // a dispatcher keeps this side
	future := p.Future()
	go p.Settle("the answer", nil)

	answer, err := future.Await(context.Background())
	fmt.Println(answer, err)
	// Output: the answer <nil>
}
