package main

import (
	"context"
	"fmt"
	"time"
)

// result is what the measurements of one workload have found.
type result struct {
	workload workload
	samples  map[string][]sample // by contender, one for each round
}

// interleave measures every entrant once in each round, the first of them another one each time, so that what the machine
// does besides falls on all alike. measure measures one; progress is told of each round that is over.
func interleave(
	ctx context.Context, w workload, rounds int,
	measure func(ctx context.Context, w workload, e entrant) (sample, error), progress func(round int, took time.Duration),
) (result, error) {
	r := result{workload: w, samples: make(map[string][]sample)}
	for round := range rounds {
		began := time.Now()
		for i := range w.entrants {
			e := w.entrants[(round+i)%len(w.entrants)]
			s, err := measure(ctx, w, e)
			if err != nil {
				return r, fmt.Errorf("%s: %s: round %d: %w", w.title, e.name, round+1, err)
			}
			r.samples[e.name] = append(r.samples[e.name], s)
		}
		progress(round+1, time.Since(began))
	}
	return r, r.sameWork()
}

// sameWork returns an error unless every measurement was of the same work.
func (r *result) sameWork() error {
	if len(r.workload.entrants) == 0 {
		return nil
	}
	first := r.workload.entrants[0]
	want := r.samples[first.name][0].Work
	for _, e := range r.workload.entrants {
		for round, s := range r.samples[e.name] {
			if err := s.Work.mustBe(want); err != nil {
				return fmt.Errorf("%s: %s in round %d, compared to %s in the first: %w", r.workload.title, e.name, round+1, first.name, err)
			}
		}
	}
	return nil
}

// values returns a figure of a contender, round by round; none if it was not measured.
func (r *result) values(contender string, f figure) []float64 {
	var values []float64
	for _, s := range r.samples[contender] {
		if value, ok := s.Figures[f]; ok {
			values = append(values, value)
		}
	}
	return values
}

// pairs combines a figure of two contenders, round by round.
func pairs(ours, theirs []float64, combine func(ours, theirs float64) float64) []float64 {
	values := make([]float64, min(len(ours), len(theirs)))
	for i := range values {
		values[i] = combine(ours[i], theirs[i])
	}
	return values
}
