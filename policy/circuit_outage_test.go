package policy_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// grown is a breaker whose open time doubles from one second up to ten.
var grown = policy.Breaker{
	FailureThreshold: 1, RecoveryTimeout: time.Second, RecoveryBackoff: 2, MaxRecoveryTimeout: 10 * time.Second, ProbeTimeout: time.Second,
}

// openFor returns how long the open circuit stays so.
func (c *circuit) openFor() time.Duration {
	c.t.Helper()
	require.Equal(c.t, policy.Open, c.State())
	return c.NextWake().Sub(c.now)
}

// probe waits for the open circuit's time and runs one attempt.
func (c *circuit) probe(v policy.Verdict) {
	c.t.Helper()
	require.True(c.t, c.to(time.Duration(c.NextWake())))
	require.Equal(c.t, policy.HalfOpen, c.State())
	require.True(c.t, c.run(v))
}

// S-B6: the open time grows with each failed probe, up to its cap; a hung or slow probe is one.
func TestCircuitOpenTimeGrows(t *testing.T) {
	const s = time.Second
	for name, fail := range map[string]func(c *circuit){
		"failed": func(c *circuit) { c.probe(failure) },
		"slow": func(c *circuit) {
			c.to(time.Duration(c.NextWake()))
			require.True(c.t, c.took(time.Hour, success))
		},
		"hung": func(c *circuit) {
			c.to(time.Duration(c.NextWake()))
			c.start()
			require.True(c.t, c.to(time.Duration(c.NextWake())))
		},
	} {
		t.Run(name, func(t *testing.T) {
			rule := grown
			rule.SlowCall = time.Minute
			c := newCircuit(t, rule, 3)
			c.trip()
			for _, want := range []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s} {
				require.Equal(t, want, c.openFor())
				fail(c)
			}
			for range 2000 { // 2^2000 is no number
				fail(c)
			}
			require.Equal(t, 10*s, c.openFor())
			require.Equal(t, 1, c.Trips(), "one outage is one trip")
		})
	}
}

// S-B6: growth ends with a full ramp, and not before.
func TestCircuitGrowthEndsWithTheRamp(t *testing.T) {
	c := newCircuit(t, grown, 4)
	c.trip()
	c.probe(failure)
	c.probe(failure)
	c.probe(success) // a ramp of 2, of 4
	require.False(t, c.run(success))
	require.True(t, c.run(failure))
	require.Equal(t, 4*time.Second, c.openFor(), "no probe has failed since, and no ramp was full")
	require.Equal(t, 1, c.Trips(), "still the same outage")
	c.probe(failure)
	require.Equal(t, 8*time.Second, c.openFor())
	c.probe(success)
	require.False(t, c.run(success))
	require.False(t, c.fresh())
	require.False(t, c.run(success))
	require.True(t, c.fresh(), "recovered")
	c.trip()
	require.Equal(t, time.Second, c.openFor())
	require.Equal(t, 2, c.Trips())
}

// A ramp that got there by time has ended, too.
func TestCircuitGrowthEndsWithTheRampByTime(t *testing.T) {
	c := newCircuit(t, grown, 3)
	c.trip()
	c.probe(failure)
	c.probe(success)
	c.to(time.Duration(c.NextWake()))
	require.True(t, c.fresh())
	c.trip()
	require.Equal(t, time.Second, c.openFor())
}

// S-B6: without a backoff the open time is always the same, and the cap does not shorten a long RecoveryTimeout.
func TestCircuitOpenTimeDefaults(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 1}, 8)
	c.trip()
	for range 50 {
		require.Equal(t, policy.DefaultRecoveryTimeout, c.openFor())
		c.probe(failure)
	}
	c = newCircuit(t, policy.Breaker{FailureThreshold: 1, RecoveryBackoff: 10}, 8)
	c.trip()
	for _, want := range []time.Duration{30 * time.Second, 300 * time.Second, policy.DefaultMaxRecoveryTimeout, policy.DefaultMaxRecoveryTimeout} {
		require.Equal(t, want, c.openFor())
		c.probe(failure)
	}
	c = newCircuit(t, policy.Breaker{FailureThreshold: 1, RecoveryTimeout: time.Hour, RecoveryBackoff: 2}, 8)
	c.trip()
	for range 5 {
		require.Equal(t, time.Hour, c.openFor())
		c.probe(failure)
	}
}

// S-B6: jitter prolongs and never shortens, by at most its share, the cap included.
func TestCircuitOpenTimeJitter(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		jitter, u   float64
		first, last time.Duration // the cap is 10 s
	}{
		{0.5, 0, s, 10 * s},
		{0.5, 0.5, 1250 * ms, 12500 * ms},
		{1, 0.5, 1500 * ms, 15 * s},
		{0, 0.99, s, 10 * s},
	} {
		rule := grown
		rule.RecoveryJitter = tt.jitter
		c := newCircuit(t, rule, 8)
		c.Circuit = policy.NewCircuit(rule, 8, func() float64 { return tt.u })
		c.trip()
		require.Equal(t, tt.first, c.openFor(), "%+v", tt)
		for range 10 {
			c.probe(failure)
		}
		require.Equal(t, tt.last, c.openFor(), "%+v", tt)
	}
	for seed := range uint64(20) {
		rule := grown
		rule.RecoveryJitter = 0.2
		c := newCircuit(t, rule, 8)
		c.Circuit = policy.NewCircuit(rule, 8, rand.New(rand.NewPCG(seed, 14)).Float64)
		c.trip()
		distinct := map[time.Duration]bool{}
		for n := range 50 {
			plain := min(s<<min(n, 10), 10*s)
			require.GreaterOrEqual(t, c.openFor(), plain, "seed %d, probe %d", seed, n)
			require.Less(t, c.openFor(), plain+plain/5, "seed %d, probe %d", seed, n)
			distinct[c.openFor()] = true
			c.probe(failure)
		}
		require.Greater(t, len(distinct), 40, "seed %d", seed)
	}
}

// S-B6: chance is asked only where it is wanted.
func TestCircuitDrawsOnlyForJitter(t *testing.T) {
	draws := 0
	count := func() float64 { draws++; return 0 }
	c := newCircuit(t, grown, 8)
	c.Circuit = policy.NewCircuit(grown, 8, count)
	c.trip()
	c.probe(failure)
	require.Zero(t, draws)
	rule := grown
	rule.RecoveryJitter, rule.Reprobe = 0.1, time.Second
	c = newCircuit(t, rule, 8)
	c.Circuit = policy.NewCircuit(rule, 8, count)
	c.trip()
	require.Equal(t, 1, draws)
	c.probe(failure)
	require.Equal(t, 2, draws)
	c.probe(ruined)
	require.Equal(t, 2, draws)
}

// S-B6: a server's hint is the floor of the open time, beyond the cap if need be, and of that one open time only.
func TestCircuitHintIsAFloor(t *testing.T) {
	const s = time.Second
	c := newCircuit(t, grown, 8)
	end := func(hint time.Duration) {
		require.True(t, c.End(c.now, c.start(), policy.Ending{Verdict: failure, Hint: hint}))
	}
	probe := func(hint time.Duration) {
		c.to(time.Duration(c.NextWake()))
		end(hint)
	}
	end(3 * s)
	require.Equal(t, 3*s, c.openFor())
	probe(s)
	require.Equal(t, 2*s, c.openFor(), "a shorter hint does not shorten")
	probe(time.Hour)
	require.Equal(t, time.Hour, c.openFor())
	probe(0)
	require.Equal(t, 8*s, c.openFor(), "grown by three failed probes and by no hint")
	probe(math.MaxInt64)
	require.Equal(t, policy.Never, c.NextWake())

	rule := grown
	rule.RecoveryJitter = 1
	c = newCircuit(t, rule, 8)
	c.Circuit = policy.NewCircuit(rule, 8, func() float64 { return 0.5 })
	end(1400 * ms)
	require.Equal(t, 1500*ms, c.openFor(), "the jittered time is longer than the hint")
}

// S-B6: three outages are three trips, however many probes fail in each.
func TestCircuitTrips(t *testing.T) {
	c := newCircuit(t, grown, 3)
	require.Zero(t, c.Trips())
	for outage := 1; outage <= 3; outage++ {
		c.trip()
		for range outage * 3 {
			require.Equal(t, outage, c.Trips())
			c.probe(failure)
		}
		c.probe(success)
		c.trip() // within the ramp
		c.probe(success)
		require.Equal(t, outage, c.Trips())
		require.False(t, c.run(success))
		require.True(t, c.fresh())
	}
	require.True(t, c.run(ruined))
	require.Equal(t, 4, c.Trips(), "a key of no use is an outage, too")
	c.reset()
	require.Equal(t, 4, c.Trips(), "what has been, has been")
	c.Set(policy.ForcedOpen)
	require.Equal(t, 4, c.Trips(), "a person's will is no outage")
	c.reset()
	c.trip()
	require.Equal(t, 5, c.Trips())
}
