// Command sim lets chance loose on the scheduler, and an independent oracle judge it. See sim -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // a rule was broken, or a planted bug could not be tried
	exitUsage = 2 // bad flags: nothing was done
)

const help = `usage: go run ./bench/sim [flags]
       go run ./bench/sim -planted [S-B3 L1-2 …]

Plays random stories to the scheduler's core: random worlds (limits of every kind, shared ones, breakers, retries, budgets, groups,
priorities, keys with rules of their own), jobs that succeed, fail, are throttled, hang, ignore their cancellation; cancels,
changes of limits and workers, corrections told twice, stale observations, circuits by hand, pauses, stops; completions that are
late, told twice, or of attempts that never were; time that stands still, jumps, or runs backwards. After every turn an oracle,
bench/sim/oracle, which knows scheduler/SEMANTICS.md and none of the code, says which rule was broken. In the end every job must be
over once, every count zero and every key forgotten.

What breaks a rule is shrunk, and printed as a transcript: put it into scheduler/testdata, after go test ./scheduler -run
Transcripts -update.

  -seed N      play the story of this seed only; -v prints it
  -first N     the first seed; 1 by default
  -seeds N     how many stories; 5000 by default, without bound with -for or -steps
  -for D       how long
  -steps N     how many steps (events stepped, or turns without one)
  -turns N     how many turns a story has at most; 150 by default
  -workers N   how many are played at a time; by default as many as there are CPUs
  -table       print what was covered: event × state of job or key × kind of rule, and which cells were never hit
  -enough N    how often -table wants a cell hit; 10000 by default
  -planted     plant the bugs of scheduler/planted that are in the core, one at a time, and see which the simulation finds in the
               stories of -seeds; prints each, and fails only if one cannot be built
  -v           with -seed, print the story; otherwise, say every ten seconds how far it is

Exit code: 0; 1 if a rule was broken; 2 for bad flags.
`

// options are what the flags say.
type options struct {
	only, first, seeds uint64
	span               time.Duration
	steps              int64
	turns, workers     int
	table, planted     bool
	enough             uint64
	loud               bool
	names              []string // of planted bugs
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		return exitUsage
	case o.planted:
		err = plantAll(ctx, o, stdout)
	case o.only != 0:
		err = playOne(o, stdout)
	default:
		err = simulate(ctx, o, stdout)
	}
	if err != nil {
		say(stderr, "sim: %v\n", err)
		return exitBad
	}
	return exitGood
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(flags.Output(), "%s", help) }
	flags.Uint64Var(&o.only, "seed", 0, "")
	flags.Uint64Var(&o.first, "first", 1, "")
	flags.Uint64Var(&o.seeds, "seeds", 0, "")
	flags.DurationVar(&o.span, "for", 0, "")
	flags.Int64Var(&o.steps, "steps", 0, "")
	flags.IntVar(&o.turns, "turns", 150, "")
	flags.IntVar(&o.workers, "workers", runtime.NumCPU(), "")
	flags.BoolVar(&o.table, "table", false, "")
	flags.Uint64Var(&o.enough, "enough", 10_000, "")
	flags.BoolVar(&o.planted, "planted", false, "")
	flags.BoolVar(&o.loud, "v", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.names = flags.Args()
	var fault error
	switch {
	case len(o.names) > 0 && !o.planted:
		fault = fmt.Errorf("arguments %q are for -planted", o.names)
	case o.turns < 10:
		fault = fmt.Errorf("-turns %d must be at least 10", o.turns)
	case o.workers < 1:
		fault = fmt.Errorf("-workers %d must be positive", o.workers)
	case o.span < 0 || o.steps < 0:
		fault = errors.New("-for and -steps must not be negative")
	}
	if fault != nil {
		say(stderr, "sim: %v\n", fault)
		return o, fault
	}
	if o.seeds == 0 && o.span == 0 && o.steps == 0 {
		o.seeds = 5000
	}
	return o, nil
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
