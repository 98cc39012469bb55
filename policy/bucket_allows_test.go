package policy_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// allows is Allows by trying it out, on a copy.
func allows(b *policy.Bucket, cost, other policy.Amount, when policy.Time) bool {
	if !b.Has(cost) {
		return false
	}
	c := b.Clone()
	c.Take(cost)
	return c.ReadyAt(other) <= when
}

// S-A5: a small cost may pass a large one that waits, if that starts no later for it.
func TestBucketAllows(t *testing.T) {
	b := policy.NewBucket(policy.Limit{Name: "tokens", Rate: policy.PerSecond(10), Burst: 20}, 0)
	b.Take(15 * token) // leaves 5
	ready := b.ReadyAt(15 * token)
	require.Equal(t, at(time.Second), ready)
	require.False(t, b.Allows(1, 15*token, ready))
	require.True(t, b.Allows(0, 15*token, ready))
	require.True(t, b.Allows(5*token, 15*token, ready.Add(500*ms)))
	require.False(t, b.Allows(5*token, 15*token, ready.Add(500*ms)-1))
	require.False(t, b.Allows(5*token+1, 15*token, ready.Add(time.Hour)), "there is no room for it")
	require.True(t, b.Allows(5*token, 0, 0), "what costs nothing waits for nobody")
	require.True(t, b.Allows(5*token, 1000*token, at(2*time.Second)), "a full bucket (S-L4)")
	require.False(t, b.Allows(5*token, 1000*token, at(2*time.Second)-1))
	require.Equal(t, 5*token, b.Level(), "nothing is taken")

	b.SetRate(0, policy.Blocked)
	require.True(t, b.Allows(token, 4*token, 0))
	require.False(t, b.Allows(token, 5*token, at(time.Hour)))
	require.True(t, b.Allows(token, 5*token, b.ReadyAt(6*token)), "who can never start is not delayed")
	b.SetRate(0, policy.Unlimited)
	require.True(t, b.Allows(math.MaxInt64, math.MaxInt64, 0))
}

// S-A5, S-L3: in a window, what is taken now counts for a span from now on, and keeps what shares its slice for as long.
func TestBucketAllowsInWindow(t *testing.T) {
	l := sliding()
	l.Burst = 1000
	b := slidingBucket(t, l)
	takeAt(t, b, 0, 50*token)
	takeAt(t, b, 10*time.Second, 30*token)
	b.Advance(at(10*time.Second + slice/2))
	first := at(time.Minute + 1)
	require.Equal(t, first, b.ReadyAt(60*token))
	require.True(t, b.Allows(10*token, 60*token, first), "10, 30 and 60")
	require.False(t, b.Allows(10*token+1, 60*token, first))
	second := at(70*time.Second + 1)
	require.Equal(t, second, b.ReadyAt(90*token))
	require.False(t, b.Allows(1, 90*token, second), "the 30 would count longer")
	require.True(t, b.Allows(1, 90*token, second.Add(slice/2)))
	require.False(t, b.Allows(1, 90*token, second.Add(slice/2-1)))
	require.False(t, b.Allows(1, 101*token, at(time.Hour)))

	b.Advance(at(10*time.Second + slice)) // a slice of its own
	require.True(t, b.Allows(10*token, 90*token, second))
	require.False(t, b.Allows(10*token+1, 90*token, second))
	require.False(t, b.Allows(20*token+1, token, at(time.Hour)), "there is no room for it")
	require.Equal(t, 80*token, b.Charged(), "nothing is taken")
}

// S-A5: Allows says what taking the one and waiting for the other would show, for any bucket, and takes nothing.
func TestBucketAllowsIsLikeTrying(t *testing.T) {
	said := map[bool]int{}
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 51))
		w := newWalk(t, seed, 52, []float64{0, 1e6, 5}[seed%3])
		plain := policy.NewBucket(policy.Limit{Name: "a", Rate: policy.PerSecond(float64(1 + rng.IntN(20))), Burst: float64(1 + rng.IntN(20))}, 0)
		for step := range 60 {
			w.pass()
			plain.Advance(w.now)
			if c := w.take(); c != nil && plain.Has(c.amount) {
				plain.Take(c.amount)
			}
			if c := w.letGo(); rng.IntN(4) == 0 {
				by := policy.Amount(rng.Int64N(int64(token))) - c.amount
				w.b.Settle(by, c.at)
				c.amount += max(by, -c.amount)
			}
			for _, b := range []*policy.Bucket{w.b, &plain} {
				before := b.Clone()
				cost, other := w.cost(), w.cost()
				tried := b.Clone()
				if tried.Has(cost) {
					tried.Take(cost)
				}
				for _, when := range []policy.Time{
					w.now, b.ReadyAt(other), tried.ReadyAt(other), max(w.now, tried.ReadyAt(other)-1), w.now.Add(w.log.span), policy.Never,
				} {
					got := b.Allows(cost, other, when)
					if want := allows(b, cost, other, when); got != want {
						t.Fatalf("seed %d step %d at %d: Allows(%d, %d, %d) = %v", seed, step, w.now, cost, other, when, got)
					}
					said[got]++
				}
				require.Equal(t, before, b)
			}
		}
	}
	require.Greater(t, min(said[true], said[false]), 10_000)
}
