// Command mutants changes the scheduler's code in small ways, one at a time, and says which changes its tests do not notice. See
// mutants -h.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toller-go/toller/bench/internal/tree"
)

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // the score is below -least, or the work could not be done
	exitUsage = 2 // bad flags: nothing was done
)

const help = `usage: go run ./bench/mutants [flags] [WORD …]

Changes one thing in the code: a comparison's boundary or sense, an operation, a constant by one, a condition; or removes a call,
an assignment, a break; or returns nothing of worth. Then it runs the tests of the package with it (go test -short -overlay, the
tree is left alone), those of policy and of scheduler for a mutant of policy. With WORDs, only mutants whose file, line or change
contains one of them.

  -packages P,Q  ./policy and ./scheduler by default; comma-separated, relative to the root
  -sample N      so many, chosen by -seed; by default all
  -seed N        1 by default
  -skip N        leave out the first N of the sample, which have been tried before
  -for D         stop after that long, and say how far it came
  -timeout D     of one run of tests; 60 s by default. A mutant that takes longer counts as killed
  -workers N     how many at a time; 2 by default
  -least S       fail if the score, in percent, is below; 0 by default
  -list          only list them

A mutant is killed by a test that fails, or by time; it is no mutant if it does not compile. Survivors are listed. Those in
bench/mutants/equivalent.txt, with the reason why no test could tell them from the code, are left out of the score.
`

//go:embed equivalent.txt
var equivalentText string

// options are what the flags say.
type options struct {
	packages      []string
	sample, skip  int
	seed          uint64
	span, timeout time.Duration
	workers       int
	least         float64
	list          bool
	words         []string
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
	}
	if err := o.work(ctx, stdout); err != nil {
		say(stderr, "mutants: %v\n", err)
		return exitBad
	}
	return exitGood
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(flags.Output(), "%s", help) }
	packages := flags.String("packages", "policy,scheduler", "")
	flags.IntVar(&o.sample, "sample", 0, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.IntVar(&o.skip, "skip", 0, "")
	flags.DurationVar(&o.span, "for", 0, "")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "")
	flags.IntVar(&o.workers, "workers", 2, "")
	flags.Float64Var(&o.least, "least", 0, "")
	flags.BoolVar(&o.list, "list", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for pkg := range strings.SplitSeq(*packages, ",") {
		o.packages = append(o.packages, filepath.ToSlash(filepath.Clean(pkg)))
	}
	o.words = flags.Args()
	if o.sample < 0 || o.skip < 0 || o.workers < 1 || o.timeout <= 0 || o.span < 0 {
		err := errors.New("-sample, -skip and -for must not be negative, -workers and -timeout must be positive")
		say(stderr, "mutants: %v\n", err)
		return o, err
	}
	return o, nil
}

// choose returns the mutants to try, in order.
func (o *options) choose(root string) ([]mutant, error) {
	var all []mutant
	for _, pkg := range o.packages {
		found, err := mutantsOf(root, pkg)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	all = slices.DeleteFunc(all, func(m mutant) bool {
		return len(o.words) > 0 && !slices.ContainsFunc(o.words, func(w string) bool { return strings.Contains(m.String(), w) })
	})
	if o.sample > 0 {
		r := rand.New(rand.NewPCG(o.seed, 0))
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		all = all[:min(o.sample, len(all))]
	}
	return all[min(o.skip, len(all)):], nil
}

func (o *options) work(ctx context.Context, out io.Writer) error {
	root, err := tree.Root()
	if err != nil {
		return err
	}
	chosen, err := o.choose(root)
	if err != nil {
		return err
	}
	if o.list {
		for i := range chosen {
			say(out, "%v\n", &chosen[i])
		}
		say(out, "%d mutants\n", len(chosen))
		return nil
	}
	excused, err := readEquivalent(equivalentText)
	if err != nil {
		return err
	}
	t := trial{root: root, o: o, out: out, began: time.Now()}
	verdicts, err := t.run(ctx, chosen)
	if err != nil {
		return err
	}
	return o.judge(chosen, verdicts, excused, out)
}

// judge lists the survivors, and counts.
func (o *options) judge(chosen []mutant, verdicts []verdict, excused map[string]string, out io.Writer) error {
	var count [numVerdicts]int
	equivalent := 0
	for i, v := range verdicts {
		if v == survived && excused[chosen[i].key()] != "" {
			equivalent++
			continue
		}
		count[v]++
		if v == survived {
			say(out, "survived  %v\n", &chosen[i])
		}
	}
	dead, tried := count[killed]+count[timedOut], count[killed]+count[timedOut]+count[survived]
	score := 100 * float64(dead) / float64(max(1, tried))
	say(out, "%d tried: %d killed, %d of them by time; %d survived, %d more are equivalent; %d did not compile, %d not tried\n",
		tried, dead, count[timedOut], count[survived], equivalent, count[notCompiled], count[notTried])
	say(out, "score %.1f %%\n", score)
	if score < o.least {
		return fmt.Errorf("the score %.1f is below %g", score, o.least)
	}
	return nil
}

// readEquivalent reads lines "file | line | change | reason".
func readEquivalent(text string) (map[string]string, error) {
	excused := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " | ")
		if i < 0 || strings.Count(line, " | ") < 3 {
			return nil, fmt.Errorf("equivalent.txt: %q is not of the form file | line | change | reason", line)
		}
		excused[line[:i]] = line[i+3:]
	}
	return excused, nil
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
