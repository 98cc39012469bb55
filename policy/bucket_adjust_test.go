package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L5: a correction charges or refunds the difference, into debt down to MaxDebt. One that is in debt beyond that already,
// by a cost above the burst, stays where it is: to charge more never lifts it.
func TestBucketSettle(t *testing.T) {
	limit := policy.Limit{Name: "tokens", Rate: policy.PerSecond(1), Burst: 10, Settled: true, MaxDebt: 5}
	b := policy.NewBucket(limit, 0)
	b.Take(4 * token)
	b.Settle(2*token, 0)
	require.Equal(t, 4*token, b.Level())
	b.Settle(-3*token, 0)
	require.Equal(t, 7*token, b.Level())
	b.Settle(-9*token, 0)
	require.Equal(t, 10*token, b.Level(), "never beyond full")
	b.Settle(100*token, 0)
	require.Equal(t, -5*token, b.Level(), "the rest is forgotten")

	b = policy.NewBucket(limit, 0)
	b.Take(30 * token)
	b.Settle(token, 0)
	require.Equal(t, -20*token, b.Level())
	b.Settle(-2*token, 0)
	require.Equal(t, -18*token, b.Level(), "a refund is one at any depth")
}

// S-L6: what has come in until now came at the old rate, and what comes at the new one.
func TestBucketSetRateCreditsAtTheOldRate(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(1), Burst: 100}, 0)
	b.Take(100 * token)
	b.SetRate(at(10*time.Second), policy.PerSecond(4))
	require.Equal(t, 10*token, b.Level())
	require.Equal(t, at(12500*time.Millisecond), b.ReadyAt(20*token))
	b.SetRate(at(15*time.Second), policy.Blocked)
	require.Equal(t, 30*token, b.Level())
	b.SetRate(at(time.Hour), policy.PerSecond(1))
	require.Equal(t, 30*token, b.Level(), "nothing came while it was blocked")
}

// S-L6: a larger burst fills at the rate, also where the bucket was full; a smaller one cuts.
func TestBucketSetBurst(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(1), Burst: 10}, 0)
	b.SetBurst(at(time.Second), 100)
	require.Equal(t, 10*token, b.Level())
	b.Advance(at(6 * time.Second))
	require.Equal(t, 15*token, b.Level())
	b.SetBurst(at(6*time.Second), 5)
	require.Equal(t, 5*token, b.Level())
	b.Take(20 * token)
	b.SetBurst(at(6*time.Second), 100)
	require.Equal(t, -15*token, b.Level(), "debt is not forgiven")
}

// S-L6: the server's word lowers the level, and never raises it.
func TestBucketObserve(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(1), Burst: 10}, 0)
	b.Observe(0, 20*token)
	require.Equal(t, 10*token, b.Level())
	b.Observe(0, 3*token)
	require.Equal(t, 3*token, b.Level())
	b.Observe(0, 8*token)
	require.Equal(t, 3*token, b.Level())
	b.Observe(at(2*time.Second), 5*token)
	require.Equal(t, 5*token, b.Level(), "two have come in")
	b.Observe(at(time.Hour), 0)
	require.Zero(t, b.Level())
	require.Equal(t, at(time.Hour+time.Second), b.ReadyAt(token))
}
