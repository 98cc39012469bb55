package policy

import (
	"testing"

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
