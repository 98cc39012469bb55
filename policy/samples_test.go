package policy

import (
	"math/rand/v2"
	"testing"
	"time"
)

// remembered is one outcome with the moment at which it was told.
type remembered struct {
	sample
	at Time
}

// naive sums up those of all outcomes that count: the last n, or, of a window by time, those whose slice is not ten or
// more behind that of now.
func naive(all []remembered, n int, span time.Duration, now Time) (sum tally) {
	slice := func(at Time) int64 { return int64(at) / int64(span/10) }
	for i, r := range all {
		if span == 0 && i < len(all)-n || span > 0 && slice(now)-slice(r.at) >= 10 {
			continue
		}
		sum.all++
		if r.failed {
			sum.failed++
		}
		if r.slow {
			sum.slow++
		}
	}
	return sum
}

// S-B1: after any sequence of outcomes, pauses and clearings the sums are those of the naive count.
func TestSamplesAgreeWithNaiveCount(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 15))
		n, span := 1+rng.IntN(30), time.Duration(0)
		if rng.IntN(2) == 0 {
			span = time.Duration(10 * (1 + rng.IntN(1000)))
		}
		m := newSamples(n, span)
		var all []remembered
		now := Time(rng.Int64N(1 << 40))
		for step := range 500 {
			switch rng.IntN(12) {
			case 0, 1, 2: // a part of a slice
				now = now.Add(time.Duration(rng.Int64N(int64(span/10) + 2)))
			case 3: // some slices
				now = now.Add(time.Duration(rng.Int64N(int64(span) + 2)))
			case 4:
				if rng.IntN(10) == 0 {
					now = now.Add(time.Duration(rng.Int64N(1 << 40)))
				}
			case 5:
				if rng.IntN(20) == 0 {
					m.clear()
					all = nil
				}
			default:
				s := sample{failed: rng.IntN(3) == 0, slow: rng.IntN(4) == 0}
				m.add(now, s)
				all = append(all, remembered{s, now})
			}
			if rng.IntN(3) == 0 {
				continue // nobody asks
			}
			if got, want := m.recent(now), naive(all, n, span, now); got != want {
				t.Fatalf("seed %d step %d, n %d, span %v: %+v, want %+v", seed, step, n, span, got, want)
			}
		}
	}
}

// A sample is forgotten when between nine tenths and all of the window has passed, and never later.
func TestSamplesForgetInTime(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 16))
		span := time.Duration(10 * (1 + rng.Int64N(1e9)))
		m := newSamples(0, span)
		at := Time(rng.Int64N(1 << 50))
		m.add(at, sample{})
		if m.recent(at.Add(span*9/10)).all != 1 {
			t.Fatalf("seed %d: forgotten within nine tenths of the window", seed)
		}
		if m.recent(at.Add(span)).all != 0 {
			t.Fatalf("seed %d: remembered beyond the window", seed)
		}
	}
}

// Windows that are too short for ten slices of a nanosecond still count.
func TestSamplesShortWindow(t *testing.T) {
	for span := time.Duration(1); span < 10; span++ {
		m := newSamples(0, span)
		m.add(1000, sample{failed: true})
		if m.recent(1000) != (tally{all: 1, failed: 1}) {
			t.Errorf("%d ns: forgotten at once", span)
		}
		if m.recent(1010).all != 0 {
			t.Errorf("%d ns: remembered for ten", span)
		}
	}
}

// The package promises that no machine allocates once it has been made.
func TestSamplesDoNotAllocate(t *testing.T) {
	for _, span := range []time.Duration{0, time.Second} {
		m := newSamples(100, span)
		var now Time
		if n := testing.AllocsPerRun(1000, func() {
			now += 12345678
			m.add(now, sample{slow: true})
			_ = m.recent(now)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
