package oracle

import (
	"math"
	"slices"
	"time"
)

// position is the state of a circuit.
type position uint8

const (
	shut     position = iota // closed: attempts pass
	open                     // nothing passes
	halfOpen                 // probes pass
)

// circuit is the breaker of one key as S-B1 to S-B11 have it. Where the rules let the scheduler choose, when exactly an outcome
// leaves a window of time that is kept in ten slices, it asks what was done.
type circuit struct {
	rule       Breaker
	workers    int // at which a ramp is over
	state      position
	mode       Mode
	generation int

	flying   int // of this generation
	inARow   int // failures
	outcomes []sample
	ramp     int // 0: none
	rampAt   Time

	until     Time // open
	leases    []lease
	successes int
	failed    int // probes, since the outage began
	unusable  bool
}

type sample struct {
	at           Time
	failed, slow bool
}

type lease struct {
	who     int
	expires Time
}

// told is one transition that the rules demand.
type told struct {
	kind  EffectKind
	until Time
}

// ending is the end of an attempt or a job.
type ending struct {
	verdict Verdict
	took    time.Duration
	hint    time.Duration
}

func (c *circuit) measures() bool { return c.rule.Ratio > 0 || c.rule.SlowRatio > 0 }

func (c *circuit) enter(s position) {
	c.generation++
	c.state = s
	c.flying, c.inARow, c.successes, c.ramp = 0, 0, 0, 0
	c.leases, c.outcomes = c.leases[:0], c.outcomes[:0]
}

// due returns when something happens by itself (S-B10, S-B3, S-B5).
func (c *circuit) due() Time {
	switch {
	case c.state == open:
		return c.until
	case c.state == halfOpen && len(c.leases) > 0:
		return c.leases[0].expires
	case c.state == shut && c.ramp > 0:
		return c.rampAt
	default:
		return Never
	}
}

// pass does the first thing that is due, at the instant of due.
func (c *circuit) pass(tell func(told)) {
	at := c.due()
	switch c.state {
	case open:
		c.enter(halfOpen)
		tell(told{HalfOpened, 0})
	case halfOpen:
		tell(c.failProbe(at, 0))
	case shut:
		c.grow(at)
	}
}

func (c *circuit) admits() bool {
	switch c.state {
	case shut:
		return c.ramp == 0 || c.flying < c.ramp
	case halfOpen:
		return len(c.leases) < c.rule.Probes
	default:
		return false
	}
}

func (c *circuit) rejects() bool {
	return c.state == open || c.state == halfOpen && len(c.leases) >= c.rule.Probes
}

// start lets one attempt through, and returns whether it is a probe.
func (c *circuit) start(now Time, who int) bool {
	c.flying++
	if c.state != halfOpen {
		return false
	}
	c.leases = append(c.leases, lease{who, now.Add(c.rule.ProbeTimeout)})
	return true
}

// giveBack is for an attempt that never ran (S-B8).
func (c *circuit) giveBack(generation, who int) {
	if generation == c.generation {
		c.flying--
		c.release(who)
	}
}

func (c *circuit) release(who int) bool {
	i := slices.IndexFunc(c.leases, func(l lease) bool { return l.who == who })
	if i < 0 {
		return false
	}
	c.leases = slices.Delete(c.leases, i, i+1)
	return true
}

// end takes the end of an attempt. opened says whether the scheduler is seen to open the circuit now.
func (c *circuit) end(now Time, generation, who int, e ending, opened func(until Time) bool, tell func(told)) {
	if generation != c.generation {
		return // S-B4
	}
	c.flying--
	switch {
	case c.mode == Disabled:
	case c.state == halfOpen:
		c.endProbe(now, who, e, tell)
	case e.verdict == Unusable:
		if c.mode != ForcedClosed {
			tell(c.condemn(now))
		}
	case !c.rule.Jobs:
		c.count(now, e, opened, tell)
	}
}

// endJob takes the end of a whole job, with its last attempt (S-B9).
func (c *circuit) endJob(now Time, generation int, probe bool, e ending, opened func(until Time) bool, tell func(told)) {
	if generation == c.generation && !probe && c.rule.Jobs && c.mode != Disabled {
		c.count(now, e, opened, tell)
	}
}

func (c *circuit) endProbe(now Time, who int, e ending, tell func(told)) {
	if !c.release(who) {
		return
	}
	switch {
	case e.verdict == Unusable:
		tell(c.condemn(now))
	case e.verdict == Failure || e.verdict == Success && c.slow(e):
		tell(c.failProbe(now, e.hint))
	case e.verdict == Success:
		if c.successes++; c.successes < c.rule.Successes {
			return
		}
		c.enter(shut)
		c.unusable = false
		c.ramp = c.rule.Probes
		c.grow(now)
		tell(told{Closed, 0})
	}
}

func (c *circuit) slow(e ending) bool { return c.rule.SlowCall > 0 && e.took >= c.rule.SlowCall }

func (c *circuit) grow(now Time) {
	c.ramp++
	c.rampAt = now.Add(c.rule.ProbeTimeout)
	c.recover()
}

// recover ends a ramp that has reached all workers, and the outage with it (S-B6).
func (c *circuit) recover() {
	if c.ramp >= c.workers {
		c.ramp, c.failed = 0, 0
	}
}

func (c *circuit) count(now Time, e ending, opened func(until Time) bool, tell func(told)) {
	switch e.verdict {
	case Success:
		c.inARow, c.unusable = 0, false
		if c.ramp > 0 {
			c.grow(now)
		}
	case Failure:
		c.inARow++
	default:
		return // S-B2
	}
	if c.measures() {
		c.outcomes = append(c.outcomes, sample{now, e.verdict == Failure, c.slow(e)})
		if c.rule.WindowTime == 0 && len(c.outcomes) > c.rule.Window {
			c.outcomes = slices.Delete(c.outcomes, 0, len(c.outcomes)-c.rule.Window)
		}
	}
	if c.ramp == 0 {
		c.failed = 0
	}
	must, may := c.trips(now)
	if c.mode != Automatic || !may || !must && !opened(c.openUntil(now, e.hint)) {
		return
	}
	tell(c.open(now, e.hint))
}

// trips reports whether what was counted must, and whether it may open the circuit (S-B1).
func (c *circuit) trips(now Time) (must, may bool) {
	if c.rule.Failures > 0 && c.inARow >= c.rule.Failures {
		return true, true
	}
	if !c.measures() {
		return false, false
	}
	if c.rule.WindowTime == 0 {
		trips := c.reached(c.outcomes)
		return trips, trips
	}
	first := 0
	for first < len(c.outcomes) && now.Sub(c.outcomes[first].at) > c.rule.WindowTime {
		first++
	}
	if first > 64 {
		c.outcomes, first = slices.Delete(c.outcomes, 0, first), 0
	}
	// Outcomes that are between nine tenths and all of the window old may have been forgotten, oldest first.
	must = c.reached(c.outcomes[first:])
	may = must
	for young := c.rule.WindowTime - c.rule.WindowTime/10 - 10; first < len(c.outcomes) && now.Sub(c.outcomes[first].at) >= young; {
		first++
		trips := c.reached(c.outcomes[first:])
		must, may = must && trips, may || trips
	}
	return must, may
}

func (c *circuit) reached(of []sample) bool {
	if len(of) < c.rule.MinSamples {
		return false
	}
	failed, slow := 0, 0
	for _, s := range of {
		if s.failed {
			failed++
		}
		if s.slow {
			slow++
		}
	}
	reaches := func(n int, ratio float64) bool { return ratio > 0 && float64(n) >= ratio*float64(len(of)) }
	return reaches(failed, c.rule.Ratio) || reaches(slow, c.rule.SlowRatio)
}

func (c *circuit) failProbe(now Time, hint time.Duration) told {
	if c.unusable {
		return c.condemn(now)
	}
	c.failed++
	return c.open(now, hint)
}

// open opens the circuit for its time, grown by failed probes, and no shorter than a hint (S-B6).
func (c *circuit) open(now Time, hint time.Duration) told {
	c.until = c.openUntil(now, hint)
	c.enter(open)
	return told{Opened, c.until}
}

func (c *circuit) openUntil(now Time, hint time.Duration) Time {
	wait := math.Min(float64(c.rule.Recovery)*math.Pow(c.rule.Growth, float64(c.failed)), float64(c.rule.MaxRecovery))
	return now.Add(max(time.Duration(wait), hint))
}

// condemn opens the circuit of a key that is of no use (S-B2).
func (c *circuit) condemn(now Time) told {
	c.enter(open)
	c.unusable, c.until = true, Never
	if c.rule.Reprobe > 0 {
		c.until = now.Add(c.rule.Reprobe)
	}
	return told{Opened, c.until}
}

// override hands the circuit to a person, or back (S-B11).
func (c *circuit) override(m Mode, tell func(told)) {
	before := c.state
	c.mode, c.failed, c.unusable = m, 0, false
	c.enter(shut)
	if m == ForcedOpen {
		c.state, c.until = open, Never
	}
	switch c.state {
	case before:
	case open:
		tell(told{Opened, Never})
	default:
		tell(told{Closed, 0})
	}
}

// fresh reports whether the circuit cannot be told from a new one (S-A9).
func (c *circuit) fresh(now Time) bool {
	if c.state != shut || c.mode != Automatic || c.ramp > 0 || c.failed > 0 || c.rule.Failures > 0 && c.inARow > 0 {
		return false
	}
	if c.rule.WindowTime == 0 {
		return len(c.outcomes) == 0
	}
	n := len(c.outcomes)
	return n == 0 || now.Sub(c.outcomes[n-1].at) >= c.rule.WindowTime-c.rule.WindowTime/10-10
}
