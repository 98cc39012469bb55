package job_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/job"
)

// S-O4: the job's number, the attempt's and the key travel in the context.
func TestAttemptFrom(t *testing.T) {
	none, ok := job.AttemptFrom(t.Context())
	require.False(t, ok)
	require.Zero(t, none)

	a := job.Attempt{ID: 3, N: 2, Key: "model", Dispatcher: "llm"}
	ctx := job.WithAttempt(t.Context(), a)
	type userKey struct{}
	sub, cancel := context.WithTimeout(context.WithValue(ctx, userKey{}, "kept"), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{
		"itself": ctx, "derived": sub, "detached": context.WithoutCancel(sub),
	} {
		got, ok := job.AttemptFrom(ctx)
		require.True(t, ok, name)
		require.Equal(t, a, got, name)
	}
	require.Equal(t, "kept", sub.Value(userKey{}))

	outer := context.WithValue(t.Context(), userKey{}, "outer")
	require.Equal(t, "outer", job.WithAttempt(outer, a).Value(userKey{}), "values from outside are seen inside")
	require.Nil(t, job.WithAttempt(outer, a).Value("other"))
}

// An attempt is within its own dispatcher, and not within another of the same name, whichever way it is asked.
func TestNewPlace(t *testing.T) {
	one, other := job.NewPlace("a"), job.NewPlace("a")
	ctx := &placed{t.Context(), one}
	require.True(t, one.Inside(ctx))
	require.False(t, other.Inside(ctx))
	require.True(t, job.Inside(ctx, "a"), "by name")
	require.False(t, job.Inside(ctx, "b"))
	require.False(t, one.Inside(t.Context()))
}

// placed is a context within a dispatcher.
type placed struct {
	context.Context
	place job.Place
}

func (p *placed) Value(key any) any {
	if p.place.Asked(key) {
		return p
	}
	return p.Context.Value(key)
}

// Inside sees all dispatchers on the way, AttemptFrom the innermost one (S-F8).
func TestInside(t *testing.T) {
	require.False(t, job.Inside(t.Context(), "a"))

	inA := job.WithAttempt(t.Context(), job.Attempt{ID: 1, Dispatcher: "a"})
	sub, cancel := context.WithCancel(inA)
	defer cancel()
	inB := job.WithAttempt(sub, job.Attempt{ID: 2, Dispatcher: "b"})
	inA2 := job.WithAttempt(inB, job.Attempt{ID: 3, Dispatcher: "a"})
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		a, b    bool
		attempt job.ID
	}{
		{"a", inA, true, false, 1},
		{"below a", sub, true, false, 1},
		{"b in a", inB, true, true, 2},
		{"a in b in a", inA2, true, true, 3},
	} {
		assert.Equal(t, tt.a, job.Inside(tt.ctx, "a"), tt.name)
		assert.Equal(t, tt.b, job.Inside(tt.ctx, "b"), tt.name)
		assert.False(t, job.Inside(tt.ctx, "c"), tt.name)
		assert.False(t, job.Inside(tt.ctx, ""), tt.name)
		got, ok := job.AttemptFrom(tt.ctx)
		require.True(t, ok)
		assert.Equal(t, tt.attempt, got.ID, tt.name)
	}
}

// The context of an attempt is one like every other: it ends with its parent, for the parent's cause, and those derived
// from it need no goroutine. The bubble fails if one is left over.
func TestWithAttemptPassesTheEndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancelCause(t.Context())
		ctx := job.WithAttempt(parent, job.Attempt{ID: 1, Dispatcher: "a"})
		child, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		require.NoError(t, child.Err())
		end(job.ErrAttemptTimeout)
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.ErrorIs(t, child.Err(), context.Canceled)
		require.ErrorIs(t, context.Cause(ctx), job.ErrAttemptTimeout)
		require.ErrorIs(t, context.Cause(child), job.ErrAttemptTimeout)
	})
}
