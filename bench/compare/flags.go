package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
)

const help = `usage: go run ./bench/compare [flags]

Runs every comparison of the dispatcher with its peers, interleaved, and writes bench/RESULTS.md. It takes the better part of an
hour; nothing else should run meanwhile.

  -quick          little of everything, in a minute or two, for CI: the figures prove nothing
  -rounds N       how often each is measured; 6 by default, 3 with -quick
  -workloads RE   only workloads whose title matches, as in 'window|burst', '^Do', ', 1 submitter'
  -contenders RE  only contenders whose name matches, as in '^dispatcher$|^ants \+ channel$'
  -targets        only contenders that a target is about
  -cpus N         GOMAXPROCS of what is measured; by default, that of this process
  -profiles DIR   leave a CPU profile of each measurement there, those of the last round, each of some seconds; for go tool pprof
  -o FILE         where the report goes, - for standard output; by default bench/RESULTS.md of the repository that the current
                  directory is in, or standard output if one of -quick, -workloads, -contenders and -targets makes it less than that
  -check F        fail if a target is missed by more than F times in every round (what must hold always: in any), or if none was
                  measured; where a target is known to be missed, by more than F times as much (goals.go)

Progress goes to standard error. The exit code is 0; 1 if something failed, if contenders did not do the same work, or for
-check; 2 for bad flags.
`

// options are what the flags say.
type options struct {
	quick      bool
	rounds     int
	workloads  *regexp.Regexp
	contenders *regexp.Regexp
	targets    bool
	cpus       int
	profiles   string  // directory; empty: none
	out        string  // empty: RESULTS.md
	check      float64 // zero: no check
}

// errUsage: the flags make no sense, and that has been said.
var errUsage = errors.New("bad flags")

// parse reads the flags. The error is flag.ErrHelp, or errUsage.
func parse(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(stderr, "%s", help) }
	var o options
	flags.BoolVar(&o.quick, "quick", false, "")
	flags.IntVar(&o.rounds, "rounds", 0, "")
	workloads := flags.String("workloads", "", "")
	contenders := flags.String("contenders", "", "")
	flags.BoolVar(&o.targets, "targets", false, "")
	flags.IntVar(&o.cpus, "cpus", runtime.GOMAXPROCS(0), "")
	flags.StringVar(&o.profiles, "profiles", "", "")
	flags.StringVar(&o.out, "o", "", "")
	flags.Float64Var(&o.check, "check", 0, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, errUsage
	}

	var faults []string
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if given["rounds"] && o.rounds < 1 {
		faults = append(faults, fmt.Sprintf("-rounds is %d, but must be at least 1", o.rounds))
	}
	if o.cpus < 1 {
		faults = append(faults, fmt.Sprintf("-cpus is %d, but must be at least 1", o.cpus))
	}
	if given["check"] && !(o.check >= 1) { // also if it is not a number
		faults = append(faults, fmt.Sprintf("-check is %v, but must be at least 1", o.check))
	}
	if o.profiles != "" {
		if info, err := os.Stat(o.profiles); err != nil || !info.IsDir() {
			faults = append(faults, fmt.Sprintf("-profiles is %s, but must be a directory that exists", o.profiles))
		}
	}
	if flags.NArg() > 0 {
		faults = append(faults, "there are no arguments besides flags: "+strings.Join(flags.Args(), " "))
	}
	for _, re := range []struct {
		flag, text string
		to         **regexp.Regexp
	}{{"workloads", *workloads, &o.workloads}, {"contenders", *contenders, &o.contenders}} {
		compiled, err := regexp.Compile(re.text)
		if err != nil {
			faults = append(faults, fmt.Sprintf("-%s: %v", re.flag, err))
		}
		*re.to = compiled
	}
	if len(faults) > 0 {
		say(stderr, "compare: %s\n", strings.Join(faults, "\ncompare: "))
		return o, errUsage
	}

	if o.rounds == 0 {
		o.rounds = scaleOf(o.quick).rounds
	}
	if o.out == "" && (o.quick || o.targets || given["workloads"] || given["contenders"]) {
		o.out = "-"
	}
	return o, nil
}
