package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBucketRemembersOnlySoMuch: however many takes there are between which the bucket does not fill up, what it remembers of them
// for GiveBack is bounded (S-L1). Neighbours become one where they are about as high, by a 63rd part of all: of 128 steps of one
// height three each, whether or not they go down to the ground.
func TestBucketRemembersOnlySoMuch(t *testing.T) {
	for _, burst := range []float64{128, 2e6} {
		b := NewBucket(Limit{Rate: PerDay(1), Burst: burst}, 0)
		for i := range 2 * maxPeaks {
			b.Advance(Time(i + 1))
			b.Take(tokenUnit)
		}
		require.Len(t, b.peaks, 43, "burst %v", burst)
		for i := range 1000 {
			b.Advance(Time(2*maxPeaks + i + 1))
			b.Take(tokenUnit)
			require.Less(t, len(b.peaks), 2*maxPeaks, "burst %v", burst)
		}
	}
}
