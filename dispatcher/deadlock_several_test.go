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
)

// S-F8: who waits for jobs of several dispatchers is told of a deadlock only when those of the others are through.
func TestDeadlockWaitsForOtherDispatchers(t *testing.T) {
	type futures = []*job.Future[int]
	for name, c := range map[string]struct {
		wait func(ctx context.Context, of futures) []job.Result[int]
		want []error
	}{
		"First": {func(ctx context.Context, of futures) []job.Result[int] {
			value, err := job.First(ctx, of...)
			return []job.Result[int]{{Value: value, Err: err}}
		}, []error{nil}},
		"Settled": {func(ctx context.Context, of futures) []job.Result[int] {
			return job.Settled(ctx, of...)
		}, []error{job.ErrDeadlock, nil}},
		"Settled, the other first": {func(ctx context.Context, of futures) []job.Result[int] {
			return job.Settled(ctx, of[1], of[0])
		}, []error{nil, job.ErrDeadlock}},
	} {
		for place, inside := range map[string]bool{"the other is elsewhere": false, "the attempt is of both": true} {
			t.Run(name+", "+place, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one, other := open(t, dispatcher.Config{Workers: 1}), open(t, dispatcher.Config{Workers: 2})
					line := newTimeline()
					body := func(ctx context.Context) ([]job.Result[int], error) {
						behind, err := dispatcher.Submit(context.WithoutCancel(ctx), one, line.marking(0, nil))
						if err != nil {
							return nil, err
						}
						beside, err := dispatcher.Submit(ctx, other, line.marking(time.Second, nil))
						if err != nil {
							return nil, err
						}
						return c.wait(ctx, futures{behind, beside}), nil
					}
					results, err := dispatcher.Do(t.Context(), one, func(ctx context.Context) ([]job.Result[int], error) {
						if inside {
							return dispatcher.Do(ctx, other, body)
						}
						return body(ctx)
					})
					require.NoError(t, err)
					require.Len(t, results, len(c.want))
					for i, want := range c.want {
						require.ErrorIs(t, results[i].Err, want)
						if want == nil {
							assert.Equal(t, 1, results[i].Value)
						}
					}
					assert.Equal(t, time.Second, line.now())
				})
			})
		}
	}
}
