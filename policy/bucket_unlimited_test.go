package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBucketRefundsNothingOfWhatMayHaveBeenFree: what was taken while the rate was unlimited cost nothing. Of the instant at which
// that ended nobody can tell who came before and who after: nothing is refunded, and what cost more than it was charged is owed (S-L5).
func TestBucketRefundsNothingOfWhatMayHaveBeenFree(t *testing.T) {
	tests := []struct {
		name  string
		taken Time
		by    Amount
		want  Amount
	}{
		{"refund, before", 1, -tokenUnit, 3 * tokenUnit},
		{"refund, at that instant", 2, -tokenUnit, 3 * tokenUnit},
		{"refund, after", 3, -tokenUnit, 4 * tokenUnit},
		{"charge, before", 1, tokenUnit, 3 * tokenUnit},
		{"charge, at that instant", 2, tokenUnit, 2 * tokenUnit},
		{"charge, after", 3, tokenUnit, 2 * tokenUnit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBucket(Limit{Rate: Blocked, Burst: 5, Settled: true}, 0)
			b.Take(2 * tokenUnit)
			b.SetRate(1, Unlimited)
			b.SetRate(2, Blocked)
			b.Advance(3)
			b.Settle(tt.by, tt.taken)
			require.Equal(t, tt.want, b.Level())
		})
	}
}
