// Command soak sends millions of jobs, with every kind of fault, through dispatchers that are closed and stopped under them, and
// looks whether any is lost and whether anything grows. See soak -h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/toller-go/toller/bench/internal/machine"
)

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // a job was lost or resolved twice, something grew, or another promise was broken
	exitUsage = 2 // bad flags: nothing was done
)

const help = `usage: go run ./bench/soak [-jobs N] [-seed N] [-o FILE] [-plant NAME]

Hands jobs to dispatchers, in real time: by Submit, TrySubmit, Go, Do and Map, from several goroutines, each with a window of
jobs under way. They succeed, fail, are throttled, panic, end their goroutine, run into deadlines, are canceled before, while and
between they run, and hand in others; their keys come and go. One dispatcher lives as long as the run. The others are closed or
stopped again and again, some with a context that has ended, with jobs in every state, and new ones take their place, some under the
same name. Limits, workers, circuits and pauses are changed meanwhile.

Every accepted job must be resolved, once, by a reason that it can have, and before its dispatcher's Close has returned; no
function may run beside itself, after its job is over, or beyond the workers. After each tenth of the jobs everything is
awaited and measured: heap after garbage collection, goroutines, open descriptors. None of them may be more than 5 % higher
at the end than after the first tenth.

  -jobs N      how many; 10000000 by default, which takes some minutes
  -seed N      which jobs there are is drawn from it; how they interleave is not; 1 by default
  -o FILE      where the table goes, in Markdown; - for standard output, the default
  -plant NAME  do something wrong on purpose, which must be found: lost (a future is never settled), twice (a job is said to be
               settled twice), heap, goroutine or descriptor (one is kept for each job, or dispatcher)

Progress goes to standard error. Exit code: 0; 1 if a promise was broken; 2 for bad flags.
`

// options are what the flags say.
type options struct {
	jobs  int64
	seed  uint64
	out   string
	plant string
}

// plants are what -plant takes.
var plants = []string{"lost", "twice", "heap", "goroutine", "descriptor"}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		return exitUsage
	}
	if err := play(o, "go run ./bench/soak "+strings.Join(args, " "), stdout, stderr); err != nil {
		say(stderr, "soak: %v\n", err)
		return exitBad
	}
	return exitGood
}

// play soaks, and reports.
func play(o options, command string, stdout, stderr io.Writer) error {
	r := report{command: strings.TrimSpace(command), began: time.Now()}
	r.loads[0] = machine.LoadAverage()
	s := newSoak(o)
	err := s.play(func(f figures) {
		say(stderr, "%d jobs, %v: heap %s, %d goroutines\n", f.jobs, f.took.Round(time.Millisecond), kilobytes(f.heap), f.goroutines)
	})
	r.took = time.Since(r.began)
	r.loads[1] = machine.LoadAverage()
	r.read(s)
	r.err = err
	if o.out == "-" {
		return errors.Join(err, r.writeTo(stdout))
	}
	file, fault := os.Create(o.out)
	if fault != nil {
		return errors.Join(err, fault)
	}
	return errors.Join(err, r.writeTo(file), file.Close())
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(flags.Output(), "%s", help) }
	flags.Int64Var(&o.jobs, "jobs", 10_000_000, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.out, "o", "-", "")
	flags.StringVar(&o.plant, "plant", "", "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var fault error
	switch {
	case flags.NArg() > 0:
		fault = fmt.Errorf("there are no arguments besides flags: %q", flags.Args())
	case o.jobs < leastJobs:
		fault = fmt.Errorf("-jobs is %d, but must be at least %d", o.jobs, leastJobs)
	case o.plant != "" && !slices.Contains(plants, o.plant):
		fault = fmt.Errorf("-plant is %q, but must be one of %s", o.plant, strings.Join(plants, ", "))
	}
	if fault != nil {
		say(stderr, "soak: %v\n", fault)
	}
	return o, fault
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
