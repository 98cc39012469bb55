package dispatcher_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/job"
	"github.com/toller-go/toller/policy"
)

// What cannot work is refused by an error of its own, or does nothing; it neither hangs nor panics.
func TestMisuse(t *testing.T) {
	var (
		none    *dispatcher.Dispatcher
		zero    dispatcher.Dispatcher
		noLimit *policy.FieldError
		ctx     = t.Context()
		noCtx   context.Context
		fn      = func(context.Context) (int, error) { return 1, nil }
	)
	d := open(t, dispatcher.Config{})
	shut, err := dispatcher.New(dispatcher.Config{})
	require.NoError(t, err)
	require.NoError(t, shut.Close(ctx))
	blocked := submit(t, d, fn, dispatcher.WithDelay(patience))
	defer blocked.Cancel()

	for name, c := range map[string]struct {
		err, want error
	}{
		"Submit after Close":      {second(dispatcher.Submit(ctx, shut, fn)), dispatcher.ErrClosed},
		"Do after Close":          {second(dispatcher.Do(ctx, shut, fn)), dispatcher.ErrClosed},
		"no function":             {second(dispatcher.Submit[int](ctx, d, nil)), dispatcher.ErrNilFunc},
		"no context":              {second(dispatcher.Submit(noCtx, d, fn)), dispatcher.ErrNilContext},
		"a cost of no limit":      {second(dispatcher.Submit(ctx, d, fn, dispatcher.WithCost("tokens", 1))), policy.ErrInvalid},
		"nil, Submit":             {second(dispatcher.Submit(ctx, none, fn)), dispatcher.ErrNilDispatcher},
		"nil, Close":              {none.Close(ctx), dispatcher.ErrNilDispatcher},
		"zero, Submit":            {second(dispatcher.Submit(ctx, &zero, fn)), dispatcher.ErrNilDispatcher},
		"zero, Do":                {second(dispatcher.Do(ctx, &zero, fn)), dispatcher.ErrNilDispatcher},
		"zero, Close":             {zero.Close(ctx), dispatcher.ErrNilDispatcher},
		"zero, Stop":              {zero.Stop(ctx), dispatcher.ErrNilDispatcher},
		"zero, WaitIdle":          {zero.WaitIdle(ctx), dispatcher.ErrNilDispatcher},
		"zero, SetRate":           {zero.SetRate("calls", policy.PerSecond(1)), dispatcher.ErrNilDispatcher},
		"zero, SetBurst":          {zero.SetBurst("calls", 1), dispatcher.ErrNilDispatcher},
		"zero, Observe":           {zero.Observe("calls", "", 1), dispatcher.ErrNilDispatcher},
		"zero, SetWorkers":        {zero.SetWorkers(1), dispatcher.ErrNilDispatcher},
		"zero, SetKeyWorkers":     {zero.SetKeyWorkers(1), dispatcher.ErrNilDispatcher},
		"zero, SetGroupWorkers":   {zero.SetGroupWorkers("g", 1), dispatcher.ErrNilDispatcher},
		"no context, Close":       {d.Close(noCtx), dispatcher.ErrNilContext},
		"no context, Stop":        {d.Stop(noCtx), dispatcher.ErrNilContext},
		"no context, WaitIdle":    {d.WaitIdle(noCtx), dispatcher.ErrNilContext},
		"no context, Await":       {second(blocked.Await(noCtx)), job.ErrNilContext},
		"no context, All":         {second(job.All(noCtx, blocked)), job.ErrNilContext},
		"no future":               {second(job.All[int](ctx, nil)), job.ErrNilFuture},
		"a shared limit of none":  {second(dispatcher.New(dispatcher.Config{Shared: []*dispatcher.SharedLimit{nil}})), policy.ErrInvalid},
		"a zero shared limit":     {second(dispatcher.New(dispatcher.Config{Shared: []*dispatcher.SharedLimit{{}}})), policy.ErrInvalid},
		"zero, shared SetRate":    {new(dispatcher.SharedLimit).SetRate(policy.PerSecond(1)), dispatcher.ErrNilSharedLimit},
		"zero, shared Observe":    {new(dispatcher.SharedLimit).Observe(1), dispatcher.ErrNilSharedLimit},
		"a shared limit per key":  {second(dispatcher.NewSharedLimit(policy.Limit{Name: "a", Rate: policy.PerSecond(1), PerKey: true})), policy.ErrInvalid},
		"no name that is in use":  {second(dispatcher.New(dispatcher.Config{Name: d.Name()})), dispatcher.ErrNameTaken},
		"a priority beyond reach": {second(dispatcher.Submit(ctx, d, fn, dispatcher.WithPriority(5))), policy.ErrInvalid},
	} {
		assert.ErrorIs(t, c.err, c.want, name)
	}
	require.ErrorAs(t, second(dispatcher.Submit(ctx, d, fn, dispatcher.WithCost("tokens", 1))), &noLimit)
	assert.Equal(t, `limit "tokens"`, noLimit.Field)

	zero.Pause()
	zero.Resume()
	zero.ForceOpen("k")
	zero.Reset("k")
	assert.Zero(t, zero.Snapshot())
	assert.Zero(t, zero.EventsDropped())
	assert.Zero(t, new(dispatcher.SharedLimit).Level())
	assert.Zero(t, new(dispatcher.SharedLimit).Limit())
	succeed(t, submit(t, d, fn)) // none of it has done any harm
}

func second[T any](_ T, err error) error { return err }
