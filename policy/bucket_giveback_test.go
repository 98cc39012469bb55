package policy_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L1: what is given back for an attempt that never started leaves the bucket as if it had never been taken.
func TestBucketGiveBackIsNeverHavingTaken(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 4))
		r := randomRule(rng)
		b, twin := r.bucket(t), r.bucket(t)
		now := r.createdAt
		advance := func() {
			now = now.Add(time.Duration(exponential(rng, 1e12)))
			b.Advance(now)
			twin.Advance(now)
		}
		for range 50 {
			advance()
			if c := policy.Amount(rng.Int64N(int64(2 * r.burst))); twin.Has(c) && rng.IntN(2) == 0 {
				b.Take(c)
				twin.Take(c)
			}
			if c := policy.Amount(rng.Int64N(int64(2 * r.burst))); b.Has(c) {
				b.Take(c)
				taken := now
				for range rng.IntN(3) {
					advance()
					// Others go on meanwhile, as far as there is room for them in both.
					if other := policy.Amount(rng.Int64N(int64(r.burst))); b.Has(other) && twin.Has(other) {
						b.Take(other)
						twin.Take(other)
					}
				}
				b.GiveBack(c, taken)
			}
			require.Equal(t, twin.Level(), b.Level(), "seed %d", seed)
			require.Equal(t, twin.FullAt(), b.FullAt(), "seed %d", seed)
		}
	}
}

// S-L1 with others at work in between, in a bucket that does not fill up meanwhile.
func TestBucketGiveBackAmongOthers(t *testing.T) {
	limit := policy.Limit{Name: "tokens", Rate: policy.PerSecond(3), Burst: 1000}
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		b, twin := policy.NewBucket(limit, 0), policy.NewBucket(limit, 0)
		b.Take(800 * token)
		twin.Take(800 * token)
		type take struct {
			cost policy.Amount
			at   policy.Time
		}
		var held []take
		var now policy.Time
		for range 100 {
			now = now.Add(time.Duration(rng.Int64N(int64(100 * time.Millisecond))))
			b.Advance(now)
			twin.Advance(now)
			c := policy.Amount(rng.Int64N(int64(5 * token)))
			switch {
			case rng.IntN(2) == 0 && b.Has(c):
				b.Take(c)
				held = append(held, take{c, now})
			case b.Has(c):
				b.Take(c)
				twin.Take(c)
			}
		}
		rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for _, h := range held {
			b.GiveBack(h.cost, h.at)
		}
		require.Less(t, twin.Level(), 1000*token)
		require.Equal(t, twin.Level(), b.Level(), "seed %d", seed)
		require.Equal(t, twin.FullAt(), b.FullAt(), "seed %d", seed)
	}
}

func TestBucketGiveBackDropsWhatDoesNotFit(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 20}, 0)
	b.Take(5 * token)
	b.Advance(at(300 * time.Millisecond))
	require.Equal(t, 18*token, b.Level())
	b.GiveBack(5*token, 0)
	require.Equal(t, 20*token, b.Level())
	require.Equal(t, at(300*time.Millisecond), b.FullAt())
}

// replay is what the bucket would hold at the instant now if only these takes had been made.
func replay(r rule, takes []heldTake, now policy.Time) *exactBucket {
	o := r.oracle()
	for _, take := range takes {
		o.advance(take.at)
		o.take(take.cost)
	}
	o.advance(now)
	return o
}

type heldTake struct {
	cost policy.Amount
	at   policy.Time
}

// S-L1, S-L8: several attempts that never start, given back in any order, among others that do: each time the bucket
// holds what it would if none of them had ever taken anything. Judged by telling the whole story anew.
func TestBucketGiveBackInAnyOrder(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 12))
		r := rule{
			amount: int64(1 + rng.IntN(20*int(token))), span: []time.Duration{time.Second, 3 * time.Second, 7}[rng.IntN(3)],
			burst: policy.Amount(1+rng.IntN(20)) * token,
		}
		if r.span == 7 {
			r.amount = 1 // a seventh of an Amount each nanosecond
		}
		if rng.IntN(20) == 0 {
			r.amount = 0
		}
		b := r.bucket(t)
		var (
			now   policy.Time
			takes []heldTake // that stand
			held  []heldTake // those among them that may still be given back
		)
		for step := range 60 { // few enough instants for the bucket to remember
			now = now.Add(time.Duration(rng.Int64N(int64(time.Second))))
			b.Advance(now)
			for range rng.IntN(4) {
				take := heldTake{1 + policy.Amount(rng.Int64N(int64(r.burst))), now}
				if rng.IntN(10) == 0 {
					take.cost += r.burst
				}
				if !b.Has(take.cost) {
					continue
				}
				b.Take(take.cost)
				takes = append(takes, take)
				if rng.IntN(2) == 0 {
					held = append(held, take)
				}
			}
			if len(held) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(held))
				back := held[i]
				held = slices.Delete(held, i, i+1)
				i = slices.Index(takes, back)
				takes = slices.Delete(takes, i, i+1)
				b.GiveBack(back.cost, back.at)
			}
			agree(t, b, replay(r, takes, now), []policy.Amount{1, r.burst / 2, r.burst, r.burst + 1}, seed, step)
		}
	}
}

// S-L1, S-L8: of two levels that differ by less than one Amount the higher decides how much there was room for.
func TestBucketGiveBackToTheFraction(t *testing.T) {
	r := rule{amount: 1, span: 7, burst: 100} // a seventh of an Amount each nanosecond
	b := r.bucket(t)
	takes := []heldTake{{10, 0}, {1, 6}, {20, 12}} // from 100, from 90 and 6/7, from 90 and 5/7
	for _, take := range takes {
		b.Advance(take.at)
		b.Take(take.cost)
	}
	b.GiveBack(10, 0)
	agree(t, b, replay(r, takes[1:], 12), []policy.Amount{78, 79, 80}, 0, 0)
	require.Equal(t, policy.Amount(79), b.Level(), "99 and 6/7, but for the 20; what came in up to the sixth nanosecond had no room")
	b.Advance(13)
	require.Equal(t, policy.Amount(80), b.Level())
}

// S-L1, S-L3: however many there are, so many that the bucket cannot remember each of them, nothing is given back that was
// not there: the bucket never holds more than if it had not been taken. What is given back at the instant at which it was
// taken is given back in full.
func TestBucketGiveBackIsNeverTooMuch(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 13))
		r := rule{amount: int64(1+rng.IntN(20)) * int64(token), span: time.Second, burst: policy.Amount(1+rng.IntN(50)) * token}
		b := r.bucket(t)
		var now policy.Time
		var takes, held []heldTake
		for step := range 200 {
			if rng.IntN(3) > 0 {
				now = now.Add(time.Duration(rng.Int64N(int64(100 * time.Millisecond))))
				b.Advance(now)
			}
			take := heldTake{1 + policy.Amount(rng.Int64N(int64(token))), now}
			if b.Has(take.cost) {
				before := b.Level()
				b.Take(take.cost)
				b.GiveBack(take.cost, now)
				require.Equal(t, before, b.Level(), "seed %d step %d", seed, step)
				b.Take(take.cost)
				takes, held = append(takes, take), append(held, take)
			}
			if len(held) > 40 {
				i := rng.IntN(len(held))
				back := held[i]
				held = slices.Delete(held, i, i+1)
				i = slices.Index(takes, back)
				takes = slices.Delete(takes, i, i+1)
				b.GiveBack(back.cost, back.at)
			}
			if want := replay(r, takes, now).floor(); b.Level() > want {
				t.Fatalf("seed %d step %d: the bucket holds %v, and would have held %v", seed, step, b.Level(), want)
			}
		}
	}
}

// S-L1: one turn that admits many at once is one instant to remember, not many.
func TestBucketGiveBackAfterManyAtOnce(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(1), Burst: 100}, 0)
	b.Take(token) // never starts
	b.Advance(at(100 * ms))
	for range 50 {
		b.Take(token)
	}
	b.GiveBack(token, 0)
	require.Equal(t, 50*token, b.Level(), "all but the 50: what came in since would not have found room")
}

// S-L1: buckets that are drained by thousands, each at an instant of its own, and to which most of it is given back, later and in
// any order. That is far more than a bucket remembers. One that does not fill gets all of it nevertheless, and one that does all but
// a few hundredths of the burst; never too much.
func TestBucketGiveBackOfThousands(t *testing.T) {
	for _, rate := range []policy.Rate{policy.Blocked, policy.PerDay(1), policy.PerSecond(10)} {
		for name, cost := range map[string]func(*rand.Rand) policy.Amount{
			"one cost":     func(*rand.Rand) policy.Amount { return token },
			"of all sizes": func(rng *rand.Rand) policy.Amount { return 1 + policy.Amount(exponential(rng, float64(20*token))) },
		} {
			for seed := range uint64(5) {
				rng := rand.New(rand.NewPCG(seed, 14))
				limit := policy.Limit{Name: "calls", Rate: rate, Burst: 2000}
				b, twin := policy.NewBucket(limit, 0), policy.NewBucket(limit, 0)
				takes, now := drainAndGiveBack(rng, &b, cost)
				for _, take := range takes {
					twin.Advance(take.at)
					twin.Take(take.cost)
				}
				twin.Advance(now)
				missing := twin.Level() - b.Level()
				require.GreaterOrEqual(t, missing, policy.Amount(0), "%v, %s, seed %d: too much", rate, name, seed)
				if rate == policy.Blocked {
					require.Zero(t, missing, "%s, seed %d", name, seed)
				}
				require.Less(t, missing, 150*token, "%v, %s, seed %d", rate, name, seed)
			}
		}
	}
}

// drainAndGiveBack takes all there is, gives most of that back, and does so forty times. It returns the takes that stand.
func drainAndGiveBack(rng *rand.Rand, b *policy.Bucket, cost func(*rand.Rand) policy.Amount) (takes []heldTake, now policy.Time) {
	for range 40 {
		var held []heldTake
		for {
			now = now.Add(time.Duration(rng.Int64N(int64(ms))))
			b.Advance(now)
			c := cost(rng)
			if c > b.Level() {
				break
			}
			b.Take(c)
			if take := (heldTake{c, now}); rng.IntN(50) > 0 {
				held = append(held, take)
			} else {
				takes = append(takes, take)
			}
		}
		rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for _, h := range held {
			b.GiveBack(h.cost, h.at)
		}
	}
	return takes, now
}
