package dispatcher_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// What the tests of this package share. Most run in a bubble of testing/synctest, where time stands still while anything
// runs, so instants are exact and compared with ==. The pool keeps a ticker going: a bubble in which nothing happens any
// more does not deadlock, its clock runs on. So every wait has a bound, in virtual time.

// patience bounds a wait in a bubble. Nothing in these tests takes nearly as long.
const patience = 2 * time.Hour

var errBackend = errors.New("backend says no")

// exact is n attempts, a fixed wait apart.
func exact(n int, wait time.Duration) policy.Retry {
	return policy.Retry{MaxAttempts: n, Delay: wait, Backoff: 1, Jitter: policy.NoJitter}
}

// open returns a dispatcher that is closed when the test ends, while its bubble still exists.
func open(t *testing.T, cfg dispatcher.Config) *dispatcher.Dispatcher {
	t.Helper()
	d, err := dispatcher.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Errorf("jobs were left at the end of the test: %v", err)
		}
	})
	return d
}

// snapshot is the state of d at this very moment. It asks twice because a snapshot may be as old as the turn of the loop
// before the one in which it is taken, see TestSnapshotIsOfNow.
func snapshot(d *dispatcher.Dispatcher) dispatcher.Snapshot {
	d.Snapshot()
	return d.Snapshot()
}

// submit is Submit with a context that never ends.
func submit[T any](t *testing.T, d *dispatcher.Dispatcher, fn job.Func[T], options ...dispatcher.Option) *job.Future[T] {
	t.Helper()
	future, err := dispatcher.Submit(context.Background(), d, fn, options...)
	require.NoError(t, err)
	return future
}

// await waits for a job for as long as patience lasts.
func await[T any](t *testing.T, f *job.Future[T]) (T, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	value, err := f.Await(ctx)
	require.NotErrorIs(t, err, job.ErrNotSettled)
	return value, err
}

// failure waits for a job that has to fail and returns its error.
func failure[T any](t *testing.T, f *job.Future[T]) *job.Error {
	t.Helper()
	_, err := await(t, f)
	return asJobError(t, err)
}

func asJobError(t *testing.T, err error) *job.Error {
	t.Helper()
	var failed *job.Error
	require.ErrorAs(t, err, &failed)
	return failed
}

// settled reports whether a job is over, without waiting.
func settled[T any](f *job.Future[T]) bool {
	_, _, ok := f.Result()
	return ok
}

// timeline notes instants of a bubble, counted from when it was made.
type timeline struct {
	start time.Time // immutable

	mu    sync.Mutex
	marks []time.Duration // guarded by mu
	names []string        // guarded by mu; one for each mark
}

func newTimeline() *timeline { return &timeline{start: time.Now()} }

func (l *timeline) now() time.Duration { return time.Since(l.start) }

// mark notes the present and returns how many marks there are now.
func (l *timeline) mark() int { return l.note("") }

// note is mark with a name.
func (l *timeline) note(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks, l.now())
	l.names = append(l.names, name)
	return len(l.marks)
}

// all returns the marks so far, in order of time.
func (l *timeline) all() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.marks))
}

// order returns the names noted so far, in the order in which they came.
func (l *timeline) order() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.names)
}

// marking returns a function that marks its start, takes as long as given, and returns err. It heeds its context.
func (l *timeline) marking(takes time.Duration, err error) job.Func[int] {
	return func(ctx context.Context) (int, error) {
		n := l.mark()
		return n, wait(ctx, takes, err)
	}
}

// naming is marking with a name.
func (l *timeline) naming(name string, takes time.Duration, err error) job.Func[int] {
	return func(ctx context.Context) (int, error) {
		n := l.note(name)
		return n, wait(ctx, takes, err)
	}
}

// wait takes its time and returns err, or why ctx has ended.
func wait(ctx context.Context, takes time.Duration, err error) error {
	if takes <= 0 {
		return err
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// script returns a function whose attempts end in the given errors, one after the other, and then well.
func script(l *timeline, ends ...error) job.Func[int] {
	var mu sync.Mutex
	n := 0
	return func(context.Context) (int, error) {
		l.mark()
		mu.Lock()
		defer mu.Unlock()
		n++
		if n <= len(ends) {
			return 0, ends[n-1]
		}
		return n, nil
	}
}

// times returns n equal errors for script.
func times(n int, err error) []error { return slices.Repeat([]error{err}, n) }

func ms(all ...int) []time.Duration {
	list := make([]time.Duration, len(all))
	for i, n := range all {
		list[i] = time.Duration(n) * time.Millisecond
	}
	return list
}

func seconds(all ...int) []time.Duration {
	list := make([]time.Duration, len(all))
	for i, n := range all {
		list[i] = time.Duration(n) * time.Second
	}
	return list
}
