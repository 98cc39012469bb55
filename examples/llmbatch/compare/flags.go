package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const help = `usage: go run ./examples/llmbatch/compare [flags]

Sends the same prompts to the same hostile API, which runs in this process, in
three ways: an errgroup, the parallel processor that everybody copies, written
anew, and llmbatch as a process of its own. Counts what is in the output and
what the API has billed, and writes a table in Markdown. It takes about five
minutes, most of them the parallel processor's.

  -o FILE    where the table goes; - is standard output (-)
  -n N       prompts, 1 to 100000 (2000); below 2000 time is not judged, for
             the API's burst and the last answers are too much of it
  -seed N    selects prompts, faults and latencies, from 1 on (1)

Progress goes to standard error. Exit: 0 llmbatch has every answer right, no
prompt was billed twice that need not be, and the time was at most 1.1 x the
ideal; 1 not so, or something failed; 4 bad flags; 130 interrupted.
`

const (
	defaultPrompts = 2000
	mostPrompts    = 100_000
)

// options are what the flags say.
type options struct {
	out     string // -: standard output
	prompts int
	seed    uint64
}

// parse reads the flags. The error is flag.ErrHelp, or says which flag, what it is, and what is allowed.
func parse(args []string) (options, error) {
	o := options{out: "-", prompts: defaultPrompts, seed: 1}
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller says it, once
	fs.Usage = func() {}
	fs.StringVar(&o.out, "o", o.out, "")
	fs.Func("n", "", func(text string) (err error) {
		if o.prompts, err = strconv.Atoi(text); err != nil || o.prompts < 1 || o.prompts > mostPrompts {
			return fmt.Errorf("allowed: a whole number from 1 to %d", mostPrompts)
		}
		return nil
	})
	fs.Func("seed", "", func(text string) (err error) {
		if o.seed, err = strconv.ParseUint(text, 10, 64); err != nil || o.seed == 0 {
			return errors.New("allowed: a whole number from 1 to 18446744073709551615")
		}
		return nil
	})
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil && strings.Contains(err.Error(), "allowed: "):
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; allowed: -o FILE -n N -seed N", err)
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; allowed: -o FILE -n N -seed N", fs.Arg(0))
	}
	return o, o.checkOut()
}

// checkOut looks before anything runs in vain whether the report will find its place.
func (o *options) checkOut() error {
	if o.out == "-" {
		return nil
	}
	if at, err := os.Stat(o.out); o.out == "" || err == nil && at.IsDir() {
		return fmt.Errorf("-o is %q; allowed: a file, or - for standard output", o.out)
	}
	if at, err := os.Stat(filepath.Dir(o.out)); err != nil || !at.IsDir() {
		return fmt.Errorf("-o is %q; allowed: a file in a directory that exists", o.out)
	}
	return nil
}
