package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// S-B4: results of an earlier generation change nothing, in whatever state the circuit is by now.
func TestCircuitStaleResults(t *testing.T) {
	all := []policy.Verdict{success, failure, noWord, ruined}
	stale := func(c *circuit, passes *[]policy.Pass) {
		t.Helper()
		state, wake := c.State(), c.NextWake()
		for _, v := range all {
			require.False(t, c.end((*passes)[0], v))
			*passes = (*passes)[1:]
		}
		c.Return((*passes)[0])
		*passes = (*passes)[1:]
		require.Equal(t, state, c.State())
		require.Equal(t, wake, c.NextWake())
	}
	start := func(c *circuit) (passes []policy.Pass) {
		for range 25 {
			passes = append(passes, c.start())
		}
		return passes
	}

	c := newCircuit(t, fiveStrikes, 100)
	early := start(c)
	c.trip()
	stale(c, &early)
	c.to(30 * time.Second)
	stale(c, &early) // [stale successes close a half-open breaker]
	require.True(t, c.Admits())
	probe := c.start()
	stale(c, &early)
	require.False(t, c.Admits(), "a stale end hands back nobody's lease")
	require.True(t, c.end(probe, success))
	stale(c, &early)
	for range 4 {
		require.False(t, c.run(failure))
	}
	stale(c, &early)
	require.True(t, c.run(failure), "a stale success does not reset the count, nor did a stale failure add to it")

	c.reset()
	early = start(c)
	c.reset()
	stale(c, &early)
	require.True(t, c.fresh(), "a Reset starts a generation even if the circuit was closed")
}

// S-B2: Unusable opens for good; only a Reset mends it.
func TestCircuitUnusable(t *testing.T) {
	for name, b := range map[string]policy.Breaker{"on": fiveStrikes, "off": {}} {
		t.Run(name, func(t *testing.T) {
			c := newCircuit(t, b, 8)
			require.True(t, c.run(ruined))
			require.Equal(t, policy.Open, c.State())
			require.False(t, c.fresh())
			require.False(t, c.Admits())
			require.True(t, c.Rejects())
			require.Equal(t, policy.Never, c.NextWake())
			require.Equal(t, policy.Never, c.RetryAt(c.now))
			require.False(t, c.to(1<<62))
			require.Equal(t, policy.Open, c.State())

			require.True(t, c.reset())
			require.Equal(t, policy.Closed, c.State())
			require.True(t, c.fresh())
			require.True(t, c.Admits(), "no ramp: somebody vouches for it")
			require.False(t, c.reset(), "no change")
		})
	}
}

// S-B2: with Reprobe the key is looked at again after that time.
func TestCircuitReprobe(t *testing.T) {
	for name, b := range map[string]policy.Breaker{"on": fiveStrikes, "off": {}} {
		t.Run(name, func(t *testing.T) {
			b.Reprobe = time.Hour
			c := newCircuit(t, b, 100)
			c.to(time.Second)
			require.True(t, c.run(ruined))
			require.Equal(t, at(time.Hour+time.Second), c.NextWake())
			require.False(t, c.to(time.Hour+time.Second-1))
			require.True(t, c.to(time.Hour+time.Second))
			require.Equal(t, policy.HalfOpen, c.State())
			require.True(t, c.run(ruined), "still no money")
			require.Equal(t, at(2*time.Hour+time.Second), c.NextWake())
			require.True(t, c.to(2*time.Hour+time.Second))
			require.True(t, c.run(success))
			require.Equal(t, policy.Closed, c.State())
		})
	}
}

// S-R13, S-B2: a breaker that is off counts no failures.
func TestCircuitOff(t *testing.T) {
	c := newCircuit(t, policy.Breaker{}, 8)
	for range 10_000 {
		require.False(t, c.run(failure))
	}
	require.True(t, c.fresh(), "nobody would ever ask (S-A9)")
	require.Equal(t, policy.Closed, c.State())
	require.True(t, c.Admits())
	require.Equal(t, policy.Never, c.NextWake())
}

// S-B11: a Reset forgets everything, from every state.
func TestCircuitReset(t *testing.T) {
	c := newCircuit(t, fiveStrikes, 100)
	for range 4 {
		c.run(failure)
	}
	require.False(t, c.reset(), "closed it was")
	require.True(t, c.fresh())
	for range 4 {
		require.False(t, c.run(failure))
	}
	require.True(t, c.run(failure))
	require.True(t, c.reset())
	require.True(t, c.fresh())

	c = halfOpen(t, 1, 1)
	probe := c.start()
	require.True(t, c.reset())
	require.Equal(t, policy.Never, c.NextWake(), "leases are void")
	require.True(t, c.fresh())
	require.False(t, c.end(probe, failure))
	require.True(t, c.fresh())

	c = halfOpen(t, 1, 1)
	c.run(success)
	require.False(t, c.fresh(), "in its ramp")
	require.False(t, c.reset())
	require.True(t, c.fresh())
}

// S-B2: after Unusable it takes a success to show otherwise. A probe that fails, is slow or hangs re-opens for Reprobe
// again, and so does one of a breaker that is off.
func TestCircuitReprobeFails(t *testing.T) {
	for name, b := range map[string]policy.Breaker{"on": fiveStrikes, "off": {}} {
		t.Run(name, func(t *testing.T) {
			b.Reprobe = time.Hour
			c := newCircuit(t, b, 100)
			require.True(t, c.run(ruined))
			require.Equal(t, 1, c.Trips())
			for range 3 {
				require.Equal(t, time.Hour, c.openFor())
				c.probe(failure)
				require.Equal(t, time.Hour, c.openFor())
				c.to(time.Duration(c.NextWake()))
				c.start() // hangs
				require.True(t, c.to(time.Duration(c.NextWake())))
			}
			require.Equal(t, 1, c.Trips(), "one outage")
			c.to(time.Duration(c.NextWake()))
			require.False(t, c.run(noWord), "nothing is learnt")
			require.True(t, c.run(success))
			require.Equal(t, policy.Closed, c.State())
		})
	}
	b := fiveStrikes
	b.Reprobe = time.Hour
	c := newCircuit(t, b, 2)
	c.run(ruined)
	c.probe(success)
	c.trip()
	require.Equal(t, 30*time.Second, c.openFor(), "an ordinary outage again")
	c.probe(failure)
	require.Equal(t, 30*time.Second, c.openFor())
	c.probe(ruined)
	require.Equal(t, time.Hour, c.openFor(), "a probe, too, may say so")
}

// S-B3: a probe that is ended twice has ended once.
func TestCircuitProbeEndedTwice(t *testing.T) {
	for _, first := range []policy.Verdict{success, noWord} {
		for _, second := range []policy.Verdict{success, failure, noWord} {
			c := halfOpen(t, 2, 2)
			p, other := c.start(), c.start()
			require.False(t, c.end(p, first))
			require.False(t, c.end(p, second), "%v, then %v", first, second)
			require.Equal(t, policy.HalfOpen, c.State())
			require.Len(t, c.fill(), 1)
			require.Equal(t, first == success, c.end(other, success))
		}
	}
}

// S-B11: what a person decides holds until a Reset, whatever happens, and what was counted is forgotten.
func TestCircuitModes(t *testing.T) {
	for _, tt := range []struct {
		mode policy.Mode
		want policy.State
	}{{policy.ForcedOpen, policy.Open}, {policy.ForcedClosed, policy.Closed}, {policy.Disabled, policy.Closed}} {
		for name, from := range map[string]func() *circuit{
			"closed": func() *circuit { c := newCircuit(t, fiveStrikes, 8); c.outcomes(4, failure); return c },
			"open":   func() *circuit { c := newCircuit(t, fiveStrikes, 8); c.trip(); return c },
			"half":   func() *circuit { return halfOpen(t, 1, 1) },
			"ramp":   func() *circuit { return recovered(t, 1, 8) },
			"ruined": func() *circuit { c := newCircuit(t, fiveStrikes, 8); c.run(ruined); return c },
		} {
			t.Run(tt.mode.String()+"/"+name, func(t *testing.T) {
				c := from()
				c.t = t
				before := c.State()
				require.Equal(t, policy.Automatic, c.Mode())
				require.Equal(t, before != tt.want, c.Set(tt.mode))
				require.Equal(t, tt.mode, c.Mode())
				require.Equal(t, tt.want, c.State())
				require.Equal(t, policy.Never, c.NextWake())
				require.False(t, c.fresh(), "somebody holds it")
				require.False(t, c.Set(tt.mode), "no change")

				open := tt.want == policy.Open
				require.Equal(t, !open, c.Admits())
				require.Equal(t, open, c.Rejects())
				if open {
					require.Equal(t, policy.Never, c.RetryAt(c.now))
					require.False(t, c.to(1<<60), "never tested")
				} else {
					require.Len(t, c.fill(), 1000, "no ramp")
					for range 100 {
						require.False(t, c.run1(failure))
						require.False(t, c.run1(ruined))
					}
				}
				require.Equal(t, tt.want, c.State())

				require.Equal(t, open, c.reset())
				require.Equal(t, policy.Automatic, c.Mode())
				require.True(t, c.fresh())
				c.outcomes(4, failure)
				require.True(t, c.run(failure), "its rule is in force again")
				require.Equal(t, 30*time.Second, c.openFor())
			})
		}
	}
}

// run1 is run without a look at Admits.
func (c *circuit) run1(v policy.Verdict) bool { return c.end(c.Start(c.now), v) }

// S-B11: what is counted while a person holds the circuit closed does not open it afterwards, nor when it is disabled.
func TestCircuitModesForget(t *testing.T) {
	for _, mode := range []policy.Mode{policy.ForcedClosed, policy.Disabled} {
		for _, b := range []policy.Breaker{fiveStrikes, {FailureRatio: 0.5, MinSamples: 5}} {
			for _, next := range []policy.Mode{policy.Automatic, policy.ForcedClosed, policy.Disabled} {
				c := newCircuit(t, b, 8)
				c.Set(mode)
				c.outcomes(50, failure)
				c.Set(next)
				c.reset()
				c.outcomes(4, failure)
				require.True(t, c.run(failure))
			}
		}
	}
}

// S-B4, S-B11: a manual transition starts a generation as every other does, even if the state stays.
func TestCircuitManualGenerations(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Automatic, policy.ForcedOpen, policy.ForcedClosed, policy.Disabled} {
		b := fiveStrikes
		b.FailureThreshold = 1
		c := newCircuit(t, b, 8)
		early := c.start()
		c.Set(mode)
		require.False(t, c.end(early, failure))
		between := c.Start(c.now)
		c.reset()
		for _, p := range []policy.Pass{early, between} {
			for _, v := range []policy.Verdict{success, failure, noWord, ruined} {
				require.False(t, c.end(p, v), "%v", mode)
				require.False(t, c.EndJob(c.now, p, policy.Ending{Verdict: v}))
			}
			c.Return(p)
		}
		require.True(t, c.fresh())
		require.True(t, c.run(failure), "%v", mode)
	}

	// A probe from before a Reset is none of those after the next trip.
	c := halfOpen(t, 1, 1)
	stale := c.start()
	c.reset()
	c.trip()
	c.to(time.Duration(c.NextWake()))
	probe := c.start()
	require.False(t, c.end(stale, success))
	require.False(t, c.Admits())
	require.True(t, c.end(probe, success))
}

func TestModeText(t *testing.T) {
	for want, m := range map[string]policy.Mode{
		"automatic": policy.Automatic, "forced open": policy.ForcedOpen, "forced closed": policy.ForcedClosed,
		"disabled": policy.Disabled, "Mode(9)": 9,
	} {
		require.Equal(t, want, m.String())
	}
}
