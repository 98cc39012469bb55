package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// TestWindowKeepsApartWhatIsASliceApart: when the span grows, charges a whole slice of the new span apart keep their own ends (S-L3):
// what is less than that apart may share one.
func TestWindowKeepsApartWhatIsASliceApart(t *testing.T) {
	const span = 128 * time.Second // whose slices are a second long
	for _, tt := range []struct {
		name  string
		apart time.Duration
		free  time.Duration // when the first charge has left the window
	}{
		{"less than a slice", time.Second - 1, span + time.Second},
		{"a slice", time.Second, span + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := slidingBucket(t, policy.Limit{Name: "requests", Rate: policy.Per(10, 64*time.Second), Burst: 10, Sliding: true})
			takeAt(t, b, 0, tokens(5))
			takeAt(t, b, tt.apart, tokens(5))
			b.SetRate(at(2*time.Second), policy.Per(10, span))
			require.Equal(t, at(tt.free), b.ReadyAt(tokens(5)))
		})
	}
}

// TestWindowHoldsHugeCorrections: corrections upwards, one after the other, each as large as a cost can be, do not overflow what the
// window has been charged: it stays far beyond its cap, until all of it has left (S-L8).
func TestWindowHoldsHugeCorrections(t *testing.T) {
	const most = 1e12
	b := slidingBucket(t, policy.Limit{Name: "tokens", Rate: policy.PerMinute(most), Burst: most, Sliding: true, Settled: true, MaxDebt: 1})
	takeAt(t, b, 0, tokens(1))
	for range 20 {
		b.Settle(tokens(most), 0)
		sound(t, b)
		require.Negative(t, b.Level())
		require.False(t, b.Has(tokens(most)))
		require.Equal(t, at(time.Minute+1), b.ReadyAt(tokens(most)))
	}
}

func tokens(n float64) policy.Amount {
	amount, err := policy.AmountOf("tokens", n)
	if err != nil {
		panic(err)
	}
	return amount
}

// TestWindowCorrectionBetweenSlices: a correction of what was charged less than a 128th of the span before a slice becomes part of that,
// and leaves the window with it; one of that long before, or longer, leaves at its own time.
func TestWindowCorrectionBetweenSlices(t *testing.T) {
	const grain = time.Second
	for _, before := range []time.Duration{grain - 1, grain, grain + 1} {
		b := policy.NewBucket(policy.Limit{Name: "tokens", Rate: policy.Per(100, 128*grain), Burst: 100, Sliding: true, Settled: true}, 0)
		b.Take(token)
		b.Advance(at(10 * grain))
		b.Take(token)
		b.Settle(token, at(10*grain-before))
		require.NoError(t, b.WindowFault())
		require.Equal(t, 3*token, b.Charged())
		b.Advance(at(138*grain-before) + 1)
		want := token // of that at 10 s
		if before < grain {
			want += token
		}
		require.Equal(t, want, b.Charged(), "%v before", before)
	}
}
