package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// recovered returns a circuit that closed at 30 s and is in its ramp; leases last 10 s.
func recovered(t *testing.T, probes, full int) *circuit {
	t.Helper()
	b := fiveStrikes
	b.Probes = probes
	c := newCircuit(t, b, full)
	c.trip()
	require.True(t, c.to(30*time.Second))
	require.True(t, c.run(success))
	require.Equal(t, policy.Closed, c.State())
	return c
}

// fill lets attempts go until no more is admitted, or 1000 are.
func (c *circuit) fill() (passes []policy.Pass) {
	for len(passes) < 1000 && c.Admits() {
		passes = append(passes, c.Start(c.now))
	}
	return passes
}

// S-B5: after closing, one more than Probes at first, one more for each success, all once full is reached.
func TestCircuitRamp(t *testing.T) {
	for _, tt := range []struct{ probes, full int }{{1, 8}, {3, 8}, {1, 2}, {1, 1}, {8, 8}, {2, 3}, {1, 0}} {
		c := recovered(t, tt.probes, tt.full)
		for grant := tt.probes + 1; grant < tt.full; grant++ {
			require.False(t, c.fresh(), "%+v", tt)
			passes := c.fill()
			require.Len(t, passes, grant, "%+v", tt)
			require.False(t, c.Rejects(), "a ramp makes wait, it turns nobody away")
			require.Equal(t, c.now, c.RetryAt(c.now))
			c.Return(passes[0])
			require.Len(t, c.fill(), 1, "what was handed back can be taken again")
			// The pass of one that was let go again is as good as the one that was handed back.
			require.False(t, c.end(passes[0], noWord))
			require.Len(t, c.fill(), 1, "only successes count")
			require.False(t, c.end(passes[0], failure))
			require.Len(t, c.fill(), 1, "only successes count")
			require.False(t, c.end(passes[0], success))
			for range grant - 1 {
				require.False(t, c.end(passes[0], noWord))
			}
		}
		require.True(t, c.fresh(), "%+v", tt)
		require.Len(t, c.fill(), 1000, "%+v", tt)
	}
}

// S-B5: the flow doubles with every round trip.
func TestCircuitRampDoubles(t *testing.T) {
	c := recovered(t, 1, 1000)
	var flow []int
	for !c.fresh() {
		round := c.fill()
		flow = append(flow, len(round))
		for _, p := range round {
			require.False(t, c.end(p, success))
		}
	}
	require.Equal(t, []int{2, 4, 8, 16, 32, 64, 128, 256, 512}, flow)
}

// A trip during a ramp begins everything anew.
func TestCircuitTripsDuringRamp(t *testing.T) {
	c := recovered(t, 1, 100)
	c.run(success)
	c.trip()
	require.Equal(t, at(60*time.Second), c.NextWake())
	c.to(60 * time.Second)
	require.True(t, c.run(success))
	require.Len(t, c.fill(), 2)
}

// S-B3, S-B5: attempts from before the outage, which may hang for good, take no room in the ramp.
func TestCircuitHungAttemptsDoNotJamTheRamp(t *testing.T) {
	c := newCircuit(t, fiveStrikes, 8)
	for range 100 {
		c.start() // hangs
	}
	c.trip()
	c.to(30 * time.Second)
	require.True(t, c.run(success))
	require.Len(t, c.fill(), 2)
}

// S-B5: a ramp grows by one for each ProbeTimeout without a success, exactly then, whatever hangs in it.
func TestCircuitRampGrowsWithTime(t *testing.T) {
	c := recovered(t, 1, 6)
	require.Equal(t, at(40*time.Second), c.NextWake())
	for grant := 2; grant < 6; grant++ {
		c.fill() // hang
		wake := time.Duration(grant+2) * 10 * time.Second
		require.Equal(t, at(wake), c.NextWake())
		require.False(t, c.to(wake-1))
		require.False(t, c.Admits(), "%d hang", grant)
		require.False(t, c.to(wake), "closed it was")
		require.True(t, c.Admits(), "%d hang", grant)
	}
	require.Equal(t, policy.Never, c.NextWake())
	require.True(t, c.fresh(), "fully recovered")
	require.Len(t, c.fill(), 1000)
}

// A success puts the growth by time off; neutral ends and failures do not.
func TestCircuitRampGrowthIsPutOff(t *testing.T) {
	c := recovered(t, 1, 100)
	c.to(33 * time.Second)
	c.run(success)
	require.Equal(t, at(43*time.Second), c.NextWake())
	c.to(36 * time.Second)
	c.run(failure)
	c.run(noWord)
	c.Return(c.start())
	require.Equal(t, at(43*time.Second), c.NextWake())
	require.Len(t, c.fill(), 3)
	c.to(43 * time.Second)
	require.Len(t, c.fill(), 1)
	require.Equal(t, at(53*time.Second), c.NextWake())
}

// A clock that was not read for long does not lose the growth of the time between.
func TestCircuitRampCatchesUp(t *testing.T) {
	c := recovered(t, 1, 100)
	c.to(75 * time.Second)
	require.Len(t, c.fill(), 6, "at 40, 50, 60 and 70 s")
	require.Equal(t, at(80*time.Second), c.NextWake())
	c.to(time.Hour)
	require.True(t, c.fresh())
}

// The most that can be in flight may change on the way.
func TestCircuitSetFull(t *testing.T) {
	c := recovered(t, 1, 100)
	c.run(success)
	c.SetFull(4)
	require.Len(t, c.fill(), 3)
	require.False(t, c.fresh())
	c.SetFull(3)
	require.True(t, c.fresh(), "a ramp to what is reached already is over")
	require.Len(t, c.fill(), 1000)
	c.SetFull(1000)
	require.True(t, c.fresh(), "and stays so")

	c = recovered(t, 1, 4)
	c.SetFull(6)
	c.run(success)
	c.run(success)
	require.Len(t, c.fill(), 4, "higher up than it was")
	c.SetFull(1)
	require.True(t, c.fresh())

	c = halfOpen(t, 1, 1) // full is 100
	c.SetFull(3)
	require.True(t, c.run(success))
	require.Len(t, c.fill(), 2)
}
