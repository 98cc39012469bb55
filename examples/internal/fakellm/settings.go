package fakellm

import (
	"fmt"
	"slices"
	"time"
)

const (
	maxSpeed  = 1e3
	faultsAre = "a fault such as 500, 429-date or reset-mid (see Transients and Fatals)"
)

// validateMore checks the lists of a Config: limits, faults, rules, phases.
func (c Config) validateMore(check func(ok bool, field string, value any, allowed string)) {
	within := func(v, lo, hi float64) bool { return v >= lo && v <= hi }
	known := func(f Fault) bool { _, ok := natures[f]; return ok }

	check(int(c.Dialect) < len(dialectNames), "Dialect", c.Dialect, "one of the dialects")
	check(c.Concurrent >= 0, "Concurrent", c.Concurrent, "0 (no bound), or a number of requests")
	for i, l := range c.Limits {
		at := func(name string) string { return fmt.Sprintf("Limits[%d].%s", i, name) }
		check(l.Counts <= OutputTokens, at("Counts"), l.Counts, "one of the units")
		check(l.Engine <= FixedWindow, at("Engine"), l.Engine, "one of the engines")
		check(within(l.Max, 1, maxRate), at("Max"), l.Max, "1 to 1e9")
		check(l.Per >= time.Millisecond && l.Per <= maxWait, at("Per"), l.Per, "1ms to 24h")
		check(l.Burst == 0 || l.Engine == TokenBucket && within(l.Burst, 1, maxRate), at("Burst"), l.Burst,
			"0 (the same as Max), or 1 to 1e9 for a TokenBucket")
		rate := l.Max / l.Per.Seconds()
		check(l.Engine != TokenBucket || l.Per <= 0 || within(rate, minRate*maxSpeed, maxRate/maxSpeed), at("Max"), l.Max,
			"for a TokenBucket, 1e-6 to 1e6 a second")
	}
	check(c.Faults.Share >= 0 && c.Faults.Share < 1, "Faults.Share", c.Faults.Share, "a fraction from 0 to below 1")
	check(c.Faults.PerPrompt >= 0, "Faults.PerPrompt", c.Faults.PerPrompt, "0 (the default, 2), or a number of faults")
	for _, f := range c.Faults.Kinds {
		check(known(f) && f.Transient(), "Faults.Kinds", f, "transient faults (see Transients)")
	}
	for i, r := range c.Rules {
		check(known(r.Fault), fmt.Sprintf("Rules[%d].Fault", i), r.Fault, faultsAre)
		check(r.Times >= 0, fmt.Sprintf("Rules[%d].Times", i), r.Times, "0 (always), or a number of times")
	}
	for i, p := range c.Phases {
		check(p.At >= 0 && (i == 0 || p.At >= c.Phases[i-1].At), fmt.Sprintf("Phases[%d].At", i), p.At, "0s or longer, in order")
		check(p.Speed == 0 || within(p.Speed, 1/maxSpeed, maxSpeed), fmt.Sprintf("Phases[%d].Speed", i), p.Speed, "0 (as configured), or 1e-3 to 1e3")
		check(p.Fault == "" || known(p.Fault), fmt.Sprintf("Phases[%d].Fault", i), p.Fault, "empty, or "+faultsAre)
	}
	check(c.Stall == 0 || c.Stall >= time.Millisecond && c.Stall <= maxWait, "Stall", c.Stall, "0s (the default, 30s), or 1ms to 24h")
	check(c.WordDelay >= 0 && c.WordDelay <= maxWait, "WordDelay", c.WordDelay, "0s to 24h")
}

// withMoreDefaults replaces zero values, and copies what the caller may change.
func (c Config) withMoreDefaults() Config {
	c.Limits, c.Rules, c.Phases = slices.Clone(c.Limits), slices.Clone(c.Rules), slices.Clone(c.Phases)
	for i := range c.Limits {
		if l := &c.Limits[i]; l.Burst == 0 {
			l.Burst = l.Max
		}
	}
	c.Faults.Kinds = slices.Clone(c.Faults.Kinds)
	if len(c.Faults.Kinds) == 0 {
		c.Faults.Kinds = Transients()
	}
	if c.Faults.PerPrompt == 0 {
		c.Faults.PerPrompt = defaultPerPrompt
	}
	if c.Stall == 0 {
		c.Stall = defaultStall
	}
	return c
}
