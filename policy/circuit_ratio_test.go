package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toller-go/toller/policy"
)

// took runs an attempt that takes so long.
func (c *circuit) took(d time.Duration, v policy.Verdict) bool {
	c.t.Helper()
	require.True(c.t, c.Admits())
	return c.End(c.now, c.Start(c.now), policy.Ending{Verdict: v, Took: d})
}

// outcomes runs n attempts, of which none may move the circuit.
func (c *circuit) outcomes(n int, v policy.Verdict) {
	c.t.Helper()
	for i := range n {
		require.False(c.t, c.run(v), "%v %d of %d", v, i+1, n)
	}
}

// S-B1: ratios are compared with ≥ and unrounded: 99 of 200 are less than a half, and 100 are not.
func TestCircuitRatioIsNotRounded(t *testing.T) {
	for _, rule := range []policy.Breaker{
		{FailureRatio: 0.5, Window: 200, MinSamples: 200},
		{FailureRatio: 0.5, WindowTime: time.Minute, MinSamples: 200},
	} {
		c := newCircuit(t, rule, 8)
		c.outcomes(99, failure)
		c.outcomes(101, success)
		require.Equal(t, policy.Closed, c.State())

		c = newCircuit(t, rule, 8)
		c.outcomes(100, success)
		c.outcomes(99, failure)
		require.True(t, c.run(failure), "the hundredth of two hundred")
		require.Equal(t, policy.Open, c.State())
	}
}

// S-B1: n of m reach the ratio n/m, as whoever writes 0.07 means it, and n-1 of m do not.
func TestCircuitRatioIsExact(t *testing.T) {
	for hundredths := 1; hundredths <= 100; hundredths++ {
		ratio := float64(hundredths) / 100
		for _, of := range []int{100, 200, 1000} {
			rule := policy.Breaker{FailureRatio: ratio, Window: of, MinSamples: of}
			enough := hundredths * of / 100
			c := newCircuit(t, rule, 8)
			c.outcomes(of-enough, success)
			c.outcomes(enough-1, failure)
			require.True(t, c.run(failure), "%d of %d reach %v", enough, of, ratio)

			c = newCircuit(t, rule, 8)
			c.outcomes(of-enough+1, success)
			c.outcomes(enough-1, failure)
			require.Equal(t, policy.Closed, c.State(), "%d of %d do not reach %v", enough-1, of, ratio)
		}
	}
}

// S-B1: nothing is looked at before there are enough samples, and neutral ends are none.
func TestCircuitMinSamples(t *testing.T) {
	for _, tt := range []struct {
		rule policy.Breaker
		want int
	}{
		{policy.Breaker{FailureRatio: 0.1, MinSamples: 1}, 1},
		{policy.Breaker{FailureRatio: 0.1, MinSamples: 37}, 37},
		{policy.Breaker{FailureRatio: 0.1}, policy.DefaultMinSamples},
		{policy.Breaker{FailureRatio: 0.1, WindowTime: time.Minute}, policy.DefaultMinSamples},
		{policy.Breaker{FailureRatio: 0.1, Window: 5}, 5},
		{policy.Breaker{FailureRatio: 0.1, Window: 50}, policy.DefaultMinSamples},
		{policy.Breaker{FailureRatio: 1, Window: 100, MinSamples: 100}, 100},
	} {
		t.Run(fmt.Sprintf("%+v", tt.rule), func(t *testing.T) {
			c := newCircuit(t, tt.rule, 8)
			for range tt.want - 1 {
				require.False(t, c.run(failure))
				require.False(t, c.run(noWord))
				c.Return(c.start())
			}
			require.True(t, c.run(failure))
		})
	}
}

// The last so many are recent: what is older is forgotten. Defaults to a hundred.
func TestCircuitWindowByNumber(t *testing.T) {
	for _, window := range []int{10, 100} {
		c := newCircuit(t, policy.Breaker{FailureRatio: 0.5, Window: window % 100, MinSamples: 10}, 8)
		for range 3 {
			c.outcomes(window, success)
			c.outcomes(window/2-1, failure)
			c.outcomes(window/2+1, success)
			c.outcomes(window/2-1, failure)
		}
		c.outcomes(window, success)
		c.outcomes(window/2-1, failure)
		require.True(t, c.run(failure))
	}
}

// Those no older than so long are recent, in ten slices: what happened in one slice is forgotten ten slices later, when
// between nine tenths and all of the window has passed.
func TestCircuitWindowByTime(t *testing.T) {
	for _, tt := range []struct {
		failures, probe time.Duration
		trips           bool
	}{
		{0, 9999 * ms, true},
		{0, 10 * time.Second, false},
		{999 * ms, 10 * time.Second, false}, // nine tenths and a bit
		{1000 * ms, 10 * time.Second, true},
		{1000 * ms, 10999 * ms, true}, // all of it, less a bit
		{1000 * ms, 11 * time.Second, false},
		{1000 * ms, 1000 * time.Hour, false},
		{1000 * time.Hour, 1000*time.Hour + 9*time.Second, true},
	} {
		c := newCircuit(t, policy.Breaker{FailureRatio: 0.5, WindowTime: 10 * time.Second, MinSamples: 4}, 8)
		c.to(tt.failures)
		c.outcomes(3, failure)
		c.to(tt.probe)
		require.Equal(t, tt.trips, c.run(failure), "%+v", tt)
	}
}

// A circuit that counts in a window is like new again when the window has passed (S-A9).
func TestCircuitWindowByTimeIsFreshAgain(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureRatio: 0.5, WindowTime: 10 * time.Second}, 8)
	require.True(t, c.fresh())
	c.run(success)
	require.False(t, c.fresh(), "one among several successes would be told from none")
	c.to(10*time.Second - 1)
	require.False(t, c.fresh())
	c.to(10 * time.Second)
	require.True(t, c.fresh())
}

// S-B1: as many slow calls open the circuit, be they successes or failures. SlowCall itself is slow.
func TestCircuitSlowCalls(t *testing.T) {
	rule := policy.Breaker{SlowCall: time.Second, SlowRatio: 0.5, MinSamples: 4}
	for _, v := range []policy.Verdict{success, failure} {
		c := newCircuit(t, rule, 8)
		require.False(t, c.took(time.Second, v))
		require.False(t, c.took(time.Second-1, success))
		require.False(t, c.took(time.Second-1, success))
		require.True(t, c.took(time.Hour, v), "%v", v)
		require.Equal(t, policy.Open, c.State())
	}
	c := newCircuit(t, rule, 8)
	for range 100 {
		require.False(t, c.took(time.Hour, noWord))
		require.False(t, c.took(time.Second-1, failure), "failures are not looked at")
	}
}

// S-B1, S-B5: a probe that succeeds slowly has failed, whatever it was that opened the circuit.
func TestCircuitSlowProbe(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 1, SlowCall: time.Second, RecoveryTimeout: 30 * time.Second, Successes: 2}, 8)
	c.trip()
	c.to(30 * time.Second)
	require.False(t, c.took(time.Second-1, success))
	require.True(t, c.took(time.Second, success))
	require.Equal(t, policy.Open, c.State())
	require.Equal(t, at(time.Minute), c.NextWake())
	c.to(time.Minute)
	require.False(t, c.took(time.Hour, noWord), "it has told nothing")
	require.False(t, c.took(0, success))
	require.True(t, c.took(time.Second-1, success))
	require.Equal(t, policy.Closed, c.State())
}

// The first that is met opens the circuit.
func TestCircuitAnyOfThree(t *testing.T) {
	rule := policy.Breaker{FailureThreshold: 5, FailureRatio: 0.5, SlowCall: time.Second, SlowRatio: 0.25, MinSamples: 20}
	c := newCircuit(t, rule, 8)
	c.outcomes(4, failure)
	require.True(t, c.run(failure), "five in a row, of less than twenty")

	c = newCircuit(t, rule, 8)
	for range 9 {
		c.outcomes(1, failure)
		c.outcomes(1, success)
	}
	c.outcomes(1, success)
	require.True(t, c.run(failure), "ten of twenty")

	c = newCircuit(t, rule, 8)
	c.outcomes(15, success)
	for range 4 {
		require.False(t, c.took(time.Second, success))
	}
	require.True(t, c.took(time.Second, success), "five of twenty")
}

// Each transition forgets what was counted.
func TestCircuitWindowStartsAnew(t *testing.T) {
	for name, rule := range map[string]policy.Breaker{
		"by number": {FailureRatio: 0.5, MinSamples: 4, RecoveryTimeout: time.Second},
		"by time":   {FailureRatio: 0.5, MinSamples: 4, RecoveryTimeout: time.Second, WindowTime: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCircuit(t, rule, 2)
			c.outcomes(3, failure)
			require.True(t, c.run(failure))
			c.to(time.Second)
			require.True(t, c.run(success), "the probe closes")
			require.True(t, c.fresh(), "a probe is no sample of a closed circuit")
			c.outcomes(3, failure)
			c.reset()
			c.outcomes(3, failure)
			require.True(t, c.run(failure))
		})
	}
}

// S-B9: where jobs are counted, attempts are not, but for probes; a job that used up its retries is one failure.
func TestCircuitCountsJobs(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 2, Counts: policy.CountJobs, RecoveryTimeout: time.Second}, 4)
	bad := policy.Ending{Verdict: failure}
	c.outcomes(50, failure)
	require.True(t, c.fresh())
	p := c.start()
	require.False(t, c.End(c.now, p, bad))
	require.False(t, c.EndJob(c.now, p, bad))
	require.False(t, c.EndJob(c.now, p, policy.Ending{Verdict: noWord}))
	c.outcomes(50, failure)
	require.Equal(t, policy.Closed, c.State())
	require.True(t, c.EndJob(c.now, p, bad), "the second job")
	require.Equal(t, policy.Open, c.State())
	require.False(t, c.EndJob(c.now, p, bad), "of an earlier generation")

	c.to(time.Second)
	probe := c.start()
	require.False(t, c.EndJob(c.now, probe, policy.Ending{}), "a probe is judged by its attempt")
	require.True(t, c.end(probe, success))
	require.Equal(t, policy.Closed, c.State())
	require.False(t, c.EndJob(c.now, probe, bad))

	// The ramp, too, is moved by jobs.
	p = c.start()
	require.Len(t, c.fill(), 1)
	require.False(t, c.end(p, success))
	require.Len(t, c.fill(), 1, "only its own place")
	require.False(t, c.EndJob(c.now, p, policy.Ending{}))
	require.Len(t, c.fill(), 1, "one more")

	require.True(t, c.end(p, ruined), "a key of no use is told by an attempt")
}

// S-B9: where attempts are counted, the ends of jobs change nothing.
func TestCircuitCountsAttempts(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureThreshold: 2}, 4)
	p := c.start()
	for range 10 {
		require.False(t, c.EndJob(c.now, p, policy.Ending{Verdict: failure}))
		require.False(t, c.EndJob(c.now, p, policy.Ending{Verdict: ruined}))
	}
	require.True(t, c.fresh())
}

// S-B1, S-B9: slow jobs and failing ones make ratios as attempts do.
func TestCircuitRatioOfJobs(t *testing.T) {
	c := newCircuit(t, policy.Breaker{FailureRatio: 0.5, SlowCall: time.Second, SlowRatio: 1, MinSamples: 4, Counts: policy.CountJobs}, 4)
	p := c.start()
	require.False(t, c.EndJob(c.now, p, policy.Ending{Verdict: failure}))
	require.False(t, c.EndJob(c.now, p, policy.Ending{}))
	require.False(t, c.EndJob(c.now, p, policy.Ending{}))
	require.True(t, c.EndJob(c.now, p, policy.Ending{Verdict: failure}))
	c.reset()
	p = c.start()
	for range 3 {
		require.False(t, c.EndJob(c.now, p, policy.Ending{Took: time.Second}))
	}
	require.True(t, c.EndJob(c.now, p, policy.Ending{Took: time.Second}))
}
