package fakellm

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWindowEdge(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		want int
	}{{span - 1, 2}, {span, 1}, {span + 1, 1}, {0, 2}} {
		var w window
		w.add(5)
		w.add(5 + c.gap)
		if w.peak != c.want {
			t.Errorf("two events %v apart: peak %d, want %d", c.gap, w.peak, c.want)
		}
	}
}

// Against counting every window by hand; and the memory is that of the last minute.
func TestWindowPeak(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var w window
		var all []time.Duration
		now := time.Duration(0)
		for i := range 800 {
			mean := time.Second
			if i/100%2 == 1 {
				mean = 200 * time.Millisecond
			}
			now += time.Duration(rng.ExpFloat64() * float64(mean))
			w.add(now)
			all = append(all, now)
			if len(w.times) > 2*w.peak+1 {
				t.Fatalf("seed %d: %d times kept with a peak of %d", seed, len(w.times), w.peak)
			}
		}
		want := 0
		for i, from := range all {
			n := 0
			for _, at := range all[i:] {
				if at-from < span {
					n++
				}
			}
			want = max(want, n)
		}
		if w.peak != want {
			t.Errorf("seed %d: peak %d, want %d", seed, w.peak, want)
		}
	}
}
