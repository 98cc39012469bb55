package job_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job"
)

// A future is small, and only whoever wants to be told makes an audience; whoever can wait for nothing else waits without. What
// follows looks whether all of them see the same, in whatever order they come.

// outcome is what somebody has seen of a future.
type outcome struct {
	value string
	err   error
}

// waits are the ways of waiting for a future.
var waits = map[string]func(f *job.Future[string]) outcome{
	"Await, which nothing else ends": func(f *job.Future[string]) outcome {
		value, err := f.Await(context.Background())
		return outcome{value, err}
	},
	"Await, which a context could end": func(f *job.Future[string]) outcome {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		value, err := f.Await(ctx)
		return outcome{value, err}
	},
	"Done": func(f *job.Future[string]) outcome {
		<-f.Done()
		value, err, ok := f.Result()
		if !ok {
			panic("Done is closed, and there is no result")
		}
		return outcome{value, err}
	},
	"Completed": func(f *job.Future[string]) (seen outcome) {
		for _, result := range job.Completed(context.Background(), f, f) {
			seen = outcome{result.Value, result.Err}
		}
		return seen
	},
}

// promiseKinds are promises of a job and of none, and how they are settled.
var promiseKinds = map[string]func() (p *job.Promise[string], settle func(value string, err error) bool){
	"of a job": func() (*job.Promise[string], func(string, error) bool) {
		p := newPromise[string](1)
		return p, p.Settle
	},
	"of a job, kept": func() (*job.Promise[string], func(string, error) bool) {
		p := newPromise[string](1)
		return p, func(value string, err error) bool { p.Keep(value); return p.SettleKept(err) }
	},
	"of none": func() (*job.Promise[string], func(string, error) bool) {
		p := new(job.Promise[string])
		return p, p.Settle
	},
	"of none, said so": func() (*job.Promise[string], func(string, error) bool) {
		p := new(job.Promise[string])
		p.Init(nil)
		return p, p.Settle
	},
}

// S-F3: many who wait, in every way and before and after the answer is there, all see it, at once.
func TestEveryWaiterSeesTheAnswer(t *testing.T) {
	for kind, newKind := range promiseKinds {
		for _, want := range []outcome{{value: "answer"}, {err: errPlain}} {
			t.Run(kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, settle := newKind()
					f := p.Future()
					start := time.Now()
					var group sync.WaitGroup
					wait := func(at time.Duration) {
						for name, wait := range waits {
							for range 20 {
								group.Go(func() {
									assert.Equal(t, want, wait(f), name)
									assert.Equal(t, at, time.Since(start), name)
								})
							}
						}
					}
					wait(time.Minute)
					time.Sleep(30 * time.Second)
					wait(time.Minute)
					synctest.Wait()
					assert.Equal(t, job.Pending, f.State())
					time.Sleep(30 * time.Second)
					assert.True(t, settle("answer", want.err))
					wait(time.Minute)
					group.Wait()
					wait(time.Minute)
					group.Wait()
					assert.False(t, settle("another", nil), "the first answer counts (S-F1)")
					assert.False(t, settle("", errOne))
					if want.err == nil {
						assert.Equal(t, job.Succeeded, f.State())
					} else {
						assert.Equal(t, job.Failed, f.State())
					}
					assert.Equal(t, job.AlreadySettled, f.Cancel())
					assert.Zero(t, job.Watchers(f), "all have been told")
				})
			})
		}
	}
}

// S-F1, S-F3, in a race: those who ask for Done, watch, await and look while the answer is given all get it; Done is the same
// channel for all, and is closed. With an error the audience is made by who settles, too.
func TestAskedWhileSettling(t *testing.T) {
	for round := range 2000 {
		kind := [...]string{"of a job", "of a job, kept", "of none"}[round%3]
		p, settle := promiseKinds[kind]()
		f := p.Future()
		want := outcome{value: "answer"}
		if round%2 == 0 {
			want = outcome{err: errPlain}
		}
		var group sync.WaitGroup
		var ready atomic.Int32
		together := func(do func()) {
			group.Go(func() {
				for ready.Add(1); ready.Load() < 6; {
					runtime.Gosched()
				}
				do()
			})
		}
		channels := make([]<-chan struct{}, 3)
		for i := range channels {
			together(func() {
				channels[i] = f.Done()
				<-channels[i]
				value, err, ok := f.Result()
				assert.True(t, ok)
				assert.Equal(t, want, outcome{value, err})
			})
		}
		together(func() {
			value, err := f.Await(context.Background())
			assert.Equal(t, want, outcome{value, err})
		})
		together(func() {
			for _, result := range job.Completed(t.Context(), f) {
				assert.Equal(t, want, outcome{result.Value, result.Err})
			}
		})
		together(func() { assert.True(t, settle("answer", want.err)) })
		group.Wait()
		for _, done := range channels {
			require.Equal(t, channels[0], done)
		}
		require.Zero(t, job.Watchers(f))
	}
}

// A value that is kept while the job has failed already is seen by nobody: a function that ignored its cancellation may still
// be at it (S-F1, S-F4).
func TestKeptTooLate(t *testing.T) {
	p := newPromise[string](1)
	f := p.Future()
	var group sync.WaitGroup
	require.True(t, p.SettleKept(errPlain))
	group.Go(func() { p.Keep("late") })
	for range 4 {
		group.Go(func() {
			value, err := f.Await(context.Background())
			assert.Equal(t, outcome{err: errPlain}, outcome{value, err})
		})
	}
	group.Wait()
	value, err, ok := f.Result()
	assert.True(t, ok)
	assert.Equal(t, outcome{err: errPlain}, outcome{value, err})
}

// Of what was kept, the latest is the answer; and what was given with an error is not.
func TestKept(t *testing.T) {
	p := newPromise[string](1)
	p.Keep("first")
	p.Keep("second")
	value, _, ok := p.Future().Result()
	assert.False(t, ok)
	assert.Empty(t, value, "not before it is settled")
	require.True(t, p.SettleKept(nil))
	value, err := p.Future().Await(t.Context())
	assert.Equal(t, outcome{value: "second"}, outcome{value, err})

	p = newPromise[string](1)
	require.True(t, p.Settle("value", errPlain))
	value, err = p.Future().Await(t.Context())
	assert.Equal(t, outcome{err: errPlain}, outcome{value, err})
}

// Who stops waiting is forgotten: a future that many have watched in vain holds none of them.
func TestWatchersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := newPromise[int](1)
		for i := range 30 {
			soon := newPromise[int](2)
			time.AfterFunc(time.Second, func() { soon.Settle(1, nil) })
			switch i % 3 {
			case 0:
				_, err := job.First(t.Context(), never.Future(), soon.Future())
				assert.NoError(t, err)
			case 1:
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := job.All(ctx, never.Future(), never.Future())
				assert.ErrorIs(t, err, job.ErrNotSettled)
				cancel()
			default:
				for range job.Completed(t.Context(), soon.Future(), never.Future()) {
					assert.Zero(t, job.Watchers(soon.Future()), "who has been told is not kept either")
					assert.Equal(t, 1, job.Watchers(never.Future()))
					break
				}
			}
			assert.Zero(t, job.Watchers(never.Future()))
			assert.Zero(t, job.Watchers(soon.Future()))
		}
		never.Settle(1, nil)
	})
}

// A zero Future, and a promise that nobody has said a job for, can be asked for everything. Only the latter can be settled.
func TestFutureOfNoJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(f *job.Future[string]) {
			assert.Zero(t, f.ID())
			assert.Zero(t, f.Explain())
			assert.Equal(t, job.Pending, f.State())
			assert.Equal(t, job.NeverRan, f.Cancel())
			_, _, ok := f.Result()
			assert.False(t, ok)
			done := f.Done()
			assert.Equal(t, done, f.Done())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := f.Await(ctx)
			assert.ErrorIs(t, err, job.ErrNotSettled)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = job.First(ctx, f)
			assert.ErrorIs(t, err, job.ErrNotSettled)
			_, err = f.Await(nil) //nolint:staticcheck // that is what it is about
			assert.ErrorIs(t, err, job.ErrNilContext)
			select {
			case <-done:
				t.Error("it is not settled")
			default:
			}
		}
		ask(new(job.Future[string]))
		p := new(job.Promise[string])
		ask(p.Future())
		require.True(t, p.Settle("answer", nil))
		for name, wait := range waits {
			assert.Equal(t, outcome{value: "answer"}, wait(p.Future()), name)
		}
	})
}

// What a future costs: nothing while nobody wants to be told, an audience and its channel once somebody does, and an audience for
// an error.
func TestAudienceAllocates(t *testing.T) {
	promises := make([]job.Promise[int], 2000)
	for i := range promises {
		promises[i].Init(&owner{id: job.ID(i)})
	}
	next := 0
	cost := func(use func(p *job.Promise[int])) float64 {
		return testing.AllocsPerRun(100, func() { use(&promises[next]); next++ })
	}
	assert.Zero(t, cost(func(p *job.Promise[int]) {
		p.Keep(7)
		p.SettleKept(nil)
		_, _ = p.Future().Await(context.Background())
		_, _ = p.Future().Await(t.Context())
		_ = p.Future().State()
	}))
	assert.LessOrEqual(t, cost(func(p *job.Promise[int]) { p.Future().Done(); p.Settle(7, nil); <-p.Future().Done() }), 2.0)
	assert.LessOrEqual(t, cost(func(p *job.Promise[int]) { p.Settle(0, errPlain); _, _ = p.Future().Await(context.Background()) }), 2.0)
}
