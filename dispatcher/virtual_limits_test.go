package dispatcher_test

import (
	"cmp"
	"slices"
	"time"
)

func costOf(j *virtualJob, limit int) float64 {
	if limit < len(j.costs) {
		return j.costs[limit]
	}
	return 0
}

// charge is what an attempt took of a limit when it began.
type charge struct {
	at           time.Duration
	cost, beyond float64 // beyond: what it cost more than was known at the start
}

// judgeLimit looks at every window between two starts: no more was taken in it than the burst and what came in, and once more what a
// single one costs that is above the burst (S-L3). costs says what attempts of a job cost, and whether they are of that limit.
func (w *virtualWorld) judgeLimit(l *virtualLimit, costs func(*virtualJob) (float64, bool)) {
	byKey := make(map[string][]charge)
	oversized := 0.0
	for _, j := range w.all() {
		cost, ok := costs(j)
		if !ok {
			continue
		}
		key := whole
		if l.perKey {
			key = j.key
		}
		if cost > l.burst.least() {
			oversized = max(oversized, cost)
		}
		for _, r := range j.runs {
			c := charge{at: r.from, cost: cost}
			if l.settled && r.settled {
				c.cost, c.beyond = min(cost, cost*j.settles), max(0, cost*j.settles-cost)
			}
			byKey[key] = append(byKey[key], c)
		}
	}
	for key, charges := range byKey {
		slices.SortFunc(charges, func(a, b charge) int { return cmp.Compare(a.at, b.at) })
		for i := range charges {
			w.judgeWindows(l, key, charges[:i+1], oversized)
		}
	}
}

// judgeWindows looks at the windows that end with the last of charges.
func (w *virtualWorld) judgeWindows(l *virtualLimit, key string, charges []charge, oversized float64) {
	const tolerance = 1e-3 // of the arithmetic here
	end := charges[len(charges)-1].at
	income, taken := l.rate.sum(end), 0.0
	for _, c := range slices.Backward(charges) {
		taken += c.cost
		if c.at < end {
			taken += c.beyond
		}
		if allowed := l.burst.most(c.at, end) + income - l.rate.sum(c.at) + oversized; taken > allowed+tolerance {
			w.wrong("limit %q, key %q: %v was taken from %v to %v, of %v (S-L3)", l.name, key, taken, c.at, end, allowed)
			return
		}
		if allowed := l.rate.most(c.at, end) * l.span.Seconds(); l.sliding && end-c.at <= l.span && taken > allowed+tolerance {
			w.wrong("limit %q, key %q: %v was taken from %v to %v, of at most %v in any %v (S-L3)", l.name, key, taken, c.at, end, allowed, l.span)
			return
		}
	}
}
