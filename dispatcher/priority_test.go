package dispatcher_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/policy"
)

// The higher priority goes first; one that waits rises, unless it was told never to (S-A5).
func TestPriority(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		want []string
	}{
		{0, []string{"running", "urgent 1", "urgent 2", "low", "urgent 3", "urgent 4"}},
		{dispatcher.NeverAge, []string{"running", "urgent 1", "urgent 2", "urgent 3", "urgent 4", "low"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, dispatcher.Config{Workers: 1, AgeAfter: c.age})
			line := newTimeline()
			submit(t, d, line.naming("running", time.Minute, nil))
			submit(t, d, line.naming("low", time.Minute, nil), dispatcher.WithPriority(-1))
			time.Sleep(time.Second)
			for _, name := range []string{"urgent 1", "urgent 2", "urgent 3", "urgent 4"} {
				submit(t, d, line.naming(name, time.Minute, nil), dispatcher.WithPriority(2))
			}
			require.NoError(t, d.WaitIdle(context.Background()))
			assert.Equal(t, c.want, line.order())
		})
	}
}

func TestPriorityRefused(t *testing.T) {
	d := open(t, dispatcher.Config{})
	for _, priority := range []int{-5, 5, math.MinInt, math.MaxInt} {
		_, err := dispatcher.Submit(t.Context(), d, newTimeline().marking(0, nil), dispatcher.WithPriority(priority))
		require.ErrorIs(t, err, policy.ErrInvalid)
		assert.ErrorContains(t, err, fmt.Sprintf("WithPriority is %d; it must be from -4 to 4", priority))
	}
	_, err := dispatcher.New(dispatcher.Config{AgeAfter: -2})
	assert.ErrorIs(t, err, policy.ErrInvalid)
}
