package sdk_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/dispatcher"
	"github.com/toller-go/toller/dispatcher/transport"
	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/sdk/internal/ask"
	"github.com/toller-go/toller/policy"
)

// A batch through each SDK, at an API that enforces a limit of 240 a minute with a burst of 8, and makes a fifth of what it
// admits fail, in every way there is: all are answered, and nothing is sent that a fault was not the reason for.
//
// Without -full, the clock of the limit runs ten times as fast.
func TestBatchThroughEverySDK(t *testing.T) {
	for _, s := range append([]ask.SDK{ask.Azure, ask.Responses, ask.Embeddings}, ask.All...) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			batch(t, s)
		})
	}
}

func batch(t *testing.T, s ask.SDK) {
	const calls, limit, burst = 300, 240, 8
	span := 6 * time.Second
	if *full {
		span = time.Minute
	}
	api, url := hostile(t, fakellm.Config{
		Limits: []fakellm.Limit{
			{Max: limit, Per: span, Burst: burst},
			{Max: limit + burst, Per: span, Engine: fakellm.SlidingWindow, Hidden: true},
		},
		Faults:     fakellm.Faults{Share: 0.2, PerPrompt: 2},
		RetryAfter: 300 * time.Millisecond, Latency: fakellm.Range{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}, Seed: 9,
	})
	client := through(t, dispatcher.Config{
		// Less than the burst that the server has, for what is sent evenly need not arrive so.
		Limits: []policy.Limit{{Name: "requests", Rate: policy.Per(limit, span), Burst: 2}},
		Retry:  policy.Retry{MaxAttempts: 10}, Workers: 32,
	}, transport.Config{AnswerTimeout: 2 * time.Second}) // which a stalled answer makes necessary
	asking := s.Over(url, model, client)

	question := func(i int) string { return fmt.Sprint("question ", i) }
	start := time.Now()
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			answer, err := asking(t.Context(), question(i))
			if assert.NoError(t, err, "call %d", i) && s.Name != ask.Embeddings.Name {
				assert.Contains(t, answer, fakellm.Digest(question(i)))
			}
		})
	}
	wg.Wait()
	took := time.Since(start)

	bill := api.Ledger()
	for i := range calls {
		r := api.Prompt(question(i))
		assert.LessOrEqual(t, r.Sends, 1+r.Faulted+r.Throttled, "call %d", i)
		assert.LessOrEqual(t, r.Faulted, 2, "call %d", i)
		assert.Equal(t, 1, r.Completed, "call %d", i)
	}
	for _, f := range fakellm.Transients() {
		assert.NotZero(t, bill.Faults[f], "%s was never met", f)
	}
	require.Equal(t, calls, bill.Completed)
	if *full {
		assert.Zero(t, bill.ThrottledRate, "429s of the limit")
		assert.LessOrEqual(t, bill.PeakReceived60s, limit+burst)
	} else {
		// A machine that is busy with something else for a tenth of a second makes what was sent evenly arrive at once.
		assert.LessOrEqual(t, bill.ThrottledRate, calls/20, "429s of the limit")
	}
	t.Logf("%d calls, %d sends, %d faults of %d kinds, %d 429s of the limit, at most %d in 60 s, %.1f s",
		calls, bill.Received, bill.Faulted, len(bill.Faults), bill.ThrottledRate, bill.PeakReceived60s, took.Seconds())
}
