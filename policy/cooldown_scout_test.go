package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCooldownScoutOfBeforeALateHint: the success of an attempt that went first does not let others go once a late word of the server
// has prolonged the cooldown (S-L10): one that begins after it has to go first.
func TestCooldownScoutOfBeforeALateHint(t *testing.T) {
	var c Cooldown
	first, late := c.Start(0), c.Start(0)
	c.Throttle(0, first, 0, false)
	c.Advance(Time(100 * time.Millisecond))
	scout := c.Start(Time(100 * time.Millisecond))
	c.Throttle(Time(200*time.Millisecond), late, 300*time.Millisecond, true)
	require.Equal(t, Time(500*time.Millisecond), c.Until())

	c.End(Time(500*time.Millisecond), scout, true)
	require.False(t, c.Undrawn(), "the others are let go")
	require.Zero(t, c.ReadyAt(), "one may go first")
	next := c.Start(Time(500 * time.Millisecond))
	require.Equal(t, Time(1500*time.Millisecond), c.ReadyAt(), "and only one")
	c.End(Time(600*time.Millisecond), next, true)
	require.True(t, c.Undrawn(), "its success lets the others go")
}
