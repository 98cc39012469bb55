package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const ms = time.Millisecond

func TestBucketOver(t *testing.T) {
	b := bucket{rate: 100, burst: 2} // one each 10 ms
	for name, c := range map[string]struct {
		starts []time.Duration
		over   float64
	}{
		"nothing":                      {nil, -2},
		"one":                          {[]time.Duration{5 * ms}, -1},
		"the burst":                    {[]time.Duration{0, 0}, 0},
		"one too many":                 {[]time.Duration{0, 0, 0}, 1},
		"the burst and the rate":       {[]time.Duration{0, 0, 10 * ms, 20 * ms, 30 * ms}, 0},
		"a microsecond early":          {[]time.Duration{0, 0, 10*ms - 1000, 20 * ms}, 0.0001},
		"late, and then at the rate":   {[]time.Duration{0, 0, 25 * ms, 30 * ms, 40 * ms}, 0},
		"unused for long, then twice":  {[]time.Duration{0, 990 * ms, 990 * ms, 1000 * ms}, 0},
		"unused for long, then thrice": {[]time.Duration{0, 990 * ms, 990 * ms, 990 * ms}, 1},
		"late by little throughout":    {[]time.Duration{0, 1 * ms, 12 * ms, 22 * ms}, -0.1},
	} {
		assert.InDelta(t, c.over, b.over(c.starts), 1e-12, name)
	}
}

// The quick way agrees with the plain one: all spans, one by one.
func TestBucketOverAgainstAllSpans(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		b := bucket{rate: 1 + random.IntN(2000), burst: 1 + random.IntN(20)}
		starts := make([]time.Duration, 1+random.IntN(30))
		for i := range starts {
			starts[i] = time.Duration(random.Int64N(int64(100 * ms)))
		}
		slices.Sort(starts)
		most := -float64(b.burst)
		for i := range starts {
			for j := i; j < len(starts); j++ {
				most = max(most, float64(j-i+1)-float64(b.burst)-float64(b.rate)*(starts[j]-starts[i]).Seconds())
			}
		}
		assert.InDelta(t, most, b.over(starts), 1e-6, "seed %d: %+v, %v", seed, b, starts)
	}
}

func TestBucketUsed(t *testing.T) {
	b := bucket{rate: 100, burst: 2}
	starts := []time.Duration{5 * ms, 5 * ms, 15 * ms, 25 * ms, 45 * ms, 46 * ms}
	assert.InDelta(t, 5.0/6, b.used(starts, 40*ms), 1e-12, "the first 40 ms, ends included")
	assert.Zero(t, b.used(nil, 40*ms))
}

// There are always more jobs than the limit lets through, and its burst is worth some lateness of timers.
func TestLimitOf(t *testing.T) {
	for rate, burst := range map[int]int{100: 5, 1_000: 20, 10_000: 200} {
		b := limitOf(rate)
		assert.Equal(t, bucket{rate, burst}, b)
		assert.Equal(t, 11*rate+burst, b.backlog(10*time.Second))
	}
}
