package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// The environment variable by which the number of worlds is set; the first is that of stressSeed. By hand, for instance,
//
//	TOLLER_STRESS_WORLDS=2000 go test -run '^TestVirtualDays$' -timeout 0 ./dispatcher
//	TOLLER_STRESS_WORLDS=1 TOLLER_STRESS_SEED=17 go test -run '^TestVirtualDays$' ./dispatcher
const stressWorlds = "TOLLER_STRESS_WORLDS"

// Random worlds, hours and days long in virtual time: dispatchers with limits, retries, breakers, workers that change, and jobs of
// every kind, while somebody pauses, changes rates, opens circuits and in the end closes. What the functions have seen is judged
// by what was configured and done, without anything of the dispatcher's: see virtual_judge_test.go (S-T4).
func TestVirtualDays(t *testing.T) {
	first, worlds := number(t, stressSeed, 1), number(t, stressWorlds, 30)
	runs, span := 0, time.Duration(0)
	for seed := first; seed < first+worlds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := makeWorld(uint64(seed), func(format string, args ...any) {
					t.Errorf("%s=1 %s=%d: %s", stressWorlds, stressSeed, seed, fmt.Sprintf(format, args...))
				})
				w.play(t)
				w.judge()
				span += w.now()
				for _, j := range w.all() {
					runs += len(j.runs)
				}
			})
		})
	}
	t.Logf("%d worlds, %v in all, %d attempts", worlds, span.Round(time.Hour), runs)
	assert.GreaterOrEqual(t, runs, 50*worlds, "or it proves nothing")
}

// play lets everything happen, and returns when all is over.
func (w *virtualWorld) play(t *testing.T) {
	require.NoError(t, w.open())
	var all sync.WaitGroup
	for _, j := range w.jobs {
		all.Go(func() {
			time.Sleep(j.at)
			w.handIn(j)
		})
	}
	acts := w.acts()
	for _, a := range acts {
		all.Go(func() {
			time.Sleep(a.at)
			a.do()
		})
	}
	for i, p := range w.places {
		way, early := w.random.IntN(6), w.oneIn(4)
		at := w.span
		if early {
			at = w.upTo(w.span)
		}
		all.Go(func() {
			time.Sleep(at)
			if !early {
				defer w.undo(p)()
				time.Sleep(w.span / 8 * time.Duration(i)) // one after the other
			}
			w.shut(p, way, early)
		})
	}
	all.Wait()
}

// handIn hands in a job, in one of the ways, and waits for its end.
func (w *virtualWorld) handIn(j *virtualJob) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	options := w.options(j)
	if j.within > 0 && j.way%2 == 1 {
		var release context.CancelFunc
		ctx, release = context.WithDeadline(ctx, w.start.Add(j.at+j.within))
		defer release()
	} else if j.within > 0 {
		options = append(options, dispatcher.WithDeadline(w.start.Add(j.at+j.within)))
	}
	byFuture := make(chan func() job.Canceled, 1)
	if j.cancel > 0 {
		timer := time.AfterFunc(j.cancel, func() {
			w.ask(j)
			select {
			case recall := <-byFuture:
				recall()
			default:
				cancel(errBackend)
			}
		})
		defer timer.Stop()
	}
	fn := w.fn(j)
	switch j.way {
	case 0:
		w.do(ctx, j, fn, options)
	case 1:
		f, err := dispatcher.TrySubmit(ctx, j.place.d, fn, options...)
		awaitVirtual(w, j, f, err)
	case 2:
		f, err := dispatcher.Go(ctx, j.place.d, func(ctx context.Context) error { _, err := fn(ctx); return err }, options...)
		awaitVirtual(w, j, f, err)
	default:
		f, err := dispatcher.Submit(ctx, j.place.d, fn, options...)
		if err == nil && j.way == 3 {
			byFuture <- f.Cancel
		}
		awaitVirtual(w, j, f, err)
	}
}

func awaitVirtual[T any](w *virtualWorld, j *virtualJob, f *job.Future[T], err error) {
	if err != nil {
		w.refuse(j, err)
		return
	}
	w.accept(j)
	<-f.Done()
	value, err, _ := f.Result()
	n, isInt := any(value).(int)
	if !isInt && err == nil {
		n = j.number
	}
	w.resolve(j, n, err)
}

// settled is awaitVirtual's end, for a job that is over.
func (w *virtualWorld) settled(j *virtualJob, f *job.Future[int]) {
	value, err, ok := f.Result()
	if !ok {
		w.wrong("job %d: awaited or canceled, and not settled", j.number)
		return
	}
	w.resolve(j, value, err)
}

// do is a Do, which may not return.
func (w *virtualWorld) do(ctx context.Context, j *virtualJob, fn job.Func[int], options []dispatcher.Option) {
	returned := false
	defer func() {
		if !returned {
			w.accept(j)
			w.resolve(j, 0, job.ErrGoexit)
		}
	}()
	value, err := dispatcher.Do(ctx, j.place.d, fn, options...)
	returned = true
	if _, ok := errors.AsType[*job.Error](err); err != nil && !ok {
		w.refuse(j, err)
		return
	}
	w.accept(j)
	w.resolve(j, value, err)
}

func (w *virtualWorld) options(j *virtualJob) []dispatcher.Option {
	options := []dispatcher.Option{dispatcher.WithKey(j.key), dispatcher.WithPriority(j.number%5 - 2)}
	for i, l := range j.place.limits {
		options = append(options, dispatcher.WithCost(l.name, j.costs[i]))
	}
	if j.delay > 0 {
		options = append(options, dispatcher.WithDelay(j.delay))
	}
	if j.timeout > 0 {
		options = append(options, dispatcher.WithTimeout(j.timeout))
	}
	return options
}
