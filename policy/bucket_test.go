package policy_test

import (
	"flag"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L8: ten million small refills are one large one. 1,000,003 ns of 7/s are no whole number of anything.
func TestBucketDoesNotDrift(t *testing.T) {
	const steps, stride = 10_000_000, 1_000_003
	limit := policy.Limit{Name: "requests", Rate: policy.PerSecond(7), Burst: 1e6}
	small, large := policy.NewBucket(limit, 0), policy.NewBucket(limit, 0)
	all, err := policy.AmountOf("cost", 1e6)
	require.NoError(t, err)
	small.Take(all)
	large.Take(all)
	for i := policy.Time(1); i <= steps; i++ {
		small.Advance(i * stride)
	}
	large.Advance(steps * stride)
	require.Equal(t, large.Level(), small.Level())
	require.Equal(t, policy.Amount(70_000_210_000), small.Level(), "7/s over 10,000.03 s")
	require.Equal(t, large.FullAt(), small.FullAt())
	for n := policy.Amount(1); n < 2000; n++ {
		require.Equal(t, large.ReadyAt(large.Level()+n), small.ReadyAt(small.Level()+n))
	}
}

// S-L8, 10⁹ steps: at 7/s the state repeats every microsecond, so a thousand steps of one nanosecond stand for each of a
// million microseconds, and those are taken in one step each.
func TestBucketDoesNotDriftInNanoseconds(t *testing.T) {
	limit := policy.Limit{Name: "requests", Rate: policy.PerSecond(7), Burst: 100}
	nanos, micros := policy.NewBucket(limit, 0), policy.NewBucket(limit, 0)
	nanos.Take(100 * token)
	micros.Take(100 * token)
	var now policy.Time
	for range 1000 {
		for range 1000 {
			now++
			nanos.Advance(now)
		}
		micros.Advance(now)
		require.Equal(t, micros, nanos)
	}
	for range 1_000_000 - 1000 {
		now += at(time.Microsecond)
		micros.Advance(now)
	}
	require.Equal(t, at(time.Second), now)
	require.Equal(t, 7*token, micros.Level())
}

var long = flag.Bool("long", false, "take a billion steps one by one, which takes seconds")

// S-L8, 10⁹ steps, every one of them (go test ./policy -run Billion -args -long).
func TestBucketDoesNotDriftInABillionSteps(t *testing.T) {
	if !*long {
		t.Skip("without -long, TestBucketDoesNotDriftInNanoseconds stands for it")
	}
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(7), Burst: 100}, 0)
	b.Take(100 * token)
	for now := policy.Time(1); now <= 1_000_000_000; now++ {
		b.Advance(now)
	}
	require.Equal(t, 7*token, b.Level())
	require.Equal(t, policy.Time(1_000_000_143), b.ReadyAt(b.Level()+1))
}

// S-L8: a refill is the same in one step and in any number of them.
func TestBucketRefillIsAdditive(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		r := randomRule(rng)
		parts, whole := r.bucket(t), r.bucket(t)
		for _, b := range []*policy.Bucket{parts, whole} {
			b.Take(r.burst)
		}
		now := r.createdAt
		for range 50 {
			now = now.Add(time.Duration(exponential(rng, 1e12)))
			parts.Advance(now)
		}
		whole.Advance(now)
		require.Equal(t, *whole, *parts, "seed %d", seed)
	}
}

// ReadyAt is the very first moment: a nanosecond before it the answer is no.
func TestBucketReadyAtIsExact(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 3))
		r := randomRule(rng)
		if r.amount < 0 {
			continue
		}
		b := r.bucket(t)
		b.Take(policy.Amount(rng.Int64N(int64(r.burst)) + 1))
		b.Advance(r.createdAt.Add(time.Duration(exponential(rng, 1e9))))
		cost := policy.Amount(rng.Int64N(int64(2 * r.burst)))
		ready := b.ReadyAt(cost)
		if b.Has(cost) || ready == policy.Never {
			continue
		}
		before, then := *b, *b
		before.Advance(ready - 1)
		require.False(t, before.Has(cost), "seed %d: too late by a nanosecond", seed)
		require.Equal(t, ready, before.ReadyAt(cost), "seed %d: the promise moved", seed)
		then.Advance(ready)
		require.True(t, then.Has(cost), "seed %d: too early", seed)
		require.Equal(t, ready, then.ReadyAt(cost), "seed %d", seed)
	}
}

// S-L4: a cost above burst waits for a full bucket, goes into debt, and those behind pay by waiting.
func TestBucketOversizedCost(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 20}, 0)
	b.Take(1)
	require.False(t, b.Has(50*token), "not quite full")
	require.Equal(t, at(100*time.Nanosecond), b.ReadyAt(50*token), "a millionth of a token at 10/s")
	b.Advance(at(100 * time.Nanosecond))
	require.True(t, b.Has(50*token))
	b.Take(50 * token)
	require.Equal(t, -30*token, b.Level())
	require.False(t, b.Has(1))
	require.Equal(t, at(3*time.Second+200*time.Nanosecond), b.ReadyAt(1), "30 tokens of debt, and the millionth asked for")
	require.Equal(t, at(5*time.Second+100*time.Nanosecond), b.FullAt())
	require.Equal(t, b.FullAt(), b.ReadyAt(50*token))
}

func TestBucketBlocked(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.Blocked, Burst: 2}, 0)
	require.True(t, b.Has(2*token), "what is in the bucket can be used")
	require.True(t, b.Has(3*token))
	b.Take(token)
	b.Advance(policy.Never)
	require.Equal(t, token, b.Level(), "it never fills again")
	require.True(t, b.Has(token))
	require.Equal(t, policy.Never, b.ReadyAt(token+1))
	require.Equal(t, policy.Never, b.FullAt())
	b.GiveBack(token, 0)
	require.Equal(t, 2*token, b.Level())
	require.Equal(t, policy.Never, b.FullAt(), "as of the last Advance")
}

func TestBucketUnlimited(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.Unlimited}, 0)
	for range 1000 {
		require.True(t, b.Has(math.MaxInt64))
		b.Take(math.MaxInt64)
		b.GiveBack(math.MaxInt64, 0)
		b.Take(math.MaxInt64)
		require.LessOrEqual(t, b.ReadyAt(math.MaxInt64), at(0))
	}
	b.Advance(at(time.Second))
	require.True(t, b.Has(token))
	require.Equal(t, at(time.Second), b.ReadyAt(token), "the last Advance")
	require.Equal(t, at(time.Second), b.FullAt())
}

// No cost needs nothing, whatever others owe.
func TestBucketZeroCost(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "tokens", Rate: policy.PerMinute(1), Burst: 1}, 0)
	b.Take(100 * token)
	require.True(t, b.Has(0))
	require.Equal(t, at(0), b.ReadyAt(0))
	b.Take(0)
	b.GiveBack(0, 0)
	require.Equal(t, -99*token, b.Level())
}

// S-L7: reads of the clock that come out of order credit nothing twice.
func TestBucketTimeRunningBackwards(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(1), Burst: 100}, at(10*time.Second))
	b.Take(100 * token)
	b.Advance(at(5 * time.Second))
	require.Zero(t, b.Level(), "before it was made")
	b.Advance(at(12 * time.Second))
	require.Equal(t, 2*token, b.Level())
	for range 10 {
		b.Advance(at(11 * time.Second))
		b.Advance(at(12 * time.Second))
		b.Advance(0)
	}
	require.Equal(t, 2*token, b.Level())
	require.Equal(t, at(12*time.Second), b.ReadyAt(token))
	require.Equal(t, at(13*time.Second), b.ReadyAt(3*token))

	b.SetRate(at(5*time.Second), policy.Unlimited) // at 12 s
	b.SetRate(at(6*time.Second), policy.PerSecond(1))
	b.Settle(-token, at(11*time.Second))
	require.Equal(t, 2*token, b.Level(), "taken before the rate was unlimited")
}

// S-L3: in any window, what was charged is at most what came in, the burst, and how far one cost goes beyond the burst.
func TestBucketBoundsEveryWindow(t *testing.T) {
	type charge struct {
		when policy.Time
		cost policy.Amount
	}
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 6))
		r := rule{
			amount: int64(1+rng.IntN(50)) * int64(token) / int64(1+rng.IntN(3)),
			span:   []time.Duration{time.Second, 7 * time.Second, time.Minute}[rng.IntN(3)],
			burst:  policy.Amount(1+rng.IntN(20)) * token,
		}
		b := r.bucket(t)
		var now policy.Time
		var charges []charge
		for len(charges) < 60 {
			cost := policy.Amount(rng.Int64N(int64(r.burst)))
			if rng.IntN(5) == 0 {
				cost += r.burst
			}
			switch ready := b.ReadyAt(cost); {
			case rng.IntN(3) > 0: // as greedy as can be
				now = max(now, ready)
			default:
				now = now.Add(time.Duration(rng.Int64N(int64(time.Second))))
			}
			b.Advance(now)
			if b.Has(cost) {
				b.Take(cost)
				charges = append(charges, charge{now, cost})
			}
		}
		for i := range charges {
			sum := new(big.Rat)
			for j := i; j < len(charges); j++ {
				sum.Add(sum, ratOf(charges[j].cost))
				elapsed := int64(charges[j].when.Sub(charges[i].when))
				bound := new(big.Rat).Mul(big.NewRat(r.amount, int64(r.span)), new(big.Rat).SetInt64(elapsed))
				bound.Add(bound, ratOf(r.burst))
				bound.Add(bound, ratOf(max(0, charges[j].cost-r.burst)))
				if sum.Cmp(bound) > 0 {
					t.Fatalf("seed %d: charges %d to %d make %v, the bound is %v", seed, i, j, sum, bound)
				}
			}
		}
	}
}

// S-L12: without a Burst the bucket holds one second of the rate, at least one token; it starts full.
func TestBucketDefaultBurst(t *testing.T) {
	for _, tt := range []struct {
		rate policy.Rate
		want float64
	}{
		{policy.PerSecond(10), 10},
		{policy.PerSecond(2.5), 2.5},
		{policy.PerSecond(0.5), 1},
		{policy.PerMinute(600), 10},
		{policy.PerMinute(30), 1},
		{policy.PerHour(7200), 2},
		{policy.PerDay(1), 1},
		{policy.Per(3, 500*time.Millisecond), 6},
		{policy.Blocked, 1},
		{policy.Unlimited, 1},
		{policy.PerSecond(1e12), 1e12},
		{policy.Per(1e12, ms), 1e12}, // 10¹⁵ a second do not fit
		{policy.Per(1e6, 1), 1e12},
	} {
		b := policy.NewBucket(policy.Limit{Name: "requests", Rate: tt.rate}, 0)
		assert.InDelta(t, tt.want, b.Level().Tokens(), 1e-6, "%v", tt.rate)
		assert.Equal(t, at(0), b.FullAt(), "%v: new buckets are full", tt.rate)
	}
}

// The package promises that a bucket never allocates.
func TestBucketDoesNotAllocate(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(10)}, 0)
	var now policy.Time
	require.Zero(t, testing.AllocsPerRun(100, func() {
		now = now.Add(time.Millisecond)
		b.Advance(now)
		if b.Has(token) {
			b.Take(token)
			b.GiveBack(token, now)
			b.Take(token)
		}
		_ = b.ReadyAt(token)
	}))
}

func BenchmarkBucket(b *testing.B) {
	bucket := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(7)}, 0)
	var now policy.Time
	for b.Loop() {
		now += at(150 * time.Millisecond)
		bucket.Advance(now)
		if bucket.Has(token) {
			bucket.Take(token)
		}
	}
}
