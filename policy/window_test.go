package policy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// slice is the length of a slice of a minute's window: a 128th of it.
const slice = 468_750 * time.Microsecond

// sliding is 100 a minute, in any minute, with a burst of as much.
func sliding() policy.Limit {
	return policy.Limit{Name: "requests", Rate: policy.PerMinute(100), Burst: 100, Sliding: true}
}

// slidingBucket returns a new bucket for l, at the instant 0.
func slidingBucket(t *testing.T, l policy.Limit) *policy.Bucket {
	t.Helper()
	require.NoError(t, l.Validate())
	b := policy.NewBucket(l, 0)
	return &b
}

// takeAt takes what there must be room for.
func takeAt(t *testing.T, b *policy.Bucket, when time.Duration, cost policy.Amount) {
	t.Helper()
	b.Advance(at(when))
	require.True(t, b.Has(cost), "at %v", when)
	b.Take(cost)
	sound(t, b)
}

func sound(t *testing.T, b *policy.Bucket) {
	t.Helper()
	if err := b.WindowFault(); err != nil {
		t.Fatalf("%v", err)
	}
}

// freeOnlyAt fails unless cost can be taken from that very instant on, and not a nanosecond before.
func freeOnlyAt(t *testing.T, b *policy.Bucket, when time.Duration, cost policy.Amount) {
	t.Helper()
	require.Equal(t, at(when), b.ReadyAt(cost))
	before, then := b.Clone(), b.Clone()
	before.Advance(at(when) - 1)
	require.False(t, before.Has(cost), "a nanosecond before")
	require.Equal(t, at(when), before.ReadyAt(cost))
	then.Advance(at(when))
	require.True(t, then.Has(cost))
	require.Equal(t, at(when), then.ReadyAt(cost))
	sound(t, then)
}

// S-L3: a hundred a minute is no more than a hundred in any minute, though the bucket fills meanwhile; both ends of the
// minute belong to it.
func TestSlidingHoldsInAnyWindow(t *testing.T) {
	plain := sliding()
	plain.Sliding = false
	b, twin := slidingBucket(t, sliding()), slidingBucket(t, plain)
	for range 100 {
		takeAt(t, b, 0, token)
		twin.Take(token)
	}
	b.Advance(at(59 * time.Second))
	twin.Advance(at(59 * time.Second))
	assert.True(t, twin.Has(98*token), "so that 198 start within the first minute")
	assert.False(t, b.Has(1))
	assert.True(t, b.Has(0))
	assert.Zero(t, b.Level(), "what there is room for")
	freeOnlyAt(t, b, time.Minute+1, 1)
	freeOnlyAt(t, b, time.Minute+1, 100*token)
}

// S-L3: charges further apart than a slice leave the window one by one, each to the nanosecond.
func TestSlidingIsExactAtLowRates(t *testing.T) {
	b := slidingBucket(t, policy.Limit{Name: "requests", Rate: policy.PerMinute(5), Burst: 5, Sliding: true})
	taken := []time.Duration{0, slice, 5 * time.Second, 20 * time.Second, 59 * time.Second}
	for _, when := range taken {
		takeAt(t, b, when, token)
	}
	for i, when := range taken {
		freeOnlyAt(t, b, when+time.Minute+1, policy.Amount(i+1)*token)
	}
	assert.Equal(t, at(119*time.Second+1), b.FullAt(), "the bucket is full a little earlier")
}

// S-L3: charges less than a slice apart leave together with the last of them, and so not too soon.
func TestSlidingErrsByOneSlice(t *testing.T) {
	for _, tt := range []struct {
		apart time.Duration
		want  time.Duration // when the first of two has left
	}{
		{0, time.Minute + 1},
		{1, time.Minute + 2},
		{slice - 1, time.Minute + slice},
		{slice, time.Minute + 1}, // too far apart
		{time.Minute, time.Minute + 1},
	} {
		b := slidingBucket(t, sliding())
		takeAt(t, b, 0, 60*token)
		takeAt(t, b, tt.apart, 40*token)
		if tt.apart < time.Minute {
			freeOnlyAt(t, b, tt.want, token)
		}
		freeOnlyAt(t, b, tt.apart+time.Minute+1, 100*token)
	}
}

// S-L3: the first charge says how far a slice can reach: it does not grow for ever while charges go on.
func TestSlidingSlicesEnd(t *testing.T) {
	b := slidingBucket(t, sliding())
	for i := range 100 {
		takeAt(t, b, time.Duration(i)*100*ms, token)
	}
	freeOnlyAt(t, b, time.Minute+400*ms+1, 5*token) // at 0, 100, 200, 300 and 400 ms
	freeOnlyAt(t, b, time.Minute+900*ms+1, 6*token)
	held, _ := b.Slices()
	require.Equal(t, 20, held)
}

// S-L3, S-L4: the cap is strict. A cost above it is never admitted, while one above the burst still goes into debt.
func TestSlidingCapIsStrict(t *testing.T) {
	l := sliding()
	l.Burst = 10
	b := slidingBucket(t, l)
	require.Equal(t, policy.Never, b.ReadyAt(100*token+1))
	require.False(t, b.Has(100*token+1))
	takeAt(t, b, 0, 100*token)
	require.Equal(t, -90*token, b.Level())
	require.Equal(t, policy.Never, b.ReadyAt(100*token+1))
	freeOnlyAt(t, b, time.Minute+1, 1) // the debt is paid after 54 s
}

// S-L3: where the burst is the default, the bucket spreads the hundred over the minute; whichever is later counts.
func TestSlidingWithDefaultBurst(t *testing.T) {
	l := sliding()
	l.Burst = 0
	b := slidingBucket(t, l)
	takeAt(t, b, 0, token)
	// A burst of 1.666667 leaves 0.666667: a third of a token, less a third of a millionth, is 200 ms.
	freeOnlyAt(t, b, 199_999_800*time.Nanosecond, token)
	for range 98 {
		next := b.ReadyAt(token)
		takeAt(t, b, time.Duration(next), token)
	}
	require.Less(t, b.ReadyAt(token), at(time.Minute))
	takeAt(t, b, time.Duration(b.ReadyAt(token)), token)
	require.Equal(t, 100*token, b.Charged())
	freeOnlyAt(t, b, time.Minute+199_999_801*time.Nanosecond, token) // the first two share a slice
}

// S-L1: what is given back was never charged, whatever has been corrected or changed since.
func TestSlidingGiveBack(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 0, 50*token)
	takeAt(t, b, 10*time.Second, 20*token)
	takeAt(t, b, 20*time.Second, 30*token)
	b.GiveBack(20*token, at(10*time.Second))
	sound(t, b)
	require.Equal(t, 80*token, b.Charged())
	require.True(t, b.Has(20*token))
	require.Equal(t, at(time.Minute+1), b.ReadyAt(21*token))

	b.Observe(at(21*time.Second), 5*token) // now the bucket cannot tell
	level := b.Level()
	b.GiveBack(30*token, at(20*time.Second))
	sound(t, b)
	require.Equal(t, level, b.Level())
	require.Equal(t, 50*token, b.Charged(), "but the window can")

	b.Advance(at(time.Minute))
	b.GiveBack(10*token, 0)
	require.Equal(t, 40*token, b.Charged(), "at 60 s it still counts")
	b.Advance(at(time.Minute + 1))
	b.GiveBack(40*token, 0)
	sound(t, b)
	require.Zero(t, b.Charged())
	b.GiveBack(40*token, at(30*time.Second))
	b.GiveBack(40*token, at(time.Hour))
	require.Zero(t, b.Charged(), "nothing was taken then")
}

// S-L1: a take that is undone at once leaves no trace.
func TestSlidingGiveBackAtOnce(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 0, 100*token)
	b.GiveBack(100*token, 0)
	sound(t, b)
	require.True(t, b.Has(100*token))
	require.Equal(t, at(0), b.FullAt())

	takeAt(t, b, time.Second, 10*token)
	takeAt(t, b, 2*time.Second, 20*token)
	b.GiveBack(20*token, at(2*time.Second))
	sound(t, b)
	require.Equal(t, at(61*time.Second+1), b.FullAt())
}

// S-L3, S-L5: a correction rewrites the charge at the instant at which it was made.
func TestSlidingSettle(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 0, 60*token)
	takeAt(t, b, 30*time.Second, 40*token)
	b.Advance(at(40 * time.Second))
	b.Settle(-50*token, 0)
	sound(t, b)
	require.True(t, b.Has(50*token))
	freeOnlyAt(t, b, time.Minute+1, 60*token)
	freeOnlyAt(t, b, 90*time.Second+1, 61*token)

	b.Settle(45*token, at(30*time.Second)) // 95 altogether
	freeOnlyAt(t, b, time.Minute+1, 6*token)
	b.Settle(-1000*token, at(30*time.Second))
	sound(t, b)
	require.Equal(t, 10*token, b.Charged(), "never below nothing")

	b.Advance(at(time.Minute + 1))
	b.Settle(90*token, 0)
	sound(t, b)
	require.Zero(t, b.Charged(), "it has left the window")
}

// S-L3, S-L5: an estimate that was too low exceeds the cap by the difference, and nothing is admitted until that has left.
func TestSlidingSettleBeyondTheCap(t *testing.T) {
	l := sliding()
	l.Burst = 1e6 // so that only the window binds
	b := slidingBucket(t, l)
	takeAt(t, b, 0, 30*token)
	takeAt(t, b, 10*time.Second, 70*token)
	b.Settle(40*token, at(10*time.Second))
	sound(t, b)
	require.Equal(t, 140*token, b.Charged())
	require.Equal(t, -40*token, b.Level())
	require.False(t, b.Has(1))
	require.True(t, b.Has(0))
	freeOnlyAt(t, b, 70*time.Second+1, 1) // without the 30 of 0 s it is still too much
	freeOnlyAt(t, b, 70*time.Second+1, 100*token)
}

// S-L3, S-L5: what was estimated at nothing is charged when it turns out to cost something, at its own instant.
func TestSlidingSettleOfNothing(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 5*time.Second, 10*token)
	b.Advance(at(20 * time.Second))
	b.Settle(5*token, at(10*time.Second)) // between the slices
	sound(t, b)
	freeOnlyAt(t, b, 70*time.Second+1, 100*token)
	b.Settle(5*token, at(5*time.Second-1)) // as near as to share one
	sound(t, b)
	b.Settle(5*token, at(10*time.Second+slice-1))
	sound(t, b)
	held, _ := b.Slices()
	require.Equal(t, 2, held)
	freeOnlyAt(t, b, 65*time.Second+1, 76*token)
	freeOnlyAt(t, b, 70*time.Second+slice, 100*token)
	for _, taken := range []time.Duration{time.Second, 7 * time.Second, 15 * time.Second} {
		b.Settle(-5*token, at(taken))
		held, _ = b.Slices()
		require.Equal(t, 25*token, b.Charged(), "there is nothing to refund")
		require.Equal(t, 2, held)
	}
	b.Settle(-5*token, at(5*time.Second-1))
	require.Equal(t, 20*token, b.Charged())
	b.Settle(5*token, at(5*time.Second-1))
	b.Settle(-5*token, at(10*time.Second+slice-1))
	require.Equal(t, 20*token, b.Charged())
	b.Settle(5*token, at(10*time.Second+slice-1))
	b.Advance(at(70*time.Second + slice))
	b.Settle(5*token, at(20*time.Second)-1)
	require.Equal(t, 5*token, b.Charged())
	b.Advance(at(80 * time.Second))
	b.Settle(5*token, at(20*time.Second)-1)
	sound(t, b)
	require.Zero(t, b.Charged(), "too late")
}

// S-L6: another rate has another cap and another span from now on, and what was charged stays where it was.
func TestSlidingSetRate(t *testing.T) {
	charged := func(t *testing.T) *policy.Bucket {
		l := sliding()
		l.Burst = 1000
		b := slidingBucket(t, l)
		takeAt(t, b, 0, 60*token)
		takeAt(t, b, 30*time.Second, 40*token)
		return b
	}
	for _, tt := range []struct {
		name  string
		rates []policy.Rate // one after the other, at 40 s
		cost  policy.Amount
		want  time.Duration
	}{
		{"higher cap", []policy.Rate{policy.PerMinute(150)}, 50 * token, 40 * time.Second},
		{"higher cap, later", []policy.Rate{policy.PerMinute(150)}, 51 * token, time.Minute + 1},
		{"lower cap", []policy.Rate{policy.PerMinute(50)}, 10 * token, time.Minute + 1},
		{"lower cap, later", []policy.Rate{policy.PerMinute(50)}, 11 * token, 90*time.Second + 1},
		{"shorter", []policy.Rate{policy.Per(100, 20*time.Second)}, 60 * token, 40 * time.Second},
		{"shorter, later", []policy.Rate{policy.Per(100, 20*time.Second)}, 61 * token, 50*time.Second + 1},
		{"longer", []policy.Rate{policy.PerHour(100)}, token, time.Hour + 1},
		{"longer, later", []policy.Rate{policy.PerHour(100)}, 61 * token, time.Hour + 30*time.Second + 1},
		{"a longer one remembers what a shorter did", []policy.Rate{policy.Per(1, time.Second), policy.PerHour(100)}, 100 * token, 40 * time.Second},
		{"unlimited for a moment", []policy.Rate{policy.Unlimited, policy.PerMinute(100)}, 60 * token, time.Minute + 1},
		{"blocked for a moment", []policy.Rate{policy.Blocked, policy.PerMinute(100)}, 60 * token, time.Minute + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := charged(t)
			for _, r := range tt.rates {
				b.SetRate(at(40*time.Second), r)
				sound(t, b)
			}
			if tt.want > 40*time.Second {
				freeOnlyAt(t, b, tt.want, tt.cost)
			} else {
				require.True(t, b.Has(tt.cost))
				require.False(t, b.Has(tt.cost+1))
			}
		})
	}
}

// S-L6: what a shorter window has forgotten does not come back with a longer one, nor is it corrected.
func TestSlidingSetRateForgets(t *testing.T) {
	l := policy.Limit{Name: "tokens", Rate: policy.PerSecond(100), Burst: 1000, Sliding: true}
	b := slidingBucket(t, l)
	takeAt(t, b, 0, 60*token)
	b.Advance(at(5 * time.Second))
	b.SetRate(at(5*time.Second), policy.PerHour(100))
	b.Settle(5*token, 0)
	require.Zero(t, b.Charged())
	b.Settle(5*token, 1)
	require.Equal(t, 5*token, b.Charged(), "one that cost nothing then")
}

// S-L6: Blocked keeps cap and span; what is in the bucket can be used within them.
func TestSlidingBlocked(t *testing.T) {
	l := sliding()
	l.Burst = 1000
	b := slidingBucket(t, l)
	takeAt(t, b, 0, 90*token)
	b.SetRate(at(time.Second), policy.Blocked)
	require.Equal(t, 10*token, b.Level())
	takeAt(t, b, time.Second, 10*token)
	freeOnlyAt(t, b, time.Minute+1, 90*token)
	require.Equal(t, policy.Never, b.ReadyAt(101*token))
	takeAt(t, b, time.Minute+1, 90*token)
	require.Equal(t, policy.Never, b.FullAt())
	b.GiveBack(90*token, at(time.Minute+1))
	require.Equal(t, 10*token, b.Charged())
}

// S-L6: while the rate is unlimited there is no cap, nothing is charged, and what was charged before grows old.
func TestSlidingUnlimited(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 0, 60*token)
	takeAt(t, b, 30*time.Second, 40*token)
	b.SetRate(at(40*time.Second), policy.Unlimited)
	require.True(t, b.Has(math.MaxInt64))
	require.Equal(t, at(40*time.Second), b.ReadyAt(math.MaxInt64))
	require.Equal(t, policy.Amount(66_666_666), b.Level(), "what the bucket holds")
	require.Equal(t, at(90*time.Second+1), b.FullAt(), "a new one would have a cap of more, were the rate to change back")
	b.Take(500 * token)
	b.Settle(500*token, at(40*time.Second))
	b.Settle(500*token, at(30*time.Second))
	require.Equal(t, 100*token, b.Charged())
	b.Advance(at(70 * time.Second))
	require.Equal(t, 40*token, b.Charged())

	b.SetRate(at(70*time.Second), policy.PerMinute(100))
	for _, taken := range []time.Duration{30 * time.Second, 40 * time.Second, 70 * time.Second} {
		b.GiveBack(40*token, at(taken))
		b.Settle(40*token, at(taken))
		require.Equal(t, 40*token, b.Charged(), "whether what was taken at %v was charged is not known", taken)
	}
	sound(t, b)
	b.Advance(at(90 * time.Second))
	require.Equal(t, 40*token, b.Charged())
	b.Advance(at(90*time.Second) + 1)
	require.Zero(t, b.Charged())
}

// S-L6: a limit that was blocked or lifted before its first bucket was made still has its cap.
func TestSlidingBeginsWithoutSpan(t *testing.T) {
	l := sliding()
	b := slidingBucket(t, l.WithRate(policy.Blocked))
	takeAt(t, b, 0, 100*token)
	b.SetRate(0, policy.PerMinute(300))
	require.Equal(t, 200*token, 300*token-b.Charged())

	b = slidingBucket(t, l.WithRate(policy.Unlimited).WithRate(policy.Blocked))
	require.Equal(t, policy.Never, b.ReadyAt(101*token))
	takeAt(t, b, 0, 100*token)

	// One that never had a span is refused by Validate; if it is used all the same, nothing is charged until it gets one.
	never := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.Blocked, Burst: 200, Sliding: true}, 0)
	takeAt(t, &never, 0, 150*token)
	require.Equal(t, 50*token, never.Level())
	require.Equal(t, policy.Never, never.ReadyAt(100*token))
	never.Settle(10*token, 0)
	never.GiveBack(token, 0)
	require.Zero(t, never.Charged())
	never.SetRate(at(time.Second), policy.PerMinute(100))
	never.Advance(at(time.Hour))
	takeAt(t, &never, time.Hour, 100*token)
	require.Equal(t, 100*token, never.Charged())
}

// S-L6: neither another burst nor the server's word changes the window.
func TestSlidingSetBurstAndObserve(t *testing.T) {
	b := slidingBucket(t, sliding())
	takeAt(t, b, 0, 60*token)
	b.SetBurst(0, 20)
	b.SetBurst(0, 1000)
	b.Observe(0, 0)
	require.Equal(t, 60*token, b.Charged())
	require.Zero(t, b.Level())
	b.Advance(at(time.Minute))
	require.Equal(t, 40*token, b.Level(), "the bucket holds a hundred")
	require.Equal(t, at(60*time.Second+1), b.ReadyAt(100*token))
	require.Equal(t, at(10*time.Minute), b.FullAt())
}

// S-A9: a bucket is not like a new one before its window is.
func TestSlidingFullAt(t *testing.T) {
	b := slidingBucket(t, sliding())
	require.Equal(t, at(0), b.FullAt())
	takeAt(t, b, 0, token)
	require.Equal(t, at(time.Minute+1), b.FullAt(), "the bucket is full after 600 ms")
	takeAt(t, b, slice-1, 59*token)
	require.Equal(t, at(time.Minute+slice), b.FullAt())
	b.Advance(b.FullAt() - 1)
	require.NotZero(t, b.Charged())
	b.Advance(b.FullAt())
	require.Zero(t, b.Charged())
	require.Equal(t, at(time.Minute+slice), b.FullAt())
}

// S-L7: a clock that runs backwards charges the latest instant that was seen.
func TestSlidingTimeRunningBackwards(t *testing.T) {
	b := slidingBucket(t, sliding())
	b.Advance(at(10 * time.Second))
	takeAt(t, b, 4*time.Second, 100*token)
	freeOnlyAt(t, b, 70*time.Second+1, token)
	b.Settle(-10*token, at(10*time.Second))
	require.True(t, b.Has(10*token))
	b.Settle(20*token, at(20*time.Second)) // as if it had been taken now
	sound(t, b)
	require.Equal(t, 110*token, b.Charged())
	b.SetRate(at(3*time.Second), policy.Unlimited)
	b.Take(50 * token)
	b.SetRate(at(4*time.Second), policy.PerMinute(100))
	b.Settle(-50*token, at(10*time.Second))
	require.Equal(t, 110*token, b.Charged())
}

// S-L8: the shortest and the longest spans, the smallest and the largest amounts; nothing overflows.
func TestSlidingExtremes(t *testing.T) {
	t.Run("a nanosecond", func(t *testing.T) {
		b := slidingBucket(t, policy.Limit{Name: "a", Rate: policy.Per(3, 1), Burst: 3, Sliding: true})
		takeAt(t, b, 0, 2*token)
		takeAt(t, b, 1, token) // [0, 1] has both ends
		freeOnlyAt(t, b, 2, 2*token)
		freeOnlyAt(t, b, 3, 3*token)
	})
	t.Run("five nanoseconds", func(t *testing.T) {
		b := slidingBucket(t, policy.Limit{Name: "a", Rate: policy.Per(6, 5), Burst: 6, Sliding: true})
		for i := range 6 {
			takeAt(t, b, time.Duration(i), token)
		}
		for i := range 6 {
			freeOnlyAt(t, b, time.Duration(i)+6, policy.Amount(i+1)*token)
		}
	})
	t.Run("all of time", func(t *testing.T) {
		b := slidingBucket(t, policy.Limit{Name: "a", Rate: policy.Per(1e12, math.MaxInt64), Burst: 1e12, Sliding: true})
		takeAt(t, b, 0, 1e12*token)
		require.Equal(t, policy.Never, b.ReadyAt(1))
		require.Equal(t, policy.Never, b.FullAt())
		b.Advance(policy.Never)
		sound(t, b)
		require.False(t, b.Has(1))
		b.GiveBack(1e12*token, 0)
		require.True(t, b.Has(1e12*token))
	})
	t.Run("late in time", func(t *testing.T) {
		b := policy.NewBucket(sliding(), policy.Never-at(time.Second))
		b.Take(100 * token)
		require.Equal(t, policy.Never, b.ReadyAt(token))
		b.Advance(policy.Never)
		sound(t, &b)
		require.False(t, b.Has(token))
	})
	t.Run("large corrections", func(t *testing.T) {
		b := slidingBucket(t, policy.Limit{Name: "a", Rate: policy.PerSecond(1e12), Burst: 1e12, Sliding: true})
		takeAt(t, b, 0, 1e12*token)
		for i := range 100 {
			b.Settle(1e12*token, at(time.Duration(i)*time.Millisecond))
			b.Advance(at(time.Duration(i) * time.Millisecond))
			require.False(t, b.Has(1))
			require.Greater(t, b.ReadyAt(1e12*token), at(time.Second))
			require.Negative(t, b.Level())
			sound(t, b)
		}
		b.Advance(at(time.Hour))
		require.Zero(t, b.Charged())
	})
}

// S-L3: what a window remembers is bounded, however many charges there are, and also after the span was changed.
func TestSlidingMemoryIsBounded(t *testing.T) {
	l := sliding()
	l.Rate, l.Burst = policy.PerMinute(1e6), 1e6
	b := slidingBucket(t, l)
	most := 0
	run := func(span, step time.Duration) {
		for end := b.ReadyAt(0) + at(span); b.ReadyAt(0) < end; {
			b.Advance(b.ReadyAt(0) + at(step))
			b.Take(token)
			held, _ := b.Slices()
			most = max(most, held)
		}
		sound(t, b)
	}
	run(5*time.Minute, 10*ms)
	require.LessOrEqual(t, most, 130)
	require.Greater(t, most, 120)

	b.SetRate(b.ReadyAt(0), policy.Per(1e6, 255)) // not a multiple of 128
	most = 0
	run(1000, 1)
	require.LessOrEqual(t, most, 130)

	for _, span := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 9 * time.Second, time.Minute} {
		b.SetRate(b.ReadyAt(0), policy.Per(1e6, span))
		run(2*span, span/1000)
	}
	require.LessOrEqual(t, most, 260)
	_, room := b.Slices()
	require.LessOrEqual(t, room, 512)
}

// The package promises that a bucket does not allocate in steady state, sliding or not.
func TestSlidingDoesNotAllocate(t *testing.T) {
	b := slidingBucket(t, sliding())
	var now policy.Time
	step := func() {
		now = now.Add(50 * ms)
		b.Advance(now)
		if b.Has(token) {
			b.Take(token)
			b.GiveBack(token, now)
			b.Take(token)
			b.Settle(-token/2, now)
		}
		_ = b.ReadyAt(token)
		_ = b.Allows(token, token, now.Add(time.Second))
	}
	for range 10_000 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(10_000, step))
	_, room := b.Slices()
	require.LessOrEqual(t, room, 256)
}

// Like BenchmarkBucket, with a window: for each charge one leaves it.
func BenchmarkBucketSliding(b *testing.B) {
	bucket := policy.NewBucket(policy.Limit{Name: "requests", Rate: policy.PerSecond(7), Sliding: true}, 0)
	var now policy.Time
	for b.Loop() {
		now += at(150 * time.Millisecond)
		bucket.Advance(now)
		if bucket.Has(token) {
			bucket.Take(token)
		}
	}
}
