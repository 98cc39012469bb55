package main

import (
	"errors"
	"fmt"
	"sync"
)

// contender is one way to run jobs. open gets it ready for an order; what it makes is used by one measurement, and closed.
type contender struct {
	name  string
	procs int // GOMAXPROCS; zero for that of the run
	open  func(o order) (session, error)
}

// order is what is asked of a contender.
type order struct {
	load      load
	workers   int                      // how many jobs run at once, for those who bound it
	task      func(i int) (int, error) // what job i does; its result is never negative
	threshold int                      // how many failures in a row open the breaker, for those who have one
}

// load is how jobs are handed in: each submitter has its share of them, and up to a window of its own handed in and not
// awaited, oldest first. A window of 1 is a round trip, one as large as the share is a burst.
type load struct {
	jobs, window, submitters int
}

// session is a contender at work.
type session struct {
	run   func(jobs int) (tally, error) // hands in that many, at most those of the order, and awaits them
	fill  func() error                  // hands in all jobs of the order, from one submitter, without awaiting any
	drain func() (tally, error)         // awaits what fill has handed in
	end   func() error                  // after which nothing of it runs
}

// tally is the work that was done, by which contenders are seen to have done the same.
type tally struct {
	Count int // jobs that ended as they should
	Sum   int // of their results
}

func (t *tally) add(u tally) {
	t.Count += u.Count
	t.Sum += u.Sum
}

// allOf is the tally of n jobs, the i-th of which returns i.
func allOf(n int) tally { return tally{n, n * (n - 1) / 2} }

// serve makes a session of two functions that hand in one job and await one; H is what stands for a job in between. Where
// the H are kept is allocated, and in memory, before anything is measured.
func serve[H any](o order, submit func(i int) (H, error), await func(H) (int, error), end func() error) session {
	rings := make([][]H, o.load.submitters)
	for s := range rings {
		most := (o.load.jobs + len(rings) - 1) / len(rings)
		rings[s] = make([]H, min(o.load.window, most))
		clear(rings[s]) // touches every page
	}
	return session{
		run: func(jobs int) (tally, error) { return share(rings, jobs, submit, await) },
		fill: func() (err error) {
			for i := range rings[0] {
				if rings[0][i], err = submit(i); err != nil {
					return fmt.Errorf("job %d: %w", i, err)
				}
			}
			return nil
		},
		drain: func() (t tally, err error) {
			for i, h := range rings[0] {
				if err := take(&t, h, await); err != nil {
					return t, fmt.Errorf("job %d: %w", i, err)
				}
			}
			return t, nil
		},
		end: end,
	}
}

// share deals jobs out among submitters, one for each ring, and waits for them.
func share[H any](rings [][]H, jobs int, submit func(int) (H, error), await func(H) (int, error)) (tally, error) {
	tallies, errs := make([]tally, len(rings)), make([]error, len(rings))
	var submitters sync.WaitGroup
	for s, ring := range rings {
		submitters.Go(func() {
			tallies[s], errs[s] = slide(ring, jobs*s/len(rings), jobs*(s+1)/len(rings), submit, await)
		})
	}
	submitters.Wait()
	var all tally
	for _, t := range tallies {
		all.add(t)
	}
	return all, errors.Join(errs...)
}

// slide hands in the jobs from first to before end, with as many not awaited as the ring holds.
func slide[H any](ring []H, first, end int, submit func(int) (H, error), await func(H) (int, error)) (t tally, err error) {
	at := 0 // where in the ring the next job goes, and where the oldest is once the ring is full
	for i := first; i < end; i++ {
		if i-first >= len(ring) {
			if err := take(&t, ring[at], await); err != nil {
				return t, fmt.Errorf("job %d: %w", i-len(ring), err)
			}
		}
		if ring[at], err = submit(i); err != nil {
			return t, fmt.Errorf("job %d: %w", i, err)
		}
		if at++; at == len(ring) {
			at = 0
		}
	}
	left := min(end-first, len(ring))
	if left < len(ring) {
		at = 0
	}
	for i := range left {
		if err := take(&t, ring[(at+i)%len(ring)], await); err != nil {
			return t, fmt.Errorf("job %d: %w", end-left+i, err)
		}
	}
	clear(ring) // or the jobs of this pass would be the garbage of the next
	return t, nil
}

// take awaits one job and counts it.
func take[H any](t *tally, h H, await func(H) (int, error)) error {
	value, err := await(h)
	if err != nil {
		return err
	}
	t.Count++
	t.Sum += value
	return nil
}
