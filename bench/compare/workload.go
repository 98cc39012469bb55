package main

import (
	"context"
	"fmt"
)

// workload is one comparison: the same work, done by each of its entrants in turn.
type workload struct {
	title    string
	about    string // one or two sentences: what is done, and what to know of the figures
	columns  []column
	entrants []entrant
}

// entrant is a contender in one workload.
type entrant struct {
	name    string
	procs   int // GOMAXPROCS; zero for that of the run
	measure func(ctx context.Context) (sample, error)
}

// sample is what one measurement has found.
type sample struct {
	Work    tally
	Figures map[figure]float64
	Procs   int // the GOMAXPROCS of the process that measured, if it was one of its own
}

// column is a figure in the table of a workload.
type column struct {
	figure   figure
	title    string
	spread   bool // with the least and the greatest
	multiple bool // and as a multiple of the first entrant's
}

// entrant returns the one of this name.
func (w *workload) entrant(name string) (entrant, error) {
	for _, e := range w.entrants {
		if e.name == name {
			return e, nil
		}
	}
	return entrant{}, fmt.Errorf("%s: no contender %q", w.title, name)
}

// plural is "1 submitter" or "8 submitters".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", number(float64(n)), what)
}
