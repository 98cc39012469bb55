// Command compare runs the same work through the dispatcher and its peers, in one run on one machine, and writes down how they
// compare and whether the dispatcher is as fast as it promises. See compare -h.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/toller-go/toller/bench/internal/machine"
	"github.com/toller-go/toller/bench/internal/tree"
)

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // it failed, the work was not the same, or a target was missed that was to be checked
	exitUsage = 2 // bad flags: nothing was done
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	if len(args) > 0 && args[0] == measureCommand {
		err = measureOne(ctx, args[1:], stdout)
	} else {
		var o options
		switch o, err = parse(args, stderr); {
		case errors.Is(err, flag.ErrHelp):
			return exitGood
		case err != nil:
			return exitUsage
		}
		err = compare(ctx, o, "go run ./bench/compare "+quoted(args), stdout, stderr)
	}
	if err != nil {
		say(stderr, "compare: %v\n", err)
		return exitBad
	}
	return exitGood
}

// compare measures, reports and checks.
func compare(ctx context.Context, o options, command string, stdout, stderr io.Writer) error {
	s := scaleOf(o.quick)
	chosen, err := s.choose(o)
	if err != nil {
		return err
	}
	out, err := o.destination() // before anything is measured in vain
	if err != nil {
		return err
	}
	r := report{command: strings.TrimSpace(command), began: time.Now(), procs: o.cpus, rounds: o.rounds, quick: o.quick}
	r.loads[0] = machine.LoadAverage()
	measure := func(ctx context.Context, w workload, e entrant) (sample, error) {
		return apart(ctx, o, w, e)
	}
	for i, w := range chosen {
		result, err := interleave(ctx, w, o.rounds, measure, func(round int, took time.Duration) {
			say(stderr, "%d of %d: %s: round %d of %d took %v\n", i+1, len(chosen), w.title, round, o.rounds, took.Round(time.Millisecond))
		})
		if err != nil {
			return err
		}
		r.results = append(r.results, result)
	}
	r.took = time.Since(r.began)
	r.loads[1] = machine.LoadAverage()
	for _, t := range s.targets() {
		r.targets = append(r.targets, t.judge(r.results))
	}

	var text bytes.Buffer
	if err := r.writeTo(&text); err != nil {
		return err
	}
	if out == "-" {
		_, err = stdout.Write(text.Bytes())
	} else {
		err = os.WriteFile(out, text.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	if o.check > 0 {
		return check(r.targets, o.check)
	}
	return nil
}

// destination is the file that the report goes to, - for standard output.
func (o *options) destination() (string, error) {
	if o.out != "" {
		return o.out, nil
	}
	root, err := tree.Root()
	return filepath.Join(root, "bench", "RESULTS.md"), err
}

// scaleOf is the scale of a run.
func scaleOf(quick bool) *scale {
	s := fullScale()
	if quick {
		s = quickScale()
	}
	return &s
}

// quoted writes arguments as a shell takes them.
func quoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'`$&|;<>()*?[]{}\\~#!^") {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
