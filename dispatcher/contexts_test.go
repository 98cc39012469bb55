package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
)

// S-F2: three contexts, three meanings. Submit's ends the job, Await's ends the waiting and nothing else, and Close's ends what
// Close waits for. Each says why it ended to those whom that concerns, and to nobody else.
func TestThreeContexts(t *testing.T) {
	why := errors.New("enough")
	for name, c := range map[string]struct {
		ends                    string // which context does, after three seconds; the job takes ten
		job, waiting, closing   error  // in which the job, the waiter and the closer end; nil: well
		settled, waited, closed time.Duration
	}{
		"nobody's":     {"", nil, nil, nil, 10 * time.Second, 10 * time.Second, 10 * time.Second},
		"the job's":    {"job", job.ErrCanceled, job.ErrCanceled, nil, 3 * time.Second, 3 * time.Second, 3 * time.Second},
		"the waiter's": {"waiter", nil, job.ErrNotSettled, nil, 10 * time.Second, 3 * time.Second, 10 * time.Second},
		"the closer's": {"closer", job.ErrAborted, job.ErrAborted, job.ErrAborted, 3 * time.Second, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := dispatcher.New(dispatcher.Config{})
				require.NoError(t, err)
				line := newTimeline()
				ctx := make(map[string]context.Context)
				for _, whose := range []string{"job", "waiter", "closer"} {
					own, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					ctx[whose] = own //nolint:fatcontext // three, one beside the other
					if whose == c.ends {
						time.AfterFunc(3*time.Second, func() { cancel(why) })
					}
				}
				f, err := dispatcher.Submit(ctx["job"], d, line.marking(10*time.Second, nil))
				require.NoError(t, err)
				closed := make(chan error, 1)
				go func() {
					err := d.Close(ctx["closer"])
					assert.Equal(t, c.closed, line.now(), "Close")
					closed <- err
				}()
				go func() {
					_, err := f.Await(context.Background())
					assert.Equal(t, c.settled, line.now(), "the job")
					assertEnd(t, err, c.job, c.ends == "job", why)
				}()
				_, err = f.Await(ctx["waiter"])
				assert.Equal(t, c.waited, line.now(), "Await")
				assertEnd(t, err, c.waiting, c.ends == "job" || c.ends == "waiter", why)
				assertEnd(t, <-closed, c.closing, c.ends == "closer", why)
				require.NoError(t, d.Close(t.Context()))
				synctest.Wait()
			})
		})
	}
}

// assertEnd checks that err is nil, or matches want, and matches why if, and only if, that is to be told.
func assertEnd(t *testing.T, err, want error, told bool, why error) {
	t.Helper()
	if want == nil {
		assert.NoError(t, err)
		return
	}
	assert.ErrorIs(t, err, want)
	assert.Equal(t, told, errors.Is(err, why), "%v", err)
}

// S-F3: any number of waiters, any number of times, before the dispatcher is closed, meanwhile, and afterwards.
func TestAwaitAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatcher.New(dispatcher.Config{Name: "awaited"})
		require.NoError(t, err)
		line := newTimeline()
		good := submit(t, d, line.marking(time.Minute, nil))
		bad := submit(t, d, line.marking(time.Minute, errBackend))
		look := func() {
			values, err := job.All(t.Context(), good, bad)
			assert.Positive(t, values[0])
			assert.Zero(t, values[1])
			assert.ErrorIs(t, err, errBackend)
			assert.ErrorContains(t, err, `job 2 of dispatcher "awaited"`)
			assert.Equal(t, time.Minute, line.now())
			for range 2 {
				value, err := good.Await(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, values[0], value)
				<-bad.Done()
				assert.Equal(t, job.Failed, bad.State())
			}
		}
		for range 50 {
			go look()
		}
		go func() { assert.NoError(t, d.Close(t.Context())) }()
		synctest.Wait()
		for range 50 {
			go look()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NoError(t, d.Close(t.Context()))
		look()
		assert.Equal(t, job.AlreadySettled, good.Cancel())
	})
}
