package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBucketObserveBoundsWhatIsGivenBack: after the server's word, nothing that is given back makes the bucket hold more than that
// (S-L6); where the word says nothing, what is given back comes back (S-L1).
func TestBucketObserveBoundsWhatIsGivenBack(t *testing.T) {
	tests := []struct {
		name           string
		observed, want Amount
	}{
		{"below the level", 3 * tokenUnit, 3 * tokenUnit},
		{"the level", 6 * tokenUnit, 6 * tokenUnit},
		{"above the level", 7 * tokenUnit, 6 * tokenUnit},
		{"full", 10 * tokenUnit, 10 * tokenUnit},
		{"above full", 50 * tokenUnit, 10 * tokenUnit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBucket(Limit{Rate: PerHour(1), Burst: 10}, 0)
			b.Take(4 * tokenUnit)
			b.Observe(0, tt.observed)
			b.GiveBack(4*tokenUnit, 0)
			require.Equal(t, tt.want, b.Level())
		})
	}
}

// TestBucketObserveIsExact: after the server's word there is that much to the fraction, neither more nor less, so that what is missing
// comes in at its instant and not before (S-L6, S-L8).
func TestBucketObserveIsExact(t *testing.T) {
	b := NewBucket(Limit{Rate: Per(1.0/tokenUnit, time.Second), Burst: 10}, 0) // one Amount a second
	b.Take(2 * tokenUnit)
	for i, now := range []Time{0, Time(2500 * time.Millisecond), Time(4 * time.Second)} {
		left := Amount(3-i) * tokenUnit
		b.Observe(now, left)
		require.Equal(t, left, b.Level())
		require.Equal(t, now.Add(time.Second), b.ReadyAt(left+1))
	}
}
