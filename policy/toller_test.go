package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-R13: Toller's defaults, as they stand in its signature: @task(rl_calls_per_second=10.0, rl_max_burst_calls=20.0,
// retry_max_attempts=3, retry_delay=0.1, retry_backoff=2.0, retry_jitter=True, cb_failure_threshold=5, cb_recovery_timeout=30.0).
func TestTollerDefaults(t *testing.T) {
	limit, retry, breaker := policy.TollerLimit("calls"), policy.TollerRetry(), policy.TollerBreaker()
	require.NoError(t, limit.Validate())
	require.NoError(t, retry.Validate())
	require.NoError(t, breaker.Validate())

	bucket := policy.NewBucket(limit, 0)
	assert.Equal(t, policy.Limit{Name: "calls", Rate: policy.PerSecond(10), Burst: 20}, limit)
	assert.Equal(t, 20.0, bucket.Level().Tokens(), "full at the start")

	assert.Equal(t, 3, retry.MaxAttempts)
	for n, backoff := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		assert.Zero(t, retry.Wait(n+1, 0, 0))
		assert.Equal(t, backoff/2, retry.Wait(n+1, 0, .5))
	}

	circuit := policy.NewCircuit(breaker, 10, nil)
	now := policy.Time(1)
	for call := 1; call <= 5; call++ {
		assert.Equal(t, policy.Closed, circuit.State(), "before call %d", call)
		for range 2 { // the attempts of a call are not counted, save by their last one
			circuit.End(now, circuit.Start(now), policy.Ending{Verdict: policy.VerdictFailure})
		}
		last := circuit.Start(now)
		circuit.End(now, last, policy.Ending{Verdict: policy.VerdictFailure})
		circuit.EndJob(now, last, policy.Ending{Verdict: policy.VerdictFailure})
	}
	assert.Equal(t, policy.Open, circuit.State())
	assert.Equal(t, now.Add(30*time.Second), circuit.RetryAt(now))
}
