// Command pipeline sends pages through three stages, each with a dispatcher of its own, and shows how the slowest of them
// holds back the others. Nothing leaves this machine: what the stages do is made up. See pipeline -h.
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

	"github.com/toller-go/toller/policy"
)

// The exit codes.
const (
	exitDone        = 0   // every page has come out, stored or with its error
	exitFailed      = 1   // a dispatcher could not be made or closed
	exitUsage       = 2   // bad flags: nothing was done
	exitInterrupted = 130 // by a signal; pages are left
)

const help = `usage: pipeline [flags]

Fetches pages, summarizes them, and stores the summaries. Fetching is fast, summarizing slow, and each has a limit
of its own. A line a second tells how many pages each stage has done: fetching begins at its own speed, until as
many pages are under way as the windows allow, and then goes at the speed of summarizing. Some pages are missing,
and some summaries need a second attempt; every page comes out at the end, with its summary or its error.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// start is main with its surroundings as arguments; it returns the exit code.
func start(ctx context.Context, args []string, out, errs io.Writer) int {
	s := settings{pages: 60, fetchRate: 40, summaryRate: 8}
	flags := flag.NewFlagSet("pipeline", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {} // an error says enough; help is for those who ask
	flags.IntVar(&s.pages, "pages", s.pages, "how many pages there are")
	flags.Float64Var(&s.fetchRate, "fetch", s.fetchRate, "how many pages may be fetched a second")
	flags.Float64Var(&s.summaryRate, "summarize", s.summaryRate, "how many summaries may be asked for a second")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(out, help)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return exitDone
	case err != nil:
		_, _ = fmt.Fprintln(errs, "see pipeline -h")
		return exitUsage
	case flags.NArg() > 0 || s.pages < 1:
		_, _ = fmt.Fprintln(errs, "pipeline: -pages must be at least 1, and there is nothing but flags; see pipeline -h")
		return exitUsage
	}
	switch err := run(ctx, s, out); {
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(errs, "pipeline: interrupted")
		return exitInterrupted
	case errors.Is(err, policy.ErrInvalid):
		_, _ = fmt.Fprintln(errs, "pipeline:", err)
		return exitUsage
	case err != nil:
		_, _ = fmt.Fprintln(errs, "pipeline:", err)
		return exitFailed
	default:
		return exitDone
	}
}
