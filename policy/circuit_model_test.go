package policy_test

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/toller-go/toller/policy"
)

// breakerModel is the breaker as one would tell it: a list of attempts, each of which remembers in which era it began, and
// a list of all that was counted in this one.
type breakerModel struct {
	rule  policy.Breaker // with every field set
	draw  func() float64
	full  int
	state policy.State
	mode  policy.Mode
	era   int
	trips int

	counted []modelSample // of this era, while closed
	good    int           // probes that succeeded in this era
	until   policy.Time   // open: its end
	ramp    int           // 0: none
	rampAt  policy.Time   // of its last growth
	failed  int           // failed probes of this outage
	ruined  bool
	runs    []*modelRun // in flight, hung ones included
}

type modelRun struct {
	pass    policy.Pass
	era     int
	probe   bool
	expires policy.Time
}

type modelSample struct {
	at           policy.Time
	failed, slow bool
}

func newBreakerModel(b policy.Breaker, full int, draw func() float64) *breakerModel {
	b.RecoveryTimeout = cmp.Or(b.RecoveryTimeout, policy.DefaultRecoveryTimeout)
	b.MaxRecoveryTimeout = cmp.Or(b.MaxRecoveryTimeout, max(b.RecoveryTimeout, policy.DefaultMaxRecoveryTimeout))
	b.RecoveryBackoff = cmp.Or(b.RecoveryBackoff, 1)
	b.Probes = cmp.Or(b.Probes, policy.DefaultProbes)
	b.Successes = cmp.Or(b.Successes, policy.DefaultSuccesses)
	b.ProbeTimeout = cmp.Or(b.ProbeTimeout, b.RecoveryTimeout)
	return &breakerModel{rule: b, full: full, draw: draw}
}

func (m *breakerModel) turn(s policy.State, until policy.Time) {
	m.era++
	m.state, m.until = s, until
	m.counted, m.good, m.ramp = nil, 0, 0
}

// flying are the attempts of this era, the one that expires first at the front.
func (m *breakerModel) flying() (out []*modelRun) {
	for _, r := range m.runs {
		if r.era == m.era {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *modelRun) int { return cmp.Compare(a.expires, b.expires) })
	return out
}

func (m *breakerModel) advance(now policy.Time) bool {
	switch flying := m.flying(); {
	case m.state == policy.Open && m.until <= now:
		m.turn(policy.HalfOpen, 0)
		return true
	case m.state == policy.HalfOpen && len(flying) > 0 && flying[0].expires <= now:
		m.failProbe(now, 0)
		return true
	}
	for m.ramp > 0 && m.rampAt.Add(m.rule.ProbeTimeout) <= now {
		m.grow(m.rampAt.Add(m.rule.ProbeTimeout))
	}
	return false
}

func (m *breakerModel) grow(at policy.Time) {
	m.ramp++
	m.rampAt = at
	m.endRamp()
}

// endRamp ends a ramp that has got to the top.
func (m *breakerModel) endRamp() {
	if m.ramp > 0 && m.ramp >= m.full {
		m.ramp, m.failed = 0, 0
	}
}

func (m *breakerModel) admits() bool {
	switch m.state {
	case policy.Closed:
		return m.ramp == 0 || len(m.flying()) < m.ramp
	case policy.HalfOpen:
		return len(m.flying()) < m.rule.Probes
	}
	return false
}

func (m *breakerModel) rejects() bool {
	return m.state == policy.Open || m.state == policy.HalfOpen && len(m.flying()) >= m.rule.Probes
}

func (m *breakerModel) nextWake() policy.Time {
	flying := m.flying()
	switch {
	case m.state == policy.Open:
		return m.until
	case m.state == policy.HalfOpen && len(flying) > 0:
		return flying[0].expires
	case m.ramp > 0:
		return m.rampAt.Add(m.rule.ProbeTimeout)
	}
	return policy.Never
}

// open opens the circuit; the time is told by repeated multiplication.
func (m *breakerModel) open(now policy.Time, hint time.Duration) {
	wait := float64(m.rule.RecoveryTimeout)
	for range m.failed {
		wait *= m.rule.RecoveryBackoff
	}
	wait = math.Min(wait, float64(m.rule.MaxRecoveryTimeout))
	if m.rule.RecoveryJitter > 0 {
		wait *= 1 + m.rule.RecoveryJitter*m.draw()
	}
	m.turn(policy.Open, now.Add(max(time.Duration(wait), hint)))
}

func (m *breakerModel) ruin(now policy.Time) {
	m.ruined = true
	m.turn(policy.Open, policy.Never)
	if m.rule.Reprobe > 0 {
		m.until = now.Add(m.rule.Reprobe)
	}
}

func (m *breakerModel) failProbe(now policy.Time, hint time.Duration) {
	if m.ruined {
		m.ruin(now)
		return
	}
	m.failed++
	m.open(now, hint)
}

func (m *breakerModel) drop(r *modelRun) {
	m.runs = slices.DeleteFunc(m.runs, func(other *modelRun) bool { return other == r })
}

func (m *breakerModel) end(now policy.Time, r *modelRun, e policy.Ending) bool {
	m.drop(r)
	era, slow := m.era, m.rule.SlowCall > 0 && e.Took >= m.rule.SlowCall
	switch {
	case r.era != m.era || e.Verdict == noWord || m.mode == policy.Disabled:
	case e.Verdict == ruined:
		if m.mode != policy.ForcedClosed {
			if m.state == policy.Closed && m.ramp == 0 {
				m.trips++
			}
			m.ruin(now)
		}
	case r.probe && (e.Verdict == failure || slow):
		m.failProbe(now, e.Hint)
	case r.probe:
		if m.good++; m.good == m.rule.Successes {
			m.turn(policy.Closed, 0)
			m.ruined = false
			m.ramp = m.rule.Probes
			m.grow(now)
		}
	case m.rule.Counts == policy.CountAttempts:
		m.count(now, e)
	}
	return m.era != era
}

func (m *breakerModel) endJob(now policy.Time, r *modelRun, e policy.Ending) bool {
	era := m.era
	if m.rule.Counts == policy.CountJobs && r.era == m.era && !r.probe && m.mode != policy.Disabled && (e.Verdict == success || e.Verdict == failure) {
		m.count(now, e)
	}
	return m.era != era
}

func (m *breakerModel) count(now policy.Time, e policy.Ending) {
	m.counted = append(m.counted, modelSample{now, e.Verdict == failure, m.rule.SlowCall > 0 && e.Took >= m.rule.SlowCall})
	if e.Verdict == success && m.ramp > 0 {
		m.grow(now)
	}
	if m.mode == policy.Automatic && m.tripped(now) {
		if m.ramp == 0 {
			m.trips++
		}
		m.open(now, e.Hint)
	}
}

// row is how many failures there were last.
func (m *breakerModel) row() (n int) {
	for i := len(m.counted) - 1; i >= 0 && m.counted[i].failed; i-- {
		n++
	}
	return n
}

// recent are those samples at which ratios look.
func (m *breakerModel) recent(now policy.Time) []modelSample {
	switch slice := policy.Time(m.rule.WindowTime / 10); {
	case m.rule.FailureRatio == 0 && m.rule.SlowRatio == 0:
		return nil
	case slice > 0:
		return slices.DeleteFunc(slices.Clone(m.counted), func(s modelSample) bool { return now/slice-s.at/slice >= 10 })
	default:
		return m.counted[max(0, len(m.counted)-m.rule.Window):]
	}
}

func (m *breakerModel) tripped(now policy.Time) bool {
	if n := m.rule.FailureThreshold; n > 0 && m.row() >= n {
		return true
	}
	var failed, slow int
	recent := m.recent(now)
	for _, s := range recent {
		if s.failed {
			failed++
		}
		if s.slow {
			slow++
		}
	}
	if len(recent) == 0 || len(recent) < m.rule.MinSamples {
		return false
	}
	share := func(n int) float64 { return float64(n) / float64(len(recent)) }
	return m.rule.FailureRatio > 0 && share(failed) >= m.rule.FailureRatio || m.rule.SlowRatio > 0 && share(slow) >= m.rule.SlowRatio
}

func (m *breakerModel) set(mode policy.Mode) bool {
	before := m.state
	m.mode, m.failed, m.ruined = mode, 0, false
	if mode == policy.ForcedOpen {
		m.turn(policy.Open, policy.Never)
	} else {
		m.turn(policy.Closed, 0)
	}
	return m.state != before
}

// fresh is asked in a closed state only: nothing counted, or nothing that is still looked at.
func (m *breakerModel) fresh(now policy.Time) bool {
	counts := m.rule.FailureThreshold > 0 && m.row() > 0
	return m.state == policy.Closed && m.mode == policy.Automatic && m.ramp == 0 && !counts && len(m.recent(now)) == 0
}
