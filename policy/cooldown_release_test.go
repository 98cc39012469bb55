package policy_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L10: no scout where the server has said when to come.
func TestCooldownHintNeedsNoScout(t *testing.T) {
	c := newCooldown(t)
	c.hint(c.start(), 100*ms)
	c.to(at(100 * ms))
	require.Len(t, c.release(10, func() float64 { return 0 }), 10)
	require.Equal(t, at(100*ms), c.now)
}

// S-L10: released within [until, until + max(wait/10, 100 ms)), none early, never all at once.
func TestCooldownReleaseWindow(t *testing.T) {
	for _, tt := range []struct{ wait, width time.Duration }{
		{0, 100 * ms},
		{1, 100 * ms},
		{500 * ms, 100 * ms},
		{time.Second, 100 * ms},
		{2 * time.Second, 200 * ms},
		{10 * time.Minute, time.Minute},
	} {
		for seed := range uint64(50) {
			rng := rand.New(rand.NewPCG(seed, 9))
			c := newCooldown(t)
			c.to(at(time.Second))
			c.hint(c.start(), tt.wait)
			until := at(time.Second + tt.wait)
			require.Equal(t, until, c.Until())
			c.to(until)
			went := c.release(20, rng.Float64)
			require.True(t, slices.IsSorted(went))
			require.GreaterOrEqual(t, went[0], until, "seed %d", seed)
			require.Less(t, went[19], until.Add(tt.width), "seed %d", seed)
			require.Greater(t, went[19].Sub(went[0]), tt.width/4, "seed %d: a stampede", seed)
		}
	}
}

// The random number at its ends, and any number of those who wait.
func TestCooldownDrawExtremes(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 2, 1000, math.MaxInt} {
		for _, u := range []float64{0, 1e-300, 0.5, almostOne} {
			c := newCooldown(t)
			c.hint(c.start(), 0)
			c.to(0)
			c.Draw(c.now, n, u)
			require.GreaterOrEqual(t, c.ReadyAt(), at(0), "n %d, u %v", n, u)
			require.Less(t, c.ReadyAt(), at(100*ms), "n %d, u %v", n, u)
		}
	}
	c := newCooldown(t)
	c.hint(c.start(), math.MaxInt64)
	require.Equal(t, policy.Never, c.ReadyAt())
	c.to(1 << 62)
	require.Equal(t, policy.Never, c.ReadyAt())
	require.Equal(t, policy.Never, c.IdleAt())
}

// The instants of n releases are distributed like n numbers that are uniform in the window: the k-th smallest has its
// mean at k/(n+1), and all together fill the window evenly.
func TestCooldownReleaseIsUniform(t *testing.T) {
	const n, rounds = 9, 4000
	rng := rand.New(rand.NewPCG(1, 10))
	var mean [n]float64
	var tenths [10]int
	for range rounds {
		c := newCooldown(t)
		c.hint(c.start(), 10*time.Second) // a window of one second
		c.to(at(10 * time.Second))
		for k, instant := range c.release(n, rng.Float64) {
			x := instant.Sub(at(10 * time.Second)).Seconds()
			mean[k] += x / rounds
			tenths[int(x*10)]++
		}
	}
	for k := range n {
		assert.InDelta(t, float64(k+1)/(n+1), mean[k], 0.01, "mean of number %d", k+1)
	}
	for i, count := range tenths {
		assert.InEpsilon(t, n*rounds/10, count, 0.05, "tenth %d of the window", i)
	}
}

// One who comes during the release draws from what is left of the window.
func TestCooldownNewcomerDuringRelease(t *testing.T) {
	c := newCooldown(t)
	c.hint(c.start(), 10*time.Second)
	c.to(at(10*time.Second + 600*ms))
	require.True(t, c.Undrawn())
	c.Draw(c.now, 1, 0.5)
	require.Equal(t, at(10*time.Second+800*ms), c.ReadyAt())
	c.to(at(11 * time.Second))
	require.Zero(t, c.ReadyAt(), "over")
	require.False(t, c.Undrawn())
}

// S-L10: those who have waited long are spread over a tenth of that, also if a short wait comes on top of it: late in the cooldown, or
// when some of them have been let go; and never over less than a tenth of the latest.
func TestCooldownShortWaitOnTopOfALongOne(t *testing.T) {
	tests := []struct {
		name        string
		late        time.Duration
		hint, until time.Duration
		width       time.Duration
	}{
		{"just before the end", 599 * time.Second, 2 * time.Second, 601 * time.Second, time.Minute},
		{"as long again", 599 * time.Second, 1200 * time.Second, 1799 * time.Second, 2 * time.Minute},
		{"at the end", 600 * time.Second, 2 * time.Second, 602 * time.Second, time.Minute},
		{"half of them gone", 630 * time.Second, 2 * time.Second, 632 * time.Second, 30 * time.Second},
		{"almost all gone", 660*time.Second - 1, 2 * time.Second, 662*time.Second - 1, 200 * ms},
		{"all gone", 660 * time.Second, 2 * time.Second, 662 * time.Second, 200 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCooldown(t)
			first, second := c.start(), c.start()
			c.hint(first, 600*time.Second)
			c.to(at(tt.late))
			c.hint(second, tt.hint)
			require.Equal(t, at(tt.until), c.Until())
			c.to(c.Until())
			c.Draw(c.now, 1, almostOne)
			require.InDelta(t, tt.width.Seconds(), c.ReadyAt().Sub(c.Until()).Seconds(), 1e-6)
		})
	}
}

// S-L10: likewise while one goes first, whom the server tells to come a little later.
func TestCooldownShortWaitOfTheScout(t *testing.T) {
	c := newCooldown(t)
	for range 7 { // 100 ms, 200, …, 6.4 s
		c.refuse(c.start())
		c.to(c.Until())
	}
	c.hint(c.start(), 100*ms)
	c.to(c.Until())
	c.Draw(c.now, 1, almostOne)
	require.InDelta(t, 0.64, c.ReadyAt().Sub(c.Until()).Seconds(), 1e-6)
}
