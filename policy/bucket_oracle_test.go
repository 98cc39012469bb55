package policy_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// token is one token as an Amount.
const token policy.Amount = 1_000_000

// at is an instant so long after the clock was started.
func at(d time.Duration) policy.Time { return policy.Time(d) }

// exactBucket is the oracle: a token bucket in rational numbers, without a thought for speed. Levels are in Amounts.
type exactBucket struct {
	perNano *big.Rat // nil: unlimited
	burst   *big.Rat
	level   *big.Rat
	last    policy.Time
}

// rule is a limit in whole numbers, from which bucket and oracle are made.
type rule struct {
	amount    int64 // of an Amount per span; 0: blocked, negative: unlimited
	span      time.Duration
	burst     policy.Amount
	createdAt policy.Time
}

func (r rule) limit() policy.Limit {
	l := policy.Limit{Name: "tokens", Burst: float64(r.burst) / float64(token)}
	switch {
	case r.amount < 0:
		l.Rate = policy.Unlimited
	case r.amount == 0:
		l.Rate = policy.Blocked
	default:
		l.Rate = policy.Per(float64(r.amount)/float64(token), r.span)
	}
	return l
}

func (r rule) bucket(t *testing.T) *policy.Bucket {
	t.Helper()
	l := r.limit()
	require.NoError(t, l.Validate())
	b := policy.NewBucket(l, r.createdAt)
	return &b
}

func (r rule) oracle() *exactBucket {
	o := &exactBucket{burst: ratOf(r.burst), level: ratOf(r.burst), last: r.createdAt}
	switch {
	case r.amount == 0:
		o.perNano = new(big.Rat)
	case r.amount > 0:
		o.perNano = big.NewRat(r.amount, int64(r.span))
	}
	return o
}

func ratOf(a policy.Amount) *big.Rat { return new(big.Rat).SetInt64(int64(a)) }

func (o *exactBucket) advance(now policy.Time) {
	if now <= o.last {
		return
	}
	if o.perNano != nil {
		credit := new(big.Rat).Mul(o.perNano, new(big.Rat).SetInt64(int64(now.Sub(o.last))))
		o.add(credit)
	}
	o.last = now
}

func (o *exactBucket) add(credit *big.Rat) {
	o.level = new(big.Rat).Add(o.level, credit)
	if o.level.Cmp(o.burst) > 0 {
		o.level = o.burst
	}
}

// need is what the bucket must hold for cost: all it can, if cost is more (S-L4).
func (o *exactBucket) need(cost policy.Amount) *big.Rat {
	if need := ratOf(cost); need.Cmp(o.burst) < 0 {
		return need
	}
	return o.burst
}

func (o *exactBucket) has(cost policy.Amount) bool {
	return cost == 0 || o.perNano == nil || o.level.Cmp(o.need(cost)) >= 0
}

func (o *exactBucket) take(cost policy.Amount) {
	if o.perNano != nil {
		o.level = new(big.Rat).Sub(o.level, ratOf(cost))
	}
}

func (o *exactBucket) readyAt(cost policy.Amount) policy.Time {
	if o.has(cost) {
		return o.last
	}
	if o.perNano.Sign() == 0 {
		return policy.Never
	}
	wait := new(big.Rat).Sub(o.need(cost), o.level)
	wait.Quo(wait, o.perNano)
	// Rounded up: num/denom of a positive ratio.
	nanos := new(big.Int).Add(wait.Num(), new(big.Int).Sub(wait.Denom(), big.NewInt(1)))
	nanos.Quo(nanos, wait.Denom())
	nanos.Add(nanos, big.NewInt(int64(o.last)))
	if !nanos.IsInt64() {
		return policy.Never
	}
	return policy.Time(nanos.Int64())
}

// floor is the whole number of Amounts in the bucket.
func (o *exactBucket) floor() policy.Amount {
	q, m := new(big.Int).DivMod(o.level.Num(), o.level.Denom(), new(big.Int))
	_ = m // Euclidean: for a positive denominator the quotient is the floor
	return policy.Amount(q.Int64())
}

// agree fails unless b answers every question as o does.
func agree(t *testing.T, b *policy.Bucket, o *exactBucket, costs []policy.Amount, seed uint64, step int) {
	t.Helper()
	if o.perNano != nil {
		if got, want := b.Level(), o.floor(); got != want {
			t.Fatalf("seed %d step %d: Level() = %d, want %d", seed, step, got, want)
		}
	}
	for _, cost := range costs {
		if got, want := b.Has(cost), o.has(cost); got != want {
			t.Fatalf("seed %d step %d: Has(%d) = %v, want %v; level %v", seed, step, cost, got, want, o.level)
		}
		if o.perNano == nil {
			continue // an unlimited bucket keeps no time
		}
		if got, want := b.ReadyAt(cost), o.readyAt(cost); got != want {
			t.Fatalf("seed %d step %d: ReadyAt(%d) = %d, want %d; level %v", seed, step, cost, got, want, o.level)
		}
	}
	if o.perNano != nil {
		if got, want := b.FullAt(), o.readyAt(b.Level()+policy.Amount(math.MaxInt64/4)); got != want {
			t.Fatalf("seed %d step %d: FullAt() = %d, want %d", seed, step, got, want)
		}
	}
}

// exponential draws a number whose magnitude, and not whose value, is uniform in [1, most].
func exponential(rng *rand.Rand, most float64) int64 {
	return int64(math.Exp(rng.Float64() * math.Log(most)))
}

func randomRule(rng *rand.Rand) rule {
	r := rule{
		amount:    exponential(rng, 1e13),
		span:      time.Duration(exponential(rng, 1e14)),
		burst:     policy.Amount(exponential(rng, 1e14)),
		createdAt: policy.Time(rng.Int64N(1e15)),
	}
	switch rng.IntN(20) {
	case 0:
		r.amount = 0
	case 1:
		r.amount = -1
	case 2, 3, 4, 5, 6: // the usual kind
		r.span = []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}[rng.IntN(4)]
		r.amount = int64(1+rng.IntN(1000)) * int64(token)
		r.burst = policy.Amount(1+rng.IntN(100)) * token
	}
	return r
}

// S-L2, S-L4, S-L7, S-L8: after any sequence of calls the bucket stands where exact arithmetic does.
func TestBucketAgreesWithRationalArithmetic(t *testing.T) {
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := randomRule(rng)
		b, o := r.bucket(t), r.oracle()
		cost := func() policy.Amount {
			switch rng.IntN(6) {
			case 0:
				return 0
			case 1:
				return r.burst
			case 2: // above burst
				return r.burst + policy.Amount(exponential(rng, 1e14))
			default:
				return policy.Amount(rng.Int64N(int64(r.burst) + 1))
			}
		}
		for step := range 200 {
			switch rng.IntN(6) {
			case 0, 1: // forward
				now := o.last.Add(time.Duration(exponential(rng, 1e13)))
				b.Advance(now)
				o.advance(now)
			case 2: // to the very moment that was promised, or the nanosecond before
				if moment := o.readyAt(cost()); moment < policy.Never {
					moment -= policy.Time(rng.IntN(2))
					b.Advance(moment)
					o.advance(moment)
				}
			case 3: // backwards
				now := policy.Time(rng.Int64N(int64(o.last) + 1))
				b.Advance(now)
				o.advance(now)
			case 4:
				if c := cost(); o.has(c) {
					b.Take(c)
					o.take(c)
				}
			case 5:
				// At the instant of the Take; what happens in between is for the twins below.
				if c := cost(); o.has(c) {
					b.Take(c)
					b.GiveBack(c, o.last)
				}
			}
			agree(t, b, o, []policy.Amount{0, 1, cost(), cost()}, seed, step)
		}
	}
}

// S-L8: the largest and smallest numbers that a valid limit, a cost and a clock can hold; nothing overflows.
func TestBucketExtremes(t *testing.T) {
	const most = 1_000_000_000_000 * token // the most tokens that are allowed anywhere
	times := []policy.Time{0, 1, at(time.Second), 1 << 53, 1 << 62, policy.Never - 1, policy.Never}
	costs := []policy.Amount{0, 1, token, most - 1, most}
	for _, amount := range []int64{-1, 0, 1, 7, int64(token), int64(most)} {
		for _, span := range []time.Duration{1, 3, time.Second, math.MaxInt64} {
			for _, burst := range []policy.Amount{1, token, most} {
				for _, created := range []policy.Time{0, 1 << 62} {
					r := rule{amount: amount, span: span, burst: burst, createdAt: created}
					b, o := r.bucket(t), r.oracle()
					step := 0
					for _, now := range times {
						b.Advance(now)
						o.advance(now)
						agree(t, b, o, costs, 0, step)
						for _, cost := range costs {
							if o.has(cost) {
								b.Take(cost)
								o.take(cost)
							}
							step++
							agree(t, b, o, costs, 0, step)
						}
					}
				}
			}
		}
	}
}
