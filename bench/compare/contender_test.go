package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the load, every job is handed in once and awaited once, the oldest of a submitter first, and a submitter has no more
// than its window handed in and not awaited.
func TestServe(t *testing.T) {
	for _, l := range []load{
		{1, 1, 1}, {7, 1, 1}, {7, 3, 1}, {6, 3, 1}, {7, 7, 1}, {7, 9, 1}, {8, 3, 2}, {9, 3, 2}, {9, 9, 2}, {3, 2, 8}, {100, 7, 8}, {100, 1, 8}, {1, 5, 3},
	} {
		handed, awaited := make([]atomic.Int64, l.jobs), make([]atomic.Int64, l.jobs)
		oldest := make([]atomic.Int64, l.submitters) // of each submitter
		submitterOf := func(i int) int {
			for s := range l.submitters {
				if i < l.jobs*(s+1)/l.submitters {
					return s
				}
			}
			return -1
		}
		for s := range l.submitters {
			oldest[s].Store(int64(l.jobs * s / l.submitters))
		}
		submit := func(i int) (int, error) {
			handed[i].Add(1)
			outstanding := i + 1 - int(oldest[submitterOf(i)].Load())
			assert.LessOrEqual(t, outstanding, l.window, "%+v: job %d", l, i)
			return i, nil
		}
		await := func(i int) (int, error) {
			awaited[i].Add(1)
			assert.EqualValues(t, i, oldest[submitterOf(i)].Add(1)-1, "%+v: not the oldest", l)
			return i, nil
		}
		s := serve(order{load: l}, submit, await, nothing)
		done, err := s.run(l.jobs)
		require.NoError(t, err)
		assert.Equal(t, allOf(l.jobs), done, "%+v", l)
		for i := range l.jobs {
			assert.EqualValues(t, 1, handed[i].Load(), "%+v: job %d", l, i)
			assert.EqualValues(t, 1, awaited[i].Load(), "%+v: job %d", l, i)
		}
	}
}

// A window is used to the full: before any of its jobs is awaited, all of them have been handed in.
func TestServeUsesItsWindow(t *testing.T) {
	handed, atFirst := 0, 0
	s := serve(order{load: load{100, 7, 1}}, func(i int) (int, error) { handed++; return i, nil }, func(i int) (int, error) {
		if i == 0 {
			atFirst = handed
		}
		return i, nil
	}, nothing)
	for _, jobs := range []int{100, 7, 8} {
		handed = 0
		_, err := s.run(jobs)
		require.NoError(t, err)
		assert.Equal(t, 7, atFirst)
	}
}

// What has been filled is drained, once.
func TestFillAndDrain(t *testing.T) {
	handed := 0
	s := serve(order{load: load{10, 10, 1}}, func(i int) (int, error) { handed++; return i, nil }, returnItself, nothing)
	require.NoError(t, s.fill())
	assert.Equal(t, 10, handed)
	done, err := s.drain()
	require.NoError(t, err)
	assert.Equal(t, allOf(10), done)
}

// An error of one job is an error of the whole, with its number.
func TestServeFails(t *testing.T) {
	errBroken := errors.New("broken")
	breakAt := func(at int) func(int) (int, error) {
		return func(i int) (int, error) {
			if i == at {
				return 0, errBroken
			}
			return i, nil
		}
	}
	for _, at := range []int{0, 5, 99} {
		for name, s := range map[string]session{
			"submit": serve(order{load: load{100, 7, 1}}, breakAt(at), returnItself, nothing),
			"await":  serve(order{load: load{100, 7, 1}}, returnItself, breakAt(at), nothing),
		} {
			_, err := s.run(100)
			assert.ErrorIs(t, err, errBroken, name)
			assert.ErrorContains(t, err, "job "+number(float64(at))+":", name)
		}
	}
	s := serve(order{load: load{10, 10, 1}}, breakAt(3), returnItself, nothing)
	assert.ErrorIs(t, s.fill(), errBroken)
	s = serve(order{load: load{10, 10, 1}}, returnItself, breakAt(4), nothing)
	require.NoError(t, s.fill())
	_, err := s.drain()
	assert.ErrorIs(t, err, errBroken)
}

// A contender that does not do its work is found out, when it measures and when it gets warm.
func TestRunJobsChecksTheWork(t *testing.T) {
	lazy := contender{name: "lazy", open: func(o order) (session, error) {
		return serve(o, func(i int) (int, error) { return i, nil }, func(i int) (int, error) { return min(i, 90), nil }, nothing), nil
	}}
	o := order{load: load{100, 10, 1}}
	_, err := lazy.runJobs(o, 0)
	assert.ErrorIs(t, err, errWork)
	assert.ErrorContains(t, err, "100 jobs with the sum 4905 instead of 100 with 4950")
	o.load.jobs = 90
	s, err := lazy.runJobs(o, 0)
	require.NoError(t, err)
	assert.Equal(t, allOf(90), s.Work)
	o.load.jobs = 800
	_, err = lazy.runJobs(o, 0)
	assert.ErrorContains(t, err, "100 jobs with", "while it gets warm")
}

// A measurement is repeated until it has taken long enough, and its figures are of a job.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes := 0
		s, err := repeat(1000, 20*time.Millisecond, func() (tally, error) {
			passes++
			time.Sleep(3 * time.Millisecond)
			return tally{1000, 5}, nil
		})
		require.NoError(t, err)
		assert.Equal(t, tally{1000, 5}, s.Work, "of one pass")
		assert.Equal(t, 7, passes)
		assert.InDelta(t, 0.021, s.Figures[elapsed], 0)
		assert.InDelta(t, 3000, s.Figures[perJob], 0)
	})
	errBroken := errors.New("broken")
	_, err := repeat(1000, time.Hour, func() (tally, error) { return tally{}, errBroken })
	assert.ErrorIs(t, err, errBroken)
}

// tinyScale is just enough that every contender does something.
func tinyScale() *scale {
	return &scale{
		roundTrips: 20, window: 2000, calls: 20, bursts: []int{100}, keys: 2000,
		fan:     []fan{{1500, time.Millisecond}, {10, 10 * time.Millisecond}},
		failing: 200, waiting: 600, parked: 20, idleSpan: 10 * time.Millisecond,
		limitRates: []int{1000}, limitSpan: 20 * time.Millisecond, pending: 100, rounds: 1,
	}
}

// Every contender of every workload does the work, the same as the others, and finds the figures of the table. Only
// what is said to be unknown is.
func TestEveryEntrant(t *testing.T) {
	unknown := map[string]bool{"ants + x/time/rate: most over the limit": true, "ants + failsafe-go: most over the limit": true}
	for _, w := range tinyScale().workloads() {
		t.Run(w.title, func(t *testing.T) {
			here := func(ctx context.Context, _ workload, e entrant) (sample, error) { return e.measure(ctx) }
			r, err := interleave(t.Context(), w, 1, here, func(int, time.Duration) {})
			require.NoError(t, err)
			for _, e := range w.entrants {
				for _, c := range w.columns {
					if !unknown[e.name+": "+string(c.figure)] {
						assert.Len(t, r.values(e.name, c.figure), 1, "%s: %s", e.name, c.figure)
					}
				}
			}
			assert.Positive(t, r.samples[w.entrants[0].name][0].Work.Count)
		})
	}
}

// A pool that lets too many run at once, and one that runs jobs too often or too seldom, are found out.
func TestFailingJobsAreChecked(t *testing.T) {
	f := &failingJobs{failures: make([]uint8, 20)}
	for i := range 20 {
		for n := 1; ; n++ {
			value, err := f.run(i)
			if err == nil {
				assert.Equal(t, i, value)
				assert.Equal(t, i%10 == 0, n == 3, "job %d, %d attempts", i, n)
				break
			}
			assert.ErrorIs(t, err, errFlaky)
		}
	}
	require.NoError(t, f.did(20))
	f.runs.Add(1)
	assert.ErrorContains(t, f.did(20), "25 attempts instead of 24")
	f.runs.Add(-1)
	for range failWidth + 1 {
		f.flight.enter()
	}
	assert.ErrorContains(t, f.did(20), "101 jobs at once, where 100 are allowed")
}

// The ideal that the target speaks of.
func TestFailingIdeal(t *testing.T) {
	assert.Equal(t, 390*time.Millisecond, failingIdeal(20_000))
}
