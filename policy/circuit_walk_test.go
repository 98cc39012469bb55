package policy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/toller-go/toller/policy"
)

// randomBreaker draws a rule with any of the features; all that ratios need is set.
func randomBreaker(rng *rand.Rand) policy.Breaker {
	seconds := func(n int) time.Duration { return time.Duration(1+rng.IntN(n)) * time.Second }
	b := policy.Breaker{Reprobe: time.Duration(rng.IntN(2)) * time.Minute}
	if rng.IntN(8) == 0 {
		return b // off
	}
	kinds := 1 + rng.IntN(7)
	if kinds&1 != 0 {
		b.FailureThreshold = 1 + rng.IntN(6)
	}
	if kinds&2 != 0 {
		b.FailureRatio = float64(1+rng.IntN(10)) / 10
	}
	if kinds&4 != 0 {
		b.SlowCall, b.SlowRatio = seconds(5), float64(1+rng.IntN(10))/10
	}
	if b.FailureRatio > 0 || b.SlowRatio > 0 {
		if rng.IntN(2) == 0 {
			b.Window = 1 + rng.IntN(20)
			b.MinSamples = 1 + rng.IntN(b.Window)
		} else {
			b.WindowTime, b.MinSamples = seconds(60), 1+rng.IntN(10)
		}
	}
	b.Counts = policy.Counted(rng.IntN(2))
	b.RecoveryTimeout = seconds(30)
	b.Probes, b.Successes, b.ProbeTimeout = 1+rng.IntN(4), 1+rng.IntN(4), seconds(20)
	if rng.IntN(2) == 0 {
		b.RecoveryBackoff, b.MaxRecoveryTimeout = float64(1+rng.IntN(3)), b.RecoveryTimeout+seconds(200)
	}
	if rng.IntN(2) == 0 {
		b.RecoveryJitter = 0.5
	}
	return b
}

// S-B1 to S-B6, S-B9 to S-B11: a long random life of a circuit, judged by the model at every step.
func TestCircuitAgreesWithModel(t *testing.T) {
	visited := map[string]int{}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 8))
		b := randomBreaker(rng)
		full := 1 + rng.IntN(40)
		// Quarters, so that the model may compute in another order and still get the very same.
		draws := func() func() float64 {
			own := rand.New(rand.NewPCG(seed, 9))
			return func() float64 { return float64(own.IntN(4)) / 4 }
		}
		m := newBreakerModel(b, full, draws())
		c := newCircuit(t, b, full)
		c.Circuit = policy.NewCircuit(b, full, draws())
		verdicts := []policy.Verdict{success, success, failure, failure, failure, noWord}
		if rng.IntN(2) == 0 {
			verdicts = append(verdicts, success, success, success, success)
		}
		ending := func() policy.Ending {
			e := policy.Ending{Verdict: verdicts[rng.IntN(len(verdicts))], Took: time.Duration(rng.IntN(6)) * time.Second}
			switch {
			case m.ramp > 0 && rng.IntN(2) == 0: // or few would get far
				e.Verdict, e.Took = success, 0
			case rng.IntN(200) == 0:
				e.Verdict = ruined
			}
			if rng.IntN(10) == 0 {
				e.Hint = time.Duration(rng.IntN(100)) * time.Second
			}
			return e
		}
		for step := range 500 {
			where := fmt.Sprintf("seed %d step %d", seed, step)
			same := func(what string, got, want any) {
				if got != want {
					t.Fatalf("%s: %s is %v, want %v; rule %+v, full %d", where, what, got, want, b, full)
				}
			}
			switch rng.IntN(8) {
			case 0, 1: // time passes, often just to or before what is due
				next := c.now.Add(time.Duration(rng.Int64N(int64(10 * time.Second))))
				if wake := m.nextWake(); wake != policy.Never && rng.IntN(2) == 0 {
					next = max(c.now, wake-policy.Time(rng.IntN(2)))
				}
				same("Advance", c.to(time.Duration(next)), m.advance(next))
			case 2, 3, 4:
				if m.admits() && len(m.runs) < 60 {
					p := c.Start(c.now)
					r := &modelRun{pass: p, era: m.era, probe: m.state == policy.HalfOpen, expires: c.now.Add(m.rule.ProbeTimeout)}
					same("Probe", p.Probe(), r.probe)
					m.runs = append(m.runs, r)
				}
			case 5, 6:
				if len(m.runs) == 0 {
					continue
				}
				r, e := m.runs[rng.IntN(len(m.runs))], ending()
				same("End", c.End(c.now, r.pass, e), m.end(c.now, r, e))
				if rng.IntN(2) == 0 { // the job has ended, too
					same("EndJob", c.EndJob(c.now, r.pass, e), m.endJob(c.now, r, e))
				}
			case 7:
				switch n := len(m.runs); {
				case n > 0 && rng.IntN(4) > 0:
					r := m.runs[rng.IntN(n)]
					c.Return(r.pass)
					m.drop(r)
				case rng.IntN(10) == 0:
					m.full = 1 + rng.IntN(40)
					m.endRamp()
					c.SetFull(m.full)
				case rng.IntN(10) == 0 || m.mode != policy.Automatic && rng.IntN(3) == 0:
					mode := policy.Mode(rng.IntN(4) * rng.IntN(2))
					same("Set", c.Set(mode), m.set(mode))
				}
			}
			visited[m.state.String()]++
			visited[m.mode.String()]++
			if m.ramp > 0 {
				visited["ramp"]++
			}
			retryAt := c.now
			if m.rejects() {
				retryAt = m.nextWake()
			}
			same("State", c.State(), m.state)
			same("Mode", c.Mode(), m.mode)
			same("Trips", c.Trips(), m.trips)
			same("Admits", c.Admits(), m.admits())
			same("Rejects", c.Rejects(), m.rejects())
			same("NextWake", c.NextWake(), m.nextWake())
			same("RetryAt", c.RetryAt(c.now), retryAt)
			same("Fresh", c.fresh(), m.fresh(c.now))
		}
	}
	for _, what := range []string{"closed", "open", "half-open"} {
		assert.Greater(t, visited[what], 10_000, "the walk hardly knows the circuit: %s", what)
	}
	assert.Greater(t, visited["ramp"], 5_000, "the walk hardly knows a ramp")
	for _, what := range []string{"forced open", "forced closed", "disabled"} {
		assert.Greater(t, visited[what], 500, "the walk hardly knows the circuit: %s", what)
	}
}
