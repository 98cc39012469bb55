package dispatcher_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// S-F5: what is refused has an error and no future, is never run, and takes up no room, whatever the reason and whichever the call.
func TestRefusedIsNeverRun(t *testing.T) {
	why := errors.New("no longer wanted")
	type option = dispatcher.Option
	for name, c := range map[string]struct {
		over    bool // the context has ended
		options []option
		want    error
	}{
		"the context has ended": {true, nil, why},
		"an option is wrong":    {false, []option{dispatcher.WithPriority(99)}, policy.ErrInvalid},
		"no such limit":         {false, []option{dispatcher.WithCost("none", 1)}, policy.ErrInvalid},
		"no such group":         {false, []option{dispatcher.WithGroup("none")}, policy.ErrInvalid},
		"never admissible":      {false, []option{dispatcher.WithCost("strict", 3)}, policy.ErrInvalid},
		"one key too many":      {false, []option{dispatcher.WithKey("second")}, dispatcher.ErrTooManyKeys},
		"a key that is wrong":   {false, []option{dispatcher.WithKey("wrong")}, policy.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, dispatcher.Config{
					Queue: 1, MaxKeys: 1, Limits: []policy.Limit{{Name: "strict", Rate: policy.PerSecond(1e6), Burst: 2, Strict: true}},
					Keys: func(key string) dispatcher.KeyConfig {
						if key == "wrong" {
							return dispatcher.KeyConfig{Weight: -1}
						}
						return dispatcher.KeyConfig{}
					},
				})
				d.ForceClosed("first") // so that it is in use
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.over {
					cancel(why)
				}
				patient, give := context.WithTimeout(ctx, patience) // if a refusal takes up room, the next call waits for it
				defer give()
				var ran atomic.Int32
				fn := func(context.Context) (int, error) { ran.Add(1); return 7, nil }
				for call, submit := range allCalls(fn) {
					for range 3 { // more often than there is room
						f, err := submit(patient, d, c.options)
						assert.ErrorIs(t, err, c.want, call)
						assert.Nil(t, f, call)
						_, failed := errors.AsType[*job.Error](err)
						assert.False(t, failed, "%s: it never was a job", call)
					}
				}
				require.NoError(t, d.WaitIdle(t.Context()))
				assert.Zero(t, ran.Load())
				f, err := dispatcher.TrySubmit(t.Context(), d, fn)
				require.NoError(t, err, "there is room")
				succeed(t, f)
				assert.EqualValues(t, 1, ran.Load())
			})
		})
	}
}

// allCalls are the ways to hand in a function, by their names. Of those that return no such future it is nil.
func allCalls(fn job.Func[int]) map[string]func(context.Context, *dispatcher.Dispatcher, []dispatcher.Option) (*job.Future[int], error) {
	type options = []dispatcher.Option
	return map[string]func(context.Context, *dispatcher.Dispatcher, []dispatcher.Option) (*job.Future[int], error){
		"Submit": func(ctx context.Context, d *dispatcher.Dispatcher, o options) (*job.Future[int], error) {
			return dispatcher.Submit(ctx, d, fn, o...)
		},
		"TrySubmit": func(ctx context.Context, d *dispatcher.Dispatcher, o options) (*job.Future[int], error) {
			return dispatcher.TrySubmit(ctx, d, fn, o...)
		},
		"Do": func(ctx context.Context, d *dispatcher.Dispatcher, o options) (*job.Future[int], error) {
			_, err := dispatcher.Do(ctx, d, fn, o...)
			return nil, err
		},
		"Go": func(ctx context.Context, d *dispatcher.Dispatcher, o options) (*job.Future[int], error) {
			f, err := dispatcher.Go(ctx, d, func(ctx context.Context) error { _, err := fn(ctx); return err }, o...)
			if f != nil {
				return new(job.Future[int]), err
			}
			return nil, err
		},
	}
}
