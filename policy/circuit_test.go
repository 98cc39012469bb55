package policy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

const (
	success = policy.VerdictSuccess
	failure = policy.VerdictFailure
	noWord  = policy.VerdictNeutral
	ruined  = policy.VerdictUnusable
)

// circuit is a circuit under test, with the clock that drives it.
type circuit struct {
	policy.Circuit
	t   *testing.T
	now policy.Time
}

func newCircuit(t *testing.T, b policy.Breaker, full int) *circuit {
	t.Helper()
	require.NoError(t, b.Validate())
	return &circuit{Circuit: policy.NewCircuit(b, full, nil), t: t}
}

// to moves the clock and reports whether the circuit moved.
func (c *circuit) to(now time.Duration) bool {
	c.now = at(now)
	return c.Advance(c.now)
}

// start lets an attempt go, which must be admitted.
func (c *circuit) start() policy.Pass {
	c.t.Helper()
	require.True(c.t, c.Admits())
	return c.Start(c.now)
}

func (c *circuit) end(p policy.Pass, v policy.Verdict) bool {
	return c.End(c.now, p, policy.Ending{Verdict: v})
}

func (c *circuit) fresh() bool {
	at := c.FreshAt(c.now)
	require.GreaterOrEqual(c.t, at, c.now, "nothing is promised of what has passed")
	return at == c.now
}

func (c *circuit) reset() bool { return c.Set(policy.Automatic) }

// run lets an attempt go and ends it at the same moment.
func (c *circuit) run(v policy.Verdict) bool {
	c.t.Helper()
	return c.end(c.start(), v)
}

// trip opens a closed circuit with as many failures as it takes.
func (c *circuit) trip() {
	c.t.Helper()
	for range 1000 {
		if c.run(failure) {
			require.Equal(c.t, policy.Open, c.State())
			return
		}
	}
	c.t.Fatal("does not trip")
}

var fiveStrikes = policy.Breaker{FailureThreshold: 5, RecoveryTimeout: 30 * time.Second, ProbeTimeout: 10 * time.Second}

// S-B1: the circuit opens with the last of so many failures in a row, and not before.
func TestCircuitTripsAtThreshold(t *testing.T) {
	for _, threshold := range []int{1, 2, 5, 100} {
		c := newCircuit(t, policy.Breaker{FailureThreshold: threshold}, 8)
		for n := range threshold {
			require.Equal(t, policy.Closed, c.State(), "after %d of %d", n, threshold)
			require.True(t, c.Admits())
			require.False(t, c.Rejects())
			require.Equal(t, policy.Never, c.NextWake())
			require.Equal(t, n+1 == threshold, c.run(failure))
		}
		require.Equal(t, policy.Open, c.State())
		require.False(t, c.Admits())
		require.True(t, c.Rejects())
	}
}

// S-B1: failures in a row are meant; a success begins anew.
func TestCircuitSuccessResetsTheCount(t *testing.T) {
	c := newCircuit(t, fiveStrikes, 8)
	for range 10 {
		for range 4 {
			require.False(t, c.run(failure))
		}
		require.False(t, c.fresh())
		require.False(t, c.run(success))
		require.True(t, c.fresh())
	}
	for range 4 {
		require.False(t, c.run(failure))
	}
	require.True(t, c.run(failure))
}

// S-B2: neutral ends neither count nor break a row of failures.
func TestCircuitNeutralDoesNotCount(t *testing.T) {
	c := newCircuit(t, fiveStrikes, 8)
	for range 100 {
		require.False(t, c.run(noWord))
	}
	require.True(t, c.fresh())
	for range 4 {
		require.False(t, c.run(failure))
		require.False(t, c.run(noWord))
	}
	require.True(t, c.run(failure))
}

// S-B8: what was admitted and never started is not counted.
func TestCircuitReturnWhileClosed(t *testing.T) {
	c := newCircuit(t, fiveStrikes, 8)
	for range 100 {
		c.Return(c.start())
	}
	require.True(t, c.fresh())
	for range 4 {
		require.False(t, c.run(failure))
	}
	c.Return(c.start())
	require.True(t, c.run(failure), "a return is no success either")
}

// S-B10: half open exactly when the time has come.
func TestCircuitRecoversOnTime(t *testing.T) {
	for _, tt := range []struct {
		rule policy.Breaker
		want time.Duration
	}{
		{policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 7 * time.Second}, 7 * time.Second},
		{policy.Breaker{FailureThreshold: 1}, policy.DefaultRecoveryTimeout},
		{policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 1}, 1},
	} {
		c := newCircuit(t, tt.rule, 8)
		c.to(time.Second)
		c.trip()
		half := time.Second + tt.want
		require.Equal(t, at(half), c.NextWake())
		require.Equal(t, at(half), c.RetryAt(c.now))
		require.False(t, c.to(half-1))
		require.Equal(t, policy.Open, c.State())
		require.False(t, c.Admits())
		require.True(t, c.to(half))
		require.Equal(t, policy.HalfOpen, c.State())
		require.True(t, c.Admits())
		require.False(t, c.Rejects())
		require.Equal(t, at(half), c.RetryAt(c.now))
		require.Equal(t, policy.Never, c.NextWake(), "nothing happens until somebody probes")
		require.False(t, c.to(half), "once")
	}
}

// halfOpen returns a circuit that became half open at 30 s.
func halfOpen(t *testing.T, probes, successes int) *circuit {
	t.Helper()
	b := fiveStrikes
	b.Probes, b.Successes = probes, successes
	c := newCircuit(t, b, 100)
	c.trip()
	require.True(t, c.to(30*time.Second))
	require.Equal(t, policy.HalfOpen, c.State())
	return c
}

// S-B5: at most so many probes are in flight.
func TestCircuitLimitsProbes(t *testing.T) {
	for _, probes := range []int{0, 1, 3} {
		c := halfOpen(t, probes, 100)
		for range max(probes, 1) {
			require.False(t, c.Rejects())
			require.True(t, c.start().Probe())
		}
		require.False(t, c.Admits(), "whatever is in flight from before")
		require.True(t, c.Rejects())
		require.Equal(t, at(40*time.Second), c.RetryAt(c.now), "when the oldest probe runs out")
	}
	c := newCircuit(t, fiveStrikes, 8)
	require.False(t, c.start().Probe())
}

// S-B3: each way out of a probe hands its lease back, once.
func TestCircuitProbeReturnsItsLease(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *circuit, p policy.Pass) bool
		want policy.State
	}{
		{"success", func(c *circuit, p policy.Pass) bool { return c.end(p, success) }, policy.HalfOpen}, // of 2
		{"neutral", func(c *circuit, p policy.Pass) bool { return c.end(p, noWord) }, policy.HalfOpen},
		{"failure", func(c *circuit, p policy.Pass) bool { return c.end(p, failure) }, policy.Open},
		{"unusable", func(c *circuit, p policy.Pass) bool { return c.end(p, ruined) }, policy.Open},
		{"never started", func(c *circuit, p policy.Pass) bool { c.Return(p); return false }, policy.HalfOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := halfOpen(t, 2, 2)
			c.start()
			c.to(31 * time.Second)
			p := c.start()
			require.False(t, c.Admits())
			c.to(32 * time.Second)
			require.Equal(t, tt.want == policy.Open, tt.end(c, p))
			require.Equal(t, tt.want, c.State())
			if tt.want == policy.Open {
				return
			}
			require.Equal(t, at(40*time.Second), c.NextWake(), "the other one still runs")
			require.True(t, c.Admits(), "handed back by what ended it")
			c.Return(p) // again, which is a mistake, but takes nobody else's lease
			require.True(t, c.Admits())
			c.start()
			require.False(t, c.Admits(), "one was handed back, one can be taken")
		})
	}
}

// S-B2: neutral probes neither close nor open, however many there are.
func TestCircuitNeutralProbes(t *testing.T) {
	c := halfOpen(t, 1, 1)
	for range 100 {
		require.False(t, c.run(noWord))
		require.Equal(t, policy.HalfOpen, c.State())
	}
	require.True(t, c.run(success))
	require.Equal(t, policy.Closed, c.State())
}

// S-B5: so many successes close, and one failure opens again for the whole time.
func TestCircuitSuccessesCloseOneFailureReopens(t *testing.T) {
	c := halfOpen(t, 2, 3)
	require.False(t, c.run(success))
	require.False(t, c.run(success))
	c.to(33 * time.Second)
	require.True(t, c.run(failure))
	require.Equal(t, policy.Open, c.State())
	require.Equal(t, at(63*time.Second), c.NextWake())

	require.True(t, c.to(63*time.Second))
	require.False(t, c.run(success), "those before the failure do not count")
	require.False(t, c.run(success))
	require.True(t, c.run(success))
	require.Equal(t, policy.Closed, c.State())
}

// S-B3: a probe that hangs is a failed probe, exactly when its lease ends; what it returns later changes nothing.
func TestCircuitLeaseExpires(t *testing.T) {
	c := halfOpen(t, 2, 1)
	c.to(31 * time.Second)
	hung := c.start()
	c.to(32 * time.Second)
	other := c.start()
	require.Equal(t, at(41*time.Second), c.NextWake())
	require.False(t, c.to(41*time.Second-1))
	require.Equal(t, policy.HalfOpen, c.State())
	require.True(t, c.to(41*time.Second))
	require.Equal(t, policy.Open, c.State())
	require.Equal(t, at(71*time.Second), c.NextWake())
	require.Equal(t, at(71*time.Second), c.RetryAt(c.now))

	require.False(t, c.end(hung, success))
	require.False(t, c.end(other, ruined))
	require.Equal(t, policy.Open, c.State())
	require.Equal(t, at(71*time.Second), c.NextWake())

	// Probes that hang do not jam the circuit: there is always a next one.
	for next := 71 * time.Second; next < time.Hour; next += 40 * time.Second {
		require.True(t, c.to(next))
		require.Equal(t, policy.HalfOpen, c.State())
		c.start()
		require.True(t, c.to(next+10*time.Second))
		require.Equal(t, policy.Open, c.State())
	}
}

func TestCircuitLeaseDefaultsToRecoveryTimeout(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: 5 * time.Second}, 8)
	c.trip()
	require.True(t, c.to(5*time.Second))
	c.start()
	require.Equal(t, at(10*time.Second), c.NextWake())
}

func TestCircuitFarFuture(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: math.MaxInt64, Reprobe: math.MaxInt64}, 8)
	c.to(time.Hour)
	c.trip()
	require.Equal(t, policy.Never, c.NextWake(), "a wait that would overflow is a wait for ever")
	require.False(t, c.to(1<<62))
}

func TestStateText(t *testing.T) {
	assert.Equal(t, "closed", policy.Closed.String())
	assert.Equal(t, "open", policy.Open.String())
	assert.Equal(t, "half-open", policy.HalfOpen.String())
	assert.Equal(t, "State(7)", policy.State(7).String())
}

func BenchmarkCircuit(b *testing.B) {
	c := policy.NewCircuit(policy.Breaker{FailureThreshold: 5}, 8, nil)
	var now policy.Time
	for b.Loop() {
		now++
		c.Advance(now)
		if c.Admits() {
			c.End(now, c.Start(now), policy.Ending{})
		}
	}
}
