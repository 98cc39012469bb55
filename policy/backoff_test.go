package policy_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// almostOne is the largest random number that a generator of [0, 1) can give.
const almostOne = 1 - 1.0/(1<<53)

// S-R2, S-R3: the range of each kind, at its ends and in its middle. The upper end is not reached; a nanosecond is
// allowed for rounding.
func TestWaitRangeOfEachJitter(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		jitter       policy.Jitter
		lo, mid, end time.Duration // for a backoff of 4 s
	}{
		{policy.FullJitter, 0, 2 * s, 4 * s},
		{policy.NoJitter, 4 * s, 4 * s, 4 * s},
		{policy.EqualJitter, 2 * s, 3 * s, 4 * s},
		{policy.JitterFraction(0), 4 * s, 4 * s, 4 * s},
		{policy.JitterFraction(0.25), 3 * s, 4 * s, 5 * s},
		{policy.JitterFraction(1), 0, 4 * s, 8 * s},
		{policy.JitterRange(0.5, 2), 2 * s, 5 * s, 8 * s},
		{policy.JitterRange(0, 0), 0, 0, 0},
		{policy.JitterRange(3, 3), 12 * s, 12 * s, 12 * s},
	} {
		t.Run(tt.jitter.String(), func(t *testing.T) {
			r := policy.Retry{MaxAttempts: 9, Delay: s, Jitter: tt.jitter}
			assert.Equal(t, tt.lo, r.Wait(3, 0, 0))
			assert.Equal(t, tt.mid, r.Wait(3, 0, 0.5))
			top := r.Wait(3, 0, almostOne)
			assert.LessOrEqual(t, top, tt.end)
			assert.GreaterOrEqual(t, top, tt.end-1)
			assert.Equal(t, tt.mid, r.Wait(3, 17*s, 0.5), "the wait before does not matter")
		})
	}
}

// S-R3: decorrelated jitter lies in [Delay, 3 × the wait before) and knows no Backoff.
func TestWaitDecorrelated(t *testing.T) {
	const s = time.Second
	for _, backoff := range []float64{0, 1, 2, 100} {
		r := policy.Retry{MaxAttempts: 9, Delay: s, MaxDelay: 20 * s, Backoff: backoff, Jitter: policy.DecorrelatedJitter}
		for _, tt := range []struct{ prev, end time.Duration }{
			{0, 3 * s}, {s, 3 * s}, {2 * s, 6 * s}, {5 * s, 15 * s},
		} {
			for _, n := range []int{1, 2, 50} {
				assert.Equal(t, s, r.Wait(n, tt.prev, 0))
				assert.Equal(t, (s+tt.end)/2, r.Wait(n, tt.prev, 0.5))
				top := r.Wait(n, tt.prev, almostOne)
				assert.LessOrEqual(t, top, tt.end)
				assert.GreaterOrEqual(t, top, tt.end-1)
			}
		}
		assert.Equal(t, s, r.Wait(9, 20*s, 0))
		assert.Equal(t, 20*s, r.Wait(9, 20*s, 0.5), "30.5 s, capped")
		assert.Equal(t, 20*s, r.Wait(9, math.MaxInt64, almostOne))
	}
}

// S-R2: the cap is a cap on what comes out. A wait of 4 s ± 50 % under a cap of 4 s never takes 5.96 s.
func TestWaitIsCappedAfterJitter(t *testing.T) {
	const s = time.Second
	r := policy.Retry{MaxAttempts: 9, Delay: 4 * s, MaxDelay: 4 * s, Jitter: policy.JitterFraction(0.5)}
	assert.Equal(t, 2*s, r.Wait(1, 0, 0))
	assert.Equal(t, 4*s, r.Wait(1, 0, 0.5))
	assert.Equal(t, 4*s, r.Wait(1, 0, 0.98))
	assert.Equal(t, 4*s, r.Wait(1, 0, almostOne))

	r = policy.Retry{MaxAttempts: 9, Delay: s, MaxDelay: 5 * s, Jitter: policy.JitterRange(2, 10)}
	assert.Equal(t, 2*s, r.Wait(1, 0, 0))
	assert.Equal(t, 5*s, r.Wait(1, 0, 0.5))
	assert.Equal(t, 5*s, r.Wait(2, 0, 0.5))
}

// A backoff far beyond MaxDelay still leaves jitter room to spread: not everybody waits exactly the cap.
func TestWaitKeepsItsJitterAtTheCap(t *testing.T) {
	const s = time.Second
	for _, n := range []int{4, 10, 100, 10_000, math.MaxInt32} {
		for _, tt := range []struct {
			jitter       policy.Jitter
			lo, mid, end time.Duration
		}{
			{policy.FullJitter, 0, 4 * s, 8 * s},
			{policy.EqualJitter, 4 * s, 6 * s, 8 * s},
			{policy.JitterFraction(0.5), 4 * s, 8 * s, 8 * s},
			{policy.NoJitter, 8 * s, 8 * s, 8 * s},
		} {
			r := policy.Retry{MaxAttempts: 9, Delay: s, MaxDelay: 8 * s, Jitter: tt.jitter}
			assert.Equal(t, tt.lo, r.Wait(n, 0, 0), "%v, n = %d", tt.jitter, n)
			assert.Equal(t, tt.mid, r.Wait(n, 0, 0.5), "%v, n = %d", tt.jitter, n)
			top := r.Wait(n, 0, almostOne)
			assert.True(t, tt.end-1 <= top && top <= tt.end, "%v, n = %d: %v", tt.jitter, n, top)
		}
	}
}

func TestWaitGrows(t *testing.T) {
	r := policy.Retry{MaxAttempts: policy.UnlimitedAttempts, Jitter: policy.NoJitter}
	for n, want := range []int64{100, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		assert.Equal(t, want, r.Wait(n, 0, 0.5).Milliseconds(), "defaults, n = %d", n) // n = 0 is taken as 1
	}
	assert.Equal(t, 100*time.Millisecond, r.Wait(math.MinInt, 0, 0.5))

	r.Backoff = 1
	assert.Equal(t, 100*time.Millisecond, r.Wait(1_000_000, 0, 0.5))
	r.Backoff, r.Delay = 3, time.Second
	assert.Equal(t, 27*time.Second, r.Wait(4, 0, 0.5))
	r.Backoff, r.Delay = 1.5, 2*time.Second
	assert.Equal(t, 4500*time.Millisecond, r.Wait(3, 0, 0.5))

	r = policy.Retry{MaxAttempts: 2, Delay: time.Minute, Jitter: policy.NoJitter}
	assert.Equal(t, time.Minute, r.Wait(1, 0, 0), "the cap defaults to Delay when that is longer than 30 s")
	assert.Equal(t, time.Minute, r.Wait(2, 0, 0))
}

// S-R5: whatever overflows ends at the cap, never at zero and never beyond.
func TestWaitSaturates(t *testing.T) {
	huge := uint64(1) << 32
	for _, n := range []int{63, 64, 65, 1023, 1024, 1025, 1 << 20, math.MaxInt32, int(huge), math.MaxInt} {
		for _, factor := range []float64{2, 10, 1e300, math.MaxFloat64} {
			for _, delay := range []time.Duration{1, time.Second, 1 << 53} {
				for _, maxDelay := range []time.Duration{delay, 1 << 53, math.MaxInt64} {
					r := policy.Retry{MaxAttempts: 2, Delay: delay, MaxDelay: maxDelay, Backoff: factor, Jitter: policy.NoJitter}
					require.NoError(t, r.Validate())
					if n == 63 && factor == 2 && delay == 1 && maxDelay == math.MaxInt64 {
						assert.Equal(t, time.Duration(1)<<62, r.Wait(n, 0, 0))
						continue
					}
					if got := r.Wait(n, 0, 0.5); got != maxDelay {
						// 2^62 is what is not yet capped by the largest MaxDelay.
						t.Errorf("n %d, factor %g, delay %d, cap %d: %d", n, factor, delay, maxDelay, got)
					}
					r.Jitter = policy.JitterRange(0, math.MaxFloat64)
					assert.Equal(t, maxDelay, r.Wait(n, 0, almostOne))
					assert.Zero(t, r.Wait(n, 0, 0))
					r.Jitter = policy.DecorrelatedJitter
					assert.LessOrEqual(t, r.Wait(n, math.MaxInt64, almostOne), maxDelay)
					assert.GreaterOrEqual(t, r.Wait(n, math.MaxInt64, almostOne), delay)
				}
			}
		}
	}
}

// S-R4: a hint is a floor, with a spread of at most a tenth above it.
func TestWithHint(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name       string
		maxHint    time.Duration
		beyond     policy.BeyondHint
		wait, hint time.Duration
		lo, end    time.Duration
		fails      bool
	}{
		{name: "hint longer", wait: s, hint: 10 * s, lo: 10 * s, end: 11 * s},
		{name: "wait longer", wait: 20 * s, hint: 10 * s, lo: 20 * s, end: 20 * s},
		{name: "wait within the spread", wait: 10500 * time.Millisecond, hint: 10 * s, lo: 10500 * time.Millisecond, end: 11 * s},
		{name: "zero", wait: s, hint: 0, lo: s, end: s},
		{name: "both zero", wait: 0, hint: 0, lo: 0, end: 0},
		{name: "at MaxHint", maxHint: 10 * s, hint: 10 * s, lo: 10 * s, end: 11 * s},
		{name: "beyond, fails", maxHint: 10 * s, hint: 10*s + 1, fails: true},
		{name: "beyond, waits", maxHint: 10 * s, beyond: policy.HintWaits, hint: 20 * s, lo: 20 * s, end: 22 * s},
		{name: "beyond, capped", maxHint: 10 * s, beyond: policy.HintCapped, hint: 20 * s, lo: 10 * s, end: 11 * s},
		{name: "beyond, capped, wait longer", maxHint: 10 * s, beyond: policy.HintCapped, wait: 15 * s, hint: 20 * s, lo: 15 * s, end: 15 * s},
		{name: "the longest", hint: math.MaxInt64, lo: math.MaxInt64, end: math.MaxInt64},
		{name: "within, fails not", maxHint: 10 * s, beyond: policy.HintFails, wait: s, hint: 5 * s, lo: 5 * s, end: 5500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := policy.Retry{MaxAttempts: 2, MaxHint: tt.maxHint, BeyondMaxHint: tt.beyond}
			require.NoError(t, r.Validate())
			got, ok := r.WithHint(tt.wait, tt.hint, 0)
			if tt.fails {
				assert.False(t, ok)
				return
			}
			require.True(t, ok)
			assert.Equal(t, tt.lo, got)
			got, ok = r.WithHint(tt.wait, tt.hint, almostOne)
			require.True(t, ok)
			assert.LessOrEqual(t, got, tt.end)
			assert.GreaterOrEqual(t, got, tt.end-1)
		})
	}
}

// S-R4: no random number and no jitter makes a wait shorter than the hint. [Retry-After: 10 s retried at 7.5 s]
func TestWithHintIsNeverBelowTheHint(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	for _, jitter := range []policy.Jitter{{}, policy.NoJitter, policy.EqualJitter, policy.DecorrelatedJitter, policy.JitterFraction(1), policy.JitterRange(0, 2)} {
		r := policy.Retry{MaxAttempts: 9, Jitter: jitter}
		for range 2000 {
			hint := min(time.Duration(exponential(rng, 1<<62)), 1<<62)
			wait := r.Wait(1+rng.IntN(20), time.Duration(rng.Int64N(1e10)), rng.Float64())
			got, ok := r.WithHint(wait, hint, rng.Float64())
			require.True(t, ok)
			require.GreaterOrEqual(t, got, hint)
			require.GreaterOrEqual(t, got, wait)
			require.LessOrEqual(t, got, max(wait, hint+hint/10+1))
		}
	}
}

// S-R4, S-R5: exact where a float64 is coarser than a nanosecond.
func TestWaitsBeyondTheFloat(t *testing.T) {
	for _, d := range []time.Duration{1<<53 + 1, 1<<60 - 1, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64} {
		r := policy.Retry{MaxAttempts: 2, MaxDelay: d, Jitter: policy.NoJitter}
		assert.Equal(t, d, r.Wait(1000, 0, 0), "the cap")
		got, ok := r.WithHint(0, d, 0)
		require.True(t, ok)
		assert.Equal(t, d, got, "the hint")
		got, ok = r.WithHint(0, d, almostOne)
		require.True(t, ok)
		assert.GreaterOrEqual(t, got, d)
		got, ok = r.WithHint(d, 1, almostOne)
		require.True(t, ok)
		assert.Equal(t, d, got, "the wait")
	}
}

// S-R4: a capped hint is spread like every other; what is told the same moment must not come in it.
func TestWithHintCappedIsSpread(t *testing.T) {
	r := policy.Retry{MaxAttempts: 2, MaxHint: time.Minute, BeyondMaxHint: policy.HintCapped}
	got, ok := r.WithHint(0, time.Hour, 0.5)
	require.True(t, ok)
	assert.Equal(t, 63*time.Second, got)
}

// S-R4: only a capped hint is less than what the server says, and no hint becomes longer.
func TestHeed(t *testing.T) {
	for _, tt := range []struct {
		maxHint    time.Duration
		beyond     policy.BeyondHint
		hint, want time.Duration
	}{
		{0, policy.HintCapped, time.Hour, time.Hour},
		{time.Minute, policy.HintFails, time.Hour, time.Hour},
		{time.Minute, policy.HintWaits, time.Hour, time.Hour},
		{time.Minute, policy.HintCapped, time.Hour, time.Minute},
		{time.Minute, policy.HintCapped, time.Second, time.Second},
		{time.Minute, policy.HintCapped, 0, 0},
	} {
		r := policy.Retry{MaxAttempts: 2, MaxHint: tt.maxHint, BeyondMaxHint: tt.beyond}
		assert.Equal(t, tt.want, r.Heed(tt.hint), "%+v", tt)
	}
}

// S-R12: no throttled job comes back within 100 ms, whatever its Retry says.
func TestThrottleWait(t *testing.T) {
	for _, r := range []policy.Retry{
		{}, // off: asked for nothing
		{MaxAttempts: 3},
		{MaxAttempts: 3, Delay: 1, MaxDelay: 1},
		{MaxAttempts: 3, Delay: ms, Backoff: 1, Jitter: policy.NoJitter},
		{MaxAttempts: 3, Jitter: policy.JitterRange(0, 0)},
	} {
		for _, n := range []int{0, 1, 2, 1000} {
			for _, u := range []float64{0, 0.5, almostOne} {
				assert.GreaterOrEqual(t, r.ThrottleWait(n, 0, u), 100*ms)
			}
		}
	}
	r := policy.Retry{MaxAttempts: 3, Jitter: policy.NoJitter}
	for n, want := range []int64{100, 100, 200, 400, 800} {
		assert.Equal(t, want, r.ThrottleWait(n, 0, 0.5).Milliseconds())
	}
	assert.Equal(t, 30*time.Second, r.ThrottleWait(1<<20, 0, 0.5))
}

func TestThrottleBudget(t *testing.T) {
	assert.Equal(t, 15*time.Minute, (&policy.Retry{}).ThrottleBudget())
	assert.Equal(t, time.Second, (&policy.Retry{MaxAttempts: 1, MaxThrottleWait: time.Second}).ThrottleBudget())
}

// S-R1: one attempt is no retry of failures, but a rule nonetheless; zero is off.
func TestOff(t *testing.T) {
	assert.True(t, (&policy.Retry{}).Off())
	assert.False(t, (&policy.Retry{MaxAttempts: 1}).Off())
	assert.False(t, (&policy.Retry{MaxAttempts: policy.UnlimitedAttempts}).Off())
	assert.True(t, policy.Breaker{}.Off())
	assert.True(t, policy.Breaker{Reprobe: time.Second}.Off())
	assert.False(t, policy.Breaker{FailureThreshold: 1}.Off())
}

// FuzzWait looks for a wait outside [0, MaxDelay], a panic, or one that shrinks where it must not (S-R2, S-R5).
func FuzzWait(f *testing.F) {
	f.Add(uint64(1), int64(1e8), int64(3e10), 2.0, uint8(0), 0.5, 1.5, int64(0), 0.5)
	f.Add(uint64(1)<<32, int64(1), int64(1)<<53, 1e300, uint8(1), 0.0, 0.0, int64(math.MaxInt64), almostOne)
	f.Add(uint64(64), int64(1e9), int64(4e9), 2.0, uint8(3), 0.5, 0.0, int64(1), 0.98)
	f.Add(uint64(1024), int64(1e9), int64(0), 1.0, uint8(4), 0.0, math.MaxFloat64, int64(5e9), 0.0)
	f.Add(uint64(100), int64(1e9), int64(math.MaxInt64), 2.0, uint8(1), 0.0, 0.0, int64(0), 0.0)
	f.Add(uint64(100), int64(1e9), int64(1<<60-1), 2.0, uint8(2), 0.0, 0.0, int64(0), almostOne)
	f.Add(uint64(100), int64(1e9), int64(1<<60+65), 2.0, uint8(2), 0.0, 0.0, int64(0), almostOne)
	f.Add(uint64(3), int64(5), int64(5e9), 3.0, uint8(5), 0.0, 0.0, int64(7e9), 0.999)
	f.Fuzz(func(t *testing.T, n uint64, delay, maxDelay int64, factor float64, kind uint8, lo, hi float64, prev int64, u float64) {
		r := policy.Retry{MaxAttempts: 2, Delay: time.Duration(delay), MaxDelay: time.Duration(maxDelay), Backoff: factor}
		switch kind % 6 {
		case 0:
			r.Jitter = policy.FullJitter
		case 1:
			r.Jitter = policy.NoJitter
		case 2:
			r.Jitter = policy.EqualJitter
		case 3:
			r.Jitter = policy.JitterFraction(lo)
		case 4:
			r.Jitter = policy.JitterRange(lo, hi)
		case 5:
			r.Jitter = policy.DecorrelatedJitter
		}
		limit := time.Duration(maxDelay)
		if limit == 0 {
			limit = max(policy.DefaultMaxDelay, r.Delay)
		}
		if r.Validate() != nil || prev < 0 || !(u >= 0 && u < 1) {
			return
		}
		attempt := 1 + int(n%(1<<32))
		wait := r.Wait(attempt, time.Duration(prev), u)
		if wait < 0 || wait > limit {
			t.Fatalf("%v outside [0, %v]", wait, limit)
		}
		if again := r.Wait(attempt, time.Duration(prev), u); again != wait {
			t.Fatalf("%v, and then %v", wait, again)
		}
		if later := r.Wait(attempt+1, time.Duration(prev), u); later < wait {
			t.Fatalf("wait %d is %v, the next %v", attempt, wait, later)
		}
		if more := r.Wait(attempt, time.Duration(prev), u+(almostOne-u)/2); more < wait {
			t.Fatalf("%v at u = %v, and %v at a larger", wait, u, more)
		}
		if floor := r.ThrottleWait(attempt, time.Duration(prev), u); floor != max(wait, 100*time.Millisecond) {
			t.Fatalf("throttled: %v, otherwise %v", floor, wait)
		}
		switch r.Jitter {
		case policy.NoJitter:
			if attempt > 64 && r.Backoff >= 2 && wait != limit {
				t.Fatalf("%v, far beyond the cap of %v", wait, limit)
			}
		case policy.EqualJitter:
			if low := r.Wait(attempt, 0, 0); wait < low || wait-low > low+2+low>>50 { // chance has no more than 53 bits
				t.Fatalf("%v is not between %v and twice that", wait, low)
			}
		case policy.DecorrelatedJitter:
			if least := min(limit, max(1, r.Delay)); wait < least && r.Delay > 0 {
				t.Fatalf("%v is less than Delay, %v", wait, least)
			}
		}
	})
}

func BenchmarkWait(b *testing.B) {
	r := policy.Retry{MaxAttempts: 9}
	for b.Loop() {
		_ = r.Wait(5, 0, 0.5)
	}
}
