package policy_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L3: what a bucket holds at the start is configurable.
func TestBucketInitial(t *testing.T) {
	for _, tt := range []struct {
		name    string
		initial float64
		want    policy.Amount
		fullAt  time.Duration
	}{
		{"default", 0, 20 * token, 0},
		{"full", 20, 20 * token, 0},
		{"half", 10, 10 * token, time.Second},
		{"a millionth", 1e-6, 1, 2*time.Second - 100*time.Nanosecond},
		{"empty", policy.Empty, 0, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := policy.Limit{Name: "requests", Rate: policy.PerSecond(10), Burst: 20, Initial: tt.initial}
			require.NoError(t, l.Validate())
			b := policy.NewBucket(l, at(time.Hour))
			assert.Equal(t, tt.want, b.Level())
			assert.Equal(t, at(time.Hour+tt.fullAt), b.FullAt())
			assert.Equal(t, tt.want == 20*token, b.Has(20*token))
			assert.Equal(t, b.FullAt(), b.ReadyAt(30*token), "more than the burst waits for a full bucket (S-L4)")
		})
	}
}

// S-L3: a hundred a minute with a burst of as much start no more than a hundred in the first minute, when the bucket is
// empty at the start.
func TestBucketInitialEmptyAdmitsNoMoreThanTheRate(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerMinute(100), Burst: 100, Initial: policy.Empty}, 0)
	started := 0
	for now := policy.Time(0); now < at(time.Minute); now = b.ReadyAt(token) {
		b.Advance(now)
		if b.Has(token) {
			b.Take(token)
			started++
		}
	}
	require.Equal(t, 99, started, "the hundredth starts at 60 s")
	require.Equal(t, at(time.Minute), b.ReadyAt(token))
}

// S-L3: an Initial that is left to its default is the default burst.
func TestBucketInitialOfDefaultBurst(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(10)}, 0)
	require.Equal(t, 10*token, b.Level())
}

// S-A9, S-L3: a bucket that is made later holds what it would had it been there from the start.
func TestBucketRenew(t *testing.T) {
	l := policy.Limit{Name: "requests", Rate: policy.PerSecond(10), Burst: 20, Initial: policy.Empty}
	like := policy.NewBucket(l, 0)
	var b policy.Bucket
	b.Renew(&like, at(500*ms))
	require.Equal(t, 5*token, b.Level())
	require.Equal(t, at(500*ms), b.ReadyAt(0))
	require.Zero(t, like.Level(), "the model is left alone")

	b.Take(5 * token)
	b.Renew(&like, at(900*ms))
	require.Equal(t, 9*token, b.Level(), "what was taken before is another's")
	b.Renew(&like, at(time.Hour))
	require.Equal(t, 20*token, b.Level())
	require.Equal(t, at(time.Hour), b.FullAt())

	like.SetRate(at(time.Second), policy.PerSecond(1))
	like.SetBurst(at(2*time.Second), 30)
	b.Renew(&like, at(5*time.Second))
	require.Equal(t, 14*token, b.Level(), "10 in the first second, 4 in the next four")
	require.Equal(t, at(21*time.Second), b.FullAt())
	b.Renew(&like, at(time.Second))
	require.Equal(t, at(2*time.Second), b.ReadyAt(0), "not before what its model has seen (S-L7)")
}

// S-L1: nothing has been taken from a renewed bucket, so all that is can be given back, even if the rate has just changed.
func TestBucketRenewGivesBack(t *testing.T) {
	l := sliding()
	like := policy.NewBucket(l, 0)
	like.SetRate(at(time.Second), policy.Unlimited)
	like.SetRate(at(time.Second), policy.PerMinute(60))
	var b policy.Bucket
	b.Renew(&like, at(time.Second))
	b.Take(60 * token)
	b.GiveBack(60*token, at(time.Second))
	require.Equal(t, 60*token, b.Level())
	require.Zero(t, b.Charged())
	require.Equal(t, at(time.Second), b.FullAt())
}

// S-L3: renewed buckets share neither window nor anything else with their model or with each other, and use their own
// memory again.
func TestBucketRenewSharesNothing(t *testing.T) {
	slide, plain := policy.NewBucket(sliding(), 0), policy.NewBucket(policy.Limit{Name: "a", Rate: policy.PerSecond(1)}, 0)
	var a, b policy.Bucket
	now := at(time.Second)
	renewed := func(x *policy.Bucket) {
		x.Renew(&slide, now)
		require.Zero(t, x.Charged())
		require.True(t, x.Has(100*token))
		x.Take(100 * token)
	}
	renewed(&a)
	renewed(&b)
	b.GiveBack(100*token, now)
	require.Equal(t, 100*token, a.Charged())
	require.Zero(t, slide.Charged())
	slide.SetRate(now, policy.PerHour(50))
	require.Equal(t, at(61*time.Second+1), a.ReadyAt(100*token))

	a.Renew(&plain, now) // another limit's
	require.Equal(t, token, a.Level())
	require.NoError(t, a.WindowFault())
	a.Renew(&slide, now)
	require.Equal(t, policy.Never, a.ReadyAt(51*token))

	use := func() {
		now++
		a.Renew(&slide, now)
		for range 100 {
			now = now.Add(time.Minute)
			a.Advance(now)
			if a.Has(token / 10) {
				a.Take(token / 10)
			}
		}
	}
	for range 3 {
		use()
	}
	require.Zero(t, testing.AllocsPerRun(10, use))
}

// S-A9: from FullAt on a bucket cannot be told from one that is made anew, whatever the two are asked.
func TestBucketFullIsLikeRenewed(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 41))
		l := policy.Limit{
			Name: "tokens", Rate: policy.Per(float64(1+rng.IntN(50)), time.Second), Burst: float64(1 + rng.IntN(20)), Sliding: rng.IntN(2) == 0,
			Initial: []float64{0, policy.Empty, 0.5}[rng.IntN(3)], CostRequired: true,
		}
		require.NoError(t, l.Validate())
		like := policy.NewBucket(l, 0)
		var b policy.Bucket
		now := policy.Time(rng.Int64N(int64(5 * time.Second)))
		b.Renew(&like, now)
		step := func(x *policy.Bucket, cost policy.Amount) bool {
			x.Advance(now)
			if !x.Has(cost) {
				return false
			}
			x.Take(cost)
			return true
		}
		for range 30 {
			now = now.Add(time.Duration(rng.Int64N(int64(200 * ms))))
			cost := policy.Amount(rng.Int64N(int64(3 * token)))
			if step(&b, cost) && rng.IntN(3) == 0 {
				b.Settle(-policy.Amount(rng.Int64N(int64(cost)+1)), now)
			}
		}
		now = b.FullAt()
		b.Advance(now)
		var fresh policy.Bucket
		fresh.Renew(&like, now)
		for range 30 {
			cost := policy.Amount(rng.Int64N(int64(5 * token)))
			require.Equal(t, fresh.Level(), b.Level(), "seed %d", seed)
			require.Equal(t, fresh.ReadyAt(cost), b.ReadyAt(cost), "seed %d", seed)
			require.Equal(t, fresh.FullAt(), b.FullAt(), "seed %d", seed)
			now = now.Add(time.Duration(rng.Int64N(int64(200 * ms))))
			require.Equal(t, step(&fresh, cost), step(&b, cost), "seed %d", seed)
		}
	}
}
