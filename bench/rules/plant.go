package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// planter plants bugs, several at a time, and says what became of them.
type planter struct {
	root    string        // immutable
	workers int           // immutable
	timeout time.Duration // of one run of a test; immutable
	out     io.Writer     // one line for each bug, as they come; only plant writes

	mu    sync.Mutex
	sound map[test]func() (testRun, error) // guarded by mu: the runs without any bug
}

// outcome is what became of one bug.
type outcome struct {
	patch  patch
	killed bool
	what   string // in words
	detail string // the output of the step that went wrong; empty when there is nothing to see
	took   time.Duration
}

// plantAll is -plant: the bugs that words name, or all.
func plantAll(ctx context.Context, b *book, words []string, out io.Writer) error {
	chosen, err := choose(b.patches, words)
	if err != nil {
		return err
	}
	faults := b.faults
	if len(words) > 0 {
		faults = nil // of others
	} else if len(chosen) == 0 {
		return errors.New("there is nothing to plant in " + plantedDir)
	}
	for _, fault := range faults {
		say(out, "%s\n", fault)
	}
	began := time.Now()
	p := planter{root: b.root, workers: workers, timeout: testTimeout, out: out}
	outcomes, err := p.plant(ctx, chosen)
	if err != nil {
		return err
	}
	var alive []string
	for _, o := range outcomes {
		if !o.killed {
			alive = append(alive, o.patch.name)
		}
	}
	say(out, "%d bugs planted, %d killed (%.0f s)\n", len(outcomes), len(outcomes)-len(alive), time.Since(began).Seconds())
	switch {
	case len(alive) > 0:
		return fmt.Errorf("not killed: %s", strings.Join(alive, ", "))
	case len(faults) > 0:
		return fmt.Errorf("%d patches cannot be read", len(faults))
	default:
		return nil
	}
}

// plant tries each bug, and returns once all are tried, in the order in which they were. An error means that the tree
// does not build as it is, or that the work could not be done; what a bug does is no error.
func (p *planter) plant(ctx context.Context, bugs []patch) ([]outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan patch, len(bugs))
	for _, bug := range bugs {
		todo <- bug
	}
	close(todo)
	done := make(chan outcome, len(bugs))

	beds, err := p.makeBeds(ctx, min(p.workers, len(bugs)))
	defer func() {
		for _, b := range beds {
			_ = b.remove() // what is left over in the temporary directory harms nobody
		}
	}()
	if err != nil {
		return nil, err
	}
	var working sync.WaitGroup
	for _, b := range beds {
		working.Go(func() {
			for bug := range todo {
				o, err := p.try(ctx, b, bug)
				if err != nil {
					cancel(fmt.Errorf("%s: %w", bug.name, err)) // the bed is not to be trusted, the machine neither
					return
				}
				done <- o
			}
		})
	}
	go func() {
		working.Wait()
		close(done)
	}()
	var outcomes []outcome
	for o := range done {
		outcomes = append(outcomes, o)
		p.print(o, len(outcomes), len(bugs))
	}
	return outcomes, context.Cause(ctx)
}

// makeBeds returns n copies of the tree, and sees that it builds before there is any bug in it. It returns those that it
// made even if it fails.
func (p *planter) makeBeds(ctx context.Context, n int) (beds []*bed, err error) {
	for range n {
		b, err := newBed(p.root)
		if err != nil {
			return beds, err
		}
		beds = append(beds, b)
	}
	if n == 0 {
		return nil, nil
	}
	output, ok, err := beds[0].build(ctx, "./...")
	if err == nil && !ok {
		err = fmt.Errorf("without any bug, the tree does not build:\n%s", output)
	}
	return beds, err
}

// try plants one bug in b, and leaves b as it was.
func (p *planter) try(ctx context.Context, b *bed, bug patch) (o outcome, err error) {
	began := time.Now()
	o.patch = bug
	defer func() { o.took = time.Since(began) }()

	without, err := p.withoutBug(ctx, b, bug.test)
	if err != nil {
		return o, err
	}
	if without.ending != passed {
		o.what, o.detail = fmt.Sprintf("without the bug the test %s", without.ending), without.output
		return o, nil
	}
	output, ok, err := b.apply(ctx, &bug)
	if err != nil {
		return o, err
	}
	if !ok {
		o.what, o.detail = "the patch does not apply", output
		return o, nil
	}
	if err := p.judgeBug(ctx, b, &o); err != nil {
		return o, err
	}
	output, ok, err = b.apply(ctx, &bug, "-R")
	if err == nil && !ok {
		err = fmt.Errorf("cannot be taken out again: %s", output)
	}
	return o, err
}

// judgeBug builds what has a bug in it and runs the test.
func (p *planter) judgeBug(ctx context.Context, b *bed, o *outcome) error {
	output, ok, err := b.build(ctx, o.patch.touched()...)
	if err != nil {
		return err
	}
	if !ok {
		o.what, o.detail = "does not build, or vet", output
		return nil
	}
	with, err := b.test(ctx, o.patch.test, p.timeout)
	if err != nil {
		return err
	}
	if with.ending == asserted {
		o.killed, o.what = true, "killed at "+with.place
		return nil
	}
	o.what = fmt.Sprintf("with the bug the test %s", with.ending)
	if with.ending != passed {
		o.detail = with.output
	}
	return nil
}

// withoutBug runs a test in b, which is sound, once for all bugs that the test is to kill. Of workers that want the same
// one all wait, also the one whose bed it runs in, so no bug comes into that meanwhile.
func (p *planter) withoutBug(ctx context.Context, b *bed, t test) (testRun, error) {
	p.mu.Lock()
	if p.sound == nil {
		p.sound = make(map[test]func() (testRun, error))
	}
	if p.sound[t] == nil {
		p.sound[t] = sync.OnceValues(func() (testRun, error) { return b.test(ctx, t, p.timeout) })
	}
	once := p.sound[t]
	p.mu.Unlock()
	return once()
}

// detailLines is how much of an output is shown.
const detailLines = 20

func (p *planter) print(o outcome, n, of int) {
	verdict := o.what
	if !o.killed {
		verdict = "NOT KILLED: " + verdict
	}
	say(p.out, "[%2d/%d] %-7s %v: %s (%.1f s)\n", n, of, o.patch.name, o.patch.test, verdict, o.took.Seconds())
	if o.detail == "" {
		return
	}
	lines := strings.Split(strings.TrimSpace(o.detail), "\n")
	if hidden := len(lines) - detailLines; hidden > 0 {
		lines = append(lines[:detailLines], fmt.Sprintf("… and %d lines more", hidden))
	}
	for _, line := range lines {
		say(p.out, "        %s\n", line)
	}
}
