package scheduler

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// TestSizes: S-A5: a job counts for the largest share of a burst that it costs, and for four bursts at most.
func TestSizes(t *testing.T) {
	c := New(Config{Workers: 1, Limits: []policy.Limit{
		{Name: "calls", Rate: policy.PerSecond(10), Burst: 10},
		{Name: "tokens", Rate: policy.PerSecond(1000), Burst: 1000},
	}})
	const token = 1_000_000
	for _, tt := range []struct {
		calls, tokens policy.Amount
		want          int32
	}{
		{0, 0, 1},
		{10 * token, 0, sizeUnit},
		{5 * token, 250 * token, sizeUnit / 2},
		{1 * token, 2000 * token, 2 * sizeUnit},
		{0, 4000 * token, 4 * sizeUnit},
		{0, 4500 * token, 4 * sizeUnit},
		{0, 1 << 62, 4 * sizeUnit},
	} {
		require.Equal(t, tt.want, c.limits.sizeOf(&Entry{Terms: &Terms{Costs: []policy.Amount{tt.calls, tt.tokens}}}), "%+v", tt)
	}
}
