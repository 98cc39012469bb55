package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found is a result with these figures, round by round.
func found(title string, f figure, rounds map[string][]float64) result {
	r := result{workload: workload{title: title}, samples: make(map[string][]sample)}
	for name, values := range rounds {
		for _, value := range values {
			r.samples[name] = append(r.samples[name], sample{Figures: map[figure]float64{f: value}})
		}
	}
	return r
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		target       target
		ours, theirs []float64
		text         string
		hopeless     map[float64]bool
	}{
		"ratio, the median of the rounds' own": {
			target: target{rival: "ants + channel", bound: 0.5}, ours: []float64{10, 40, 90}, theirs: []float64{20, 100, 100},
			text: "w: 0.50 (0.40…0.90) × ants + channel (target ≤ 0.5): met", hopeless: map[float64]bool{1: false},
		},
		"ratio, missed": {
			target: target{rival: "ants", bound: 0.5}, ours: []float64{51}, theirs: []float64{100},
			text: "w: 0.51 × ants (target ≤ 0.5): missed", hopeless: map[float64]bool{1: true, 1.01: true, 1.02: false, 2: false},
		},
		"ratio to a constant": {
			target: target{constant: 0.39, named: "the ideal", bound: 1.1}, ours: []float64{0.78, 0.39},
			text: "w: 1.50 (1…2) × the ideal (target ≤ 1.1): missed", hopeless: map[float64]bool{1: false},
		},
		"difference": {
			target: target{by: difference, rival: "closure", unit: "B", bound: 192}, ours: []float64{216, 217}, theirs: []float64{24, 24},
			text: "w: 192 (192…193) B (target ≤ 192): missed", hopeless: map[float64]bool{1: false},
		},
		"itself": {
			target: target{by: alone, unit: "B resident", bound: 240}, ours: []float64{240},
			text: "w: 240 B resident (target ≤ 240): met", hopeless: map[float64]bool{1: false},
		},
		"at least": {
			target: target{by: alone, unit: "of it", bound: 0.99, atLeast: true}, ours: []float64{0.98, 0.995, 1},
			text: "w: 0.99 (0.98…1) of it (target ≥ 0.99): met", hopeless: map[float64]bool{1: false},
		},
		"at least, missed": {
			target: target{by: alone, unit: "of it", bound: 0.99, atLeast: true}, ours: []float64{0.5},
			text: "w: 0.50 of it (target ≥ 0.99): missed", hopeless: map[float64]bool{1: true, 1.9: true, 2: false},
		},
		"at least, missed in every round": {
			target: target{by: alone, unit: "of it", bound: 0.9, atLeast: true}, ours: []float64{0.3, 0.6},
			text: "w: 0.45 (0.30…0.60) of it (target ≥ 0.9): missed", hopeless: map[float64]bool{1: true, 1.4: true, 1.6: false},
		},
		"at most, missed in every round": {
			target: target{rival: "ants", bound: 1}, ours: []float64{2, 4}, theirs: []float64{1, 1},
			text: "w: 3 (2…4) × ants (target ≤ 1): missed", hopeless: map[float64]bool{1: true, 1.9: true, 2: false},
		},
		"always": {
			target: target{by: alone, unit: "over", always: true}, ours: []float64{-1, 0, 0},
			text: "w: 0 (−1…0) over (target ≤ 0 always): met", hopeless: map[float64]bool{1: false},
		},
		"always, once not, and nothing is no more for being doubled": {
			target: target{by: alone, unit: "over", always: true}, ours: []float64{0, 0, 0.001, 0, 0},
			text: "w: 0 (0…0.001) over (target ≤ 0 always): missed", hopeless: map[float64]bool{1: true, 2: true, 1000: true},
		},
		"always at least": {
			target: target{by: alone, unit: "x", bound: 2, always: true, atLeast: true}, ours: []float64{3, 1, 3},
			text: "w: 3 (1…3) x (target ≥ 2 always): missed", hopeless: map[float64]bool{1: true, 2: false},
		},
		"not a number": {
			target: target{rival: "ants", bound: 1}, ours: []float64{0}, theirs: []float64{0},
			text: "w: NaN (NaN…NaN) × ants (target ≤ 1): missed", hopeless: map[float64]bool{1: true, 1e9: true},
		},
		"not measured": {
			target: target{rival: "ants", bound: 1}, ours: []float64{1},
			text: "w: – (target ≤ 1): not measured",
		},
		"nor this": {
			target: target{rival: "ants", bound: 1}, theirs: []float64{1},
			text: "w: – (target ≤ 1): not measured",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.target.what, c.target.workload, c.target.figure, c.target.ours = "w", "w", perJob, "ours"
			rounds := map[string][]float64{"ours": c.ours}
			if c.theirs != nil {
				rounds[c.target.rival] = c.theirs
			}
			v := c.target.judge([]result{found("v", perJob, nil), found("w", perJob, rounds)})
			assert.Equal(t, c.text, v.String())
			for factor, want := range c.hopeless {
				assert.Equal(t, want, v.hopeless(factor), "%v times", factor)
			}
		})
	}
}

// A count of allocations is a whole number, and what the runtime allocates besides is not held against it; bytes are as they are.
func TestAllocationsHaveSlack(t *testing.T) {
	for f, want := range map[figure]map[float64]bool{
		allocs:    {1: true, 1.049: true, 1.06: false, 2: false},
		allocated: {1: true, 1.049: false},
	} {
		for value, met := range want {
			one := target{workload: "w", figure: f, ours: "ours", by: alone, bound: 1}
			v := one.judge([]result{found("w", f, map[string][]float64{"ours": {value}})})
			assert.Equal(t, met, v.met(), "%v %s", value, f)
			assert.Equal(t, !met, v.hopeless(1), "%v %s", value, f)
		}
	}
}

func TestCheck(t *testing.T) {
	one := func(value float64) verdict {
		fast := target{what: "fast enough", workload: "w", figure: perJob, ours: "ours", constant: 1, named: "that", bound: 0.5}
		return fast.judge([]result{found("w", perJob, map[string][]float64{"ours": {value}})})
	}
	unmeasured := verdict{target: target{what: "unknown"}}

	assert.NoError(t, check([]verdict{one(0.5), unmeasured, one(1)}, 2))
	err := check([]verdict{one(0.5), unmeasured, one(1.5), one(2)}, 2)
	require.ErrorIs(t, err, errTargets)
	assert.Equal(t, "targets missed by more than 2 times, or that of what is known, in every round:\n"+
		"  fast enough: 1.50 × that (target ≤ 0.5): missed\n  fast enough: 2 × that (target ≤ 0.5): missed", err.Error())
	known := func(value float64) verdict {
		v := one(value)
		v.target = v.trailing(3)
		return v
	}
	assert.NoError(t, check([]verdict{known(3)}, 2), "six times the bound, of which three are known")
	require.ErrorIs(t, check([]verdict{known(3.1)}, 2), errTargets)
	for _, nothing := range [][]verdict{nil, {unmeasured}} {
		require.ErrorIs(t, check(nothing, 2), errTargets)
	}
}

// Each target is about contenders that are measured in its workload, and a figure of it: at no scale is one never measured.
func TestTargetsAreMeasured(t *testing.T) {
	for name, s := range map[string]*scale{"full": scaleOf(false), "quick": scaleOf(true)} {
		all := s.workloads()
		titles := make(map[string]bool)
		for _, w := range all {
			assert.False(t, titles[w.title], "%s: two workloads %q", name, w.title)
			titles[w.title] = true
			names := make(map[string]bool)
			for _, e := range w.entrants {
				assert.False(t, names[e.name], "%s: %s: two contenders %q", name, w.title, e.name)
				names[e.name] = true
			}
		}
		for _, target := range s.targets() {
			at := slices.IndexFunc(all, func(w workload) bool { return w.title == target.workload })
			if !assert.GreaterOrEqual(t, at, 0, "%s: %s", name, target.what) {
				continue
			}
			_, err := all[at].entrant(target.ours)
			assert.NoError(t, err, name)
			if target.rival != "" {
				_, err := all[at].entrant(target.rival)
				assert.NoError(t, err, name)
			}
			assert.True(t, slices.ContainsFunc(all[at].columns, func(c column) bool { return c.figure == target.figure }),
				"%s: %s has no %s", name, target.workload, target.figure)
			assert.False(t, math.IsNaN(target.bound))
			assert.Equal(t, target.by != alone, target.rival != "" || target.constant > 0, "%s: %s", name, target.what)
		}
	}
}

// The targets are those that were set, at full scale.
func TestTargets(t *testing.T) {
	var lines []string
	for _, one := range scaleOf(false).targets() {
		v := verdict{target: one}
		against := one.rival + one.named
		if one.by != ratio {
			against = strings.TrimSpace(one.unit + " " + one.rival)
		}
		lines = append(lines, one.what+" | "+v.goal()+" | "+against)
	}
	for _, want := range []string{
		"window of 1,024, 1 submitter | ≤ 0.5 | ants + channel",
		"window of 1,024, 8 submitters | ≤ 0.3 | pond futures",
		"burst of 100,000, 1 submitter | ≤ 0.08 | failsafe-go async",
		"burst of 1,000,000, 8 submitters | ≤ 0.5 | ants + channel",
		"round trip, 1 submitter | ≤ 1.25 | ants + channel",
		"round trip, 8 submitters (dispatcher, one context for all) | ≤ 1.5 | ants + channel",
		"Do, 1 caller | ≤ 0.15 | failsafe-go sync",
		"Do, 8 callers, a call | ≤ 1 | allocations",
		"a job, beyond the caller's closure | ≤ 1 | allocations the closure alone",
		"a job, beyond the caller's closure | ≤ 192 | B the closure alone",
		"an attempt timeout, beyond a job without | ≤ 2 | allocations dispatcher",
		"1,000,000 waiting jobs, each | ≤ 240 | B resident",
		"1,000,000 waiting jobs, goroutines beyond those that run | ≤ 10 always | goroutines",
		"idle with 1,000,000 parked jobs | ≤ 0.1 | % of a core",
		"failing jobs | ≤ 1.1 | the ideal, 390 ms",
		"fan-out of 1 ms, no limits | ≤ 1.1 | raw workers + channel",
		"fan-out of 1 ms | ≤ 1.3 | raw workers + channel",
		"fan-out of 10 ms, no limits | ≤ 1.1 | raw workers + channel",
		"fan-out of 10 ms | ≤ 1.1 | raw workers + channel",
		"limit of 10,000/s | ≥ 99 | % of rate × time + burst",
		"limit of 100/s, worst span | ≤ 0 always | over",
		"1,000,000 pending retries | ≤ 0.7 | container/heap",
		"1,000,000 pending retries, a push and a pop | ≤ 0 | allocations",
		"10,000 keys | ≤ 2 | dispatcher, 1 key",
		"1,000,000 queued | ≤ 2 | dispatcher, 1 key",
		"burst of 100,000, 8 submitters (dispatcher, GOMAXPROCS 4) | ≤ 2 | dispatcher, GOMAXPROCS 2",
		"Do, 1 caller (dispatcher, GOMAXPROCS 1) | ≤ 2 | dispatcher, GOMAXPROCS 2",
	} {
		assert.Contains(t, lines, want)
	}
}
