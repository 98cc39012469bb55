package policy

import (
	"math"
	"time"
)

// What the ends of attempts and jobs do to a circuit: count, trip, recover.

// End takes the end of an attempt, and reports whether the state changed. The pass is used up: each must be ended once.
func (c *Circuit) End(now Time, p Pass, e Ending) bool {
	if p.generation != c.generation {
		return false
	}
	c.flying--
	switch {
	case c.mode == Disabled:
		return false
	case c.state == HalfOpen:
		return c.endProbe(now, p, e)
	case e.Verdict == VerdictUnusable:
		return c.openUnusable(now)
	case c.rule.Counts == CountJobs:
		return false // EndJob will tell
	default:
		return c.count(now, e)
	}
}

// EndJob takes the end of a whole job, with the pass of its last attempt, where whole jobs are counted (S-B9); elsewhere
// it changes nothing. It reports whether the state changed.
func (c *Circuit) EndJob(now Time, p Pass, e Ending) bool {
	if p.generation != c.generation || p.Probe() || c.rule.Counts != CountJobs || c.mode == Disabled {
		return false
	}
	return c.count(now, e)
}

// count takes one outcome of a closed circuit.
func (c *Circuit) count(now Time, e Ending) bool {
	if e.Verdict != VerdictSuccess && e.Verdict != VerdictFailure {
		return false
	}
	failed := e.Verdict == VerdictFailure
	switch {
	case !failed:
		c.failures, c.unusable = 0, false
		if c.ramp > 0 {
			c.growRamp(now)
		}
	case c.rule.FailureThreshold > 0: // or nobody would ever ask, and the circuit would never be fresh again
		c.failures++
	}
	if c.measures() {
		c.recent.add(now, sample{failed: failed, slow: c.slow(e)})
	}
	if c.mode == Automatic && c.tripped(now) {
		c.trip(now, e.Hint)
		return true
	}
	return false
}

func (c *Circuit) measures() bool { return c.rule.FailureRatio > 0 || c.rule.SlowRatio > 0 }

func (c *Circuit) slow(e Ending) bool { return c.rule.SlowCall > 0 && e.Took >= c.rule.SlowCall }

// tripped reports whether what has been counted by now opens the circuit.
func (c *Circuit) tripped(now Time) bool {
	if !c.measures() {
		return c.rule.FailureThreshold > 0 && c.failures >= c.rule.FailureThreshold
	}
	return c.trippedBy(c.recent.recent(now))
}

// trippedBy reports whether what has been counted opens the circuit. Ratios are compared with ≥ and not made whole percents
// first: 99 of 200 are less than a half, and 100 are not (S-B1).
func (c *Circuit) trippedBy(recent tally) bool {
	if c.rule.FailureThreshold > 0 && c.failures >= c.rule.FailureThreshold {
		return true
	}
	if !c.measures() || recent.all < c.rule.MinSamples {
		return false
	}
	reaches := func(n int, ratio float64) bool { return ratio > 0 && float64(n)/float64(recent.all) >= ratio }
	return reaches(recent.failed, c.rule.FailureRatio) || reaches(recent.slow, c.rule.SlowRatio)
}

func (c *Circuit) endProbe(now Time, p Pass, e Ending) bool {
	if !c.dropLease(p.lease) {
		return false // it has been told before
	}
	switch {
	case e.Verdict == VerdictUnusable:
		return c.openUnusable(now)
	case e.Verdict == VerdictFailure, e.Verdict == VerdictSuccess && c.slow(e):
		c.failProbe(now, e.Hint)
		return true
	case e.Verdict == VerdictSuccess:
		c.successes++
		if c.successes >= c.rule.Successes {
			c.enter(Closed)
			c.unusable = false
			c.ramp = c.rule.Probes
			c.growRamp(now)
			return true
		}
	}
	return false
}

// growRamp lets one more attempt in flight.
func (c *Circuit) growRamp(now Time) {
	c.ramp++
	c.rampUntil = now.Add(c.rule.ProbeTimeout)
	if c.ramp >= c.full {
		c.endRamp()
	}
}

// endRamp is full recovery: the outage is over, and with it the growth of the open time (S-B6).
func (c *Circuit) endRamp() { c.ramp, c.failedProbes = 0, 0 }

// trip opens a closed circuit. One that had not recovered fully is still in its old outage.
func (c *Circuit) trip(now Time, hint time.Duration) {
	if c.ramp == 0 {
		c.trips++
		c.failedProbes = 0
	}
	c.open(now, hint)
}

// failProbe opens a half-open circuit again, for longer than before where the open time grows.
func (c *Circuit) failProbe(now Time, hint time.Duration) {
	if c.unusable {
		c.openUnusable(now)
		return
	}
	c.failedProbes++
	c.open(now, hint)
}

// open enters the open state for its time: grown, prolonged by chance, and not shorter than the server asks for.
func (c *Circuit) open(now Time, hint time.Duration) {
	growth := math.Pow(c.rule.RecoveryBackoff, float64(c.failedProbes))
	wait := math.Min(float64(c.rule.RecoveryTimeout)*growth, float64(c.rule.MaxRecoveryTimeout))
	if c.rule.RecoveryJitter > 0 {
		wait += wait * c.rule.RecoveryJitter * c.draw()
	}
	c.enter(Open)
	c.openUntil = now.Add(max(saturate(wait), hint))
}

// openUnusable opens the circuit of a key that was called unusable, unless a person holds it closed.
func (c *Circuit) openUnusable(now Time) bool {
	if c.mode == ForcedClosed {
		return false
	}
	if c.state == Closed && c.ramp == 0 {
		c.trips++
	}
	c.enter(Open)
	c.unusable, c.openUntil = true, Never
	if c.rule.Reprobe > 0 {
		c.openUntil = now.Add(c.rule.Reprobe)
	}
	return true
}
