package sdk_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/sdk/internal/ask"
	"github.com/toller-go/toller/policy"
)

// These tests run on the clock of a bubble: minutes pass at once, and it is exact.

// crowd has 50 callers ask through an SDK, each one question after the other, and returns what the API received, admitted and
// refused from the moment when learning has ended until the end.
func crowd(t *testing.T, s ask.SDK, cfg fakellm.Config, learning, rest time.Duration) (received, admitted, throttled int) {
	t.Helper()
	const callers = 50
	api, client, end := inMemory(t, cfg, dispatcher.Config{
		Workers: callers, Retry: policy.Retry{MaxAttempts: 3},
		Limits: []policy.Limit{{Name: "requests", Rate: policy.Unlimited}}, // which says that it is to be learnt
	}, transport.Config{})
	defer end()
	ctx, cancel := context.WithCancel(t.Context()) // not one with a deadline, which would end what waits beyond it at once
	defer cancel()
	asking := s.Over("http://api.example", model, client)
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := asking(ctx, fmt.Sprint("question ", i, " of ", caller))
				if ctx.Err() == nil && err != nil {
					t.Errorf("lost: %v", err)
				}
			}
		})
	}
	time.Sleep(learning)
	before := api.Ledger()
	time.Sleep(rest)
	after := api.Ledger()
	cancel()
	wg.Wait()
	return after.Received - before.Received, after.Admitted - before.Admitted, after.Throttled() - before.Throttled()
}

// Nothing is configured, and the headers tell it all: after 30 s at most 2 % of what is sent is refused, and at least 95 % of the
// limit is used.
func TestLimitsAreLearntFromHeaders(t *testing.T) {
	dialects := map[string]ask.SDK{"OpenAI": ask.All[0], "Anthropic": ask.All[2], "Azure": ask.Azure}
	for name, s := range dialects {
		for _, burst := range []float64{10, 600} {
			t.Run(fmt.Sprint(name, ", burst ", burst), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const learning, rest, rate = 30 * time.Second, 2 * time.Minute, 600
					received, admitted, throttled := crowd(t, s, fakellm.Config{
						Limits:  []fakellm.Limit{{Max: rate, Per: time.Minute, Burst: burst}},
						Latency: fakellm.Range{Min: 200 * time.Millisecond, Max: 900 * time.Millisecond}, Seed: 3,
					}, learning, rest)
					share, used := float64(throttled)/float64(received), float64(admitted)/(rate*rest.Minutes())
					t.Logf("%d sent, %.2f %% of them refused, %.1f %% of the limit used", received, 100*share, 100*used)
					assert.LessOrEqual(t, share, 0.02)
					assert.GreaterOrEqual(t, used, 0.95)
				})
			})
		}
	}
}

// No header tells anything, neither of a limit nor of a wait, and the API admits 600 in each minute of the clock: over five
// minutes fewer than a tenth is refused, and nothing is lost.
func TestNoHeadersAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		received, admitted, throttled := crowd(t, ask.All[0], fakellm.Config{
			Dialect: fakellm.Silent,
			Limits:  []fakellm.Limit{{Max: 600, Per: time.Minute, Engine: fakellm.FixedWindow}},
			Latency: fakellm.Range{Min: 200 * time.Millisecond, Max: 900 * time.Millisecond}, Seed: 3,
		}, time.Minute, 5*time.Minute)
		share := float64(throttled) / float64(received)
		t.Logf("%d sent, %d admitted, %.2f %% refused", received, admitted, 100*share)
		assert.Less(t, share, 0.10)
		assert.GreaterOrEqual(t, admitted, 5*600*8/10, "how much of the limit is used")
	})
}
