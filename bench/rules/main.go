// Command rules keeps scheduler/SEMANTICS.md honest: each of its rules is cited by a test, and for each a
// planted bug is kept, a small patch that breaks the rule and that such a test kills. See rules -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/toller-go/toller/bench/internal/tree"
)

// The exit codes.
const (
	exitGood  = 0 // nothing is missing; every bug was killed
	exitBad   = 1 // something is missing, or a bug lives, or the work could not be done
	exitUsage = 2 // bad flags or arguments: nothing was done
)

const help = `usage: go run ./bench/rules                    check: no rule without a test that cites it and a planted bug that such a
                                               test kills, and scheduler/RULES.md says what is so
       go run ./bench/rules -write             write scheduler/RULES.md
       go run ./bench/rules -plant             plant every bug, one at a time, and see its test fail
       go run ./bench/rules -plant S-B3 R2-2   plant only those of rule S-B3 and scheduler/planted/S-R2-2.patch

Rules are those of scheduler/SEMANTICS.md, save for section T. A test cites S-B3 by naming it in its doc comment,
or inside: in a comment, in the name of a case, in a message. "S-B1 to S-B4" names four. A transcript of
scheduler/testdata cites in its remarks.

A planted bug is a file scheduler/planted/S-B3.patch, further ones S-B3-2.patch and so on: three lines, then a diff as
"git diff" prints it, of files of one or more packages but not of tests.

    Rule: S-B3
    Test: ./policy TestCircuitProbeReturnsItsLease
    Bug: a neutral probe keeps its lease

The test is one that cites the rule; a case of it is TestName/case_name, a transcript TestTranscripts/circuit.

-plant works in copies of the root module and leaves the tree alone. A bug counts when its patch applies, the packages
build and vet, the test passes without it, and the test fails with it by an assertion: not by a build error, a panic, a
deadlock or a time-out.
`

// workers is how many bugs are planted at a time, each in a copy of its own.
const workers = 2

// testTimeout is how long one run of a test may take. What it tells apart is a test that fails and one that hangs.
const testTimeout = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("rules", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(flags.Output(), "%s", help) }
	write := flags.Bool("write", false, "write scheduler/RULES.md")
	plant := flags.Bool("plant", false, "plant the bugs")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		return exitUsage
	case *write && *plant, flags.NArg() > 0 && !*plant:
		flags.Usage()
		return exitUsage
	}

	root, err := tree.Root()
	if err != nil {
		say(stderr, "rules: %v\n", err)
		return exitUsage
	}
	b, err := readBook(root)
	if err != nil {
		say(stderr, "rules: %v\n", err)
		return exitBad
	}
	switch {
	case *write:
		err = b.write(stdout)
	case *plant:
		err = plantAll(ctx, b, flags.Args(), stdout)
	default:
		err = check(b, stdout)
	}
	if err != nil {
		say(stderr, "rules: %v\n", err)
		return exitBad
	}
	return exitGood
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
