package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// target is one promise: a figure of ours, in a workload, against a rival's of the same rounds, or against a constant, or alone.
type target struct {
	what     string // in words
	workload string // its title
	figure   figure
	ours     string // contender
	by       comparison
	rival    string  // contender; empty: constant
	constant float64 // with its name
	named    string
	unit     string // of what comes out, when that is no ratio
	bound    float64
	atLeast  bool // the bound is the least, not the most
	always   bool // every round must keep it, not only the median

	trails float64 // so many times the bound is known to be taken, and no alarm; zero: the target is met, or nearly
}

// trailing is a target that is known to be missed, by so many times at most.
func (t target) trailing(times float64) target {
	t.trails = times
	return t
}

// comparison is how two figures become one.
type comparison uint8

const (
	ratio      comparison = iota // ours / theirs
	difference                   // ours - theirs
	alone                        // ours
)

// verdict is a target and what was measured.
type verdict struct {
	target
	measured bool // if not, there is nothing else
	ours     spread
	theirs   spread // unless alone
	got      spread // what came out
}

// judge works a target out. The figures are compared round by round, and the median is that of the outcomes: from one round to
// the next the machine may drift.
func (t *target) judge(results []result) verdict {
	v := verdict{target: *t}
	at := slices.IndexFunc(results, func(r result) bool { return r.workload.title == t.workload })
	if at < 0 {
		return v
	}
	ours, theirs := results[at].values(t.ours, t.figure), results[at].values(t.rival, t.figure)
	if t.rival == "" {
		theirs = slices.Repeat([]float64{t.constant}, len(ours))
	}
	if len(ours) == 0 || len(theirs) == 0 {
		return v
	}
	v.measured, v.ours, v.theirs = true, spreadOf(ours), spreadOf(theirs)
	v.got = spreadOf(pairs(ours, theirs, func(ours, theirs float64) float64 {
		switch t.by {
		case ratio:
			return ours / theirs
		case difference:
			return ours - theirs
		default:
			return ours
		}
	}))
	return v
}

// slack is what a count of allocations may be above its bound: the runtime allocates now and then, too.
const slack = 0.05

// met reports whether the target is met.
func (v *verdict) met() bool {
	if v.always {
		return v.keeps(v.worst(), 1)
	}
	return v.keeps(v.got.median, 1)
}

// hopeless reports whether the target is missed by more than the factor, and more than what is known, whichever round one looks
// at. One round alone says little where others use the machine, as they do in CI; what must hold always, must.
func (v *verdict) hopeless(factor float64) bool {
	factor *= cmp.Or(v.trails, 1)
	if v.always {
		return !v.keeps(v.worst(), factor)
	}
	best := v.got.least
	if v.atLeast {
		best = v.got.most
	}
	return !v.keeps(best, factor)
}

// worst is the outcome of the worst round.
func (v *verdict) worst() float64 {
	if v.atLeast {
		return v.got.least
	}
	return v.got.most
}

// keeps reports whether a value is within the bound when that is so many times as wide. Zero has no width.
func (v *verdict) keeps(value, factor float64) bool {
	if v.figure == allocs {
		value -= slack
	}
	switch {
	case math.IsNaN(value):
		return false
	case v.atLeast:
		return value >= v.bound/factor
	default:
		return value <= v.bound*factor
	}
}

// outcome is what came out, as in "0.43 × ants + channel".
func (v *verdict) outcome() string {
	if !v.measured {
		return "–"
	}
	switch {
	case v.by != ratio:
		return v.got.String() + " " + v.unit
	case v.rival == "":
		return v.got.String() + " × " + v.named
	default:
		return v.got.String() + " × " + v.rival
	}
}

// goal is the bound.
func (v *verdict) goal() string {
	sign := "≤ "
	if v.atLeast {
		sign = "≥ "
	}
	if v.always {
		return fmt.Sprint(sign, v.bound, " always")
	}
	return fmt.Sprint(sign, v.bound)
}

// word says how it stands.
func (v *verdict) word() string {
	switch {
	case !v.measured:
		return "not measured"
	case v.met():
		return "met"
	default:
		return "**missed**"
	}
}

// String is a sentence, as in "window of 1,024, 8 submitters: 0.43 × ants + channel (target ≤ 0.5): met".
func (v *verdict) String() string {
	return fmt.Sprintf("%s: %s (target %s): %s", v.what, v.outcome(), v.goal(), strings.Trim(v.word(), "*"))
}

// errTargets: what was promised is not so.
var errTargets = errors.New("targets missed")

// check returns an error if a target is missed by more than the factor, and more than what is known, in every round, and if none
// was measured.
func check(verdicts []verdict, factor float64) error {
	var missed []string
	measured := 0
	for i := range verdicts {
		v := &verdicts[i]
		if !v.measured {
			continue
		}
		measured++
		if v.hopeless(factor) {
			missed = append(missed, v.String())
		}
	}
	switch {
	case measured == 0:
		return fmt.Errorf("%w: none was measured, so there is nothing to check", errTargets)
	case len(missed) > 0:
		return fmt.Errorf("%w by more than %s times, or that of what is known, in every round:\n  %s", errTargets, number(factor), strings.Join(missed, "\n  "))
	}
	return nil
}
