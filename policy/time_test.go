package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-L7: time is held within its clock's beginning and Never, at either end to the nanosecond.
func TestTimeAdd(t *testing.T) {
	for _, tt := range []struct {
		from policy.Time
		by   time.Duration
		want policy.Time
	}{
		{0, -1, 0},
		{5, -4, 1},
		{5, -5, 0},
		{5, -6, 0},
		{0, -1 << 63, 0},
		{policy.Never, -1 << 63, 0},
		{policy.Never, -1, policy.Never - 1},
		{policy.Never - 1, 1, policy.Never},
		{policy.Never - 1, 2, policy.Never},
		{policy.Never, 0, policy.Never},
		{policy.Never, 1<<63 - 1, policy.Never},
		{3, 4, 7},
	} {
		require.Equal(t, tt.want, tt.from.Add(tt.by), "%d by %d", tt.from, tt.by)
	}
}
