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
