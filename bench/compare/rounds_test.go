package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// abc is a workload of three.
var abc = workload{title: "abc", entrants: []entrant{{name: "a"}, {name: "b"}, {name: "c"}}}

// All in turn in each round, another one first each time; each sample in its place.
func TestInterleave(t *testing.T) {
	var turns string
	var rounds []int
	r, err := interleave(t.Context(), abc, 4, func(_ context.Context, w workload, e entrant) (sample, error) {
		assert.Equal(t, "abc", w.title)
		turns += e.name
		return sample{Work: tally{1, 2}, Figures: map[figure]float64{perJob: float64(len(turns))}}, nil
	}, func(round int, _ time.Duration) { rounds = append(rounds, round) })
	require.NoError(t, err)
	assert.Equal(t, "abc"+"bca"+"cab"+"abc", turns)
	assert.Equal(t, []int{1, 2, 3, 4}, rounds)
	assert.Equal(t, []float64{1, 6, 8, 10}, r.values("a", perJob))
	assert.Equal(t, []float64{2, 4, 9, 11}, r.values("b", perJob))
	assert.Empty(t, r.values("a", allocs))
	assert.Empty(t, r.values("d", perJob))
}

// Whoever has done other work than the first is named, whichever round it was.
func TestInterleaveComparesTheWork(t *testing.T) {
	for name, other := range map[string]tally{"count": {9, 45}, "sum": {10, 44}} {
		turn := 0
		_, err := interleave(t.Context(), abc, 2, func(context.Context, workload, entrant) (sample, error) {
			if turn++; turn == 5 { // c, in the second round
				return sample{Work: other}, nil
			}
			return sample{Work: tally{10, 45}}, nil
		}, func(int, time.Duration) {})
		require.ErrorIs(t, err, errWork, name)
		assert.ErrorContains(t, err, "abc: c in round 2, compared to a in the first", name)
	}
}

func TestInterleaveFails(t *testing.T) {
	errBroken := errors.New("broken")
	_, err := interleave(t.Context(), abc, 2, func(_ context.Context, _ workload, e entrant) (sample, error) {
		if e.name == "b" {
			return sample{}, errBroken
		}
		return sample{}, nil
	}, func(int, time.Duration) { t.Error("no round was completed") })
	require.ErrorIs(t, err, errBroken)
	assert.ErrorContains(t, err, "abc: b: round 1: broken")
}
