// Command compare has each SDK work through the same batch at the same API, alone and over a dispatcher, side by side, and
// prints a table in Markdown.
//
//	go run ./compare                    # about a minute
//	go run ./compare -write README.md   # puts the table there, between its two comments
//
// The API is on this machine: it admits 600 requests a minute and answers the rest with 429 and Retry-After. How an SDK alone
// fares depends on how many retries it is allowed: two are the default of openai-go and anthropic-sdk-go; go-openai and net/http
// have none.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// run is the command.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	calls := flags.Int("calls", 600, "`how many` questions there are")
	workers := flags.Int("workers", 50, "`how many` of them are asked at once")
	limit := flags.Int("limit", 600, "`how many` requests the API admits in a span")
	span := flags.Duration("span", time.Minute, "the span of the limit")
	check := flags.Bool("check", false, "fail where a dispatcher loses a call, has more than 1 % of 429s, or takes more than 1.05 of the least time")
	write := flags.String("write", "", "the `file` to put the table into, between its two comments")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	s := setting{calls: *calls, workers: *workers, limit: *limit, span: *span}
	if s.calls < 1 || s.workers < 1 || s.limit < 1 || s.span <= 0 {
		return errors.New("-calls, -workers, -limit and -span must be above zero")
	}
	results, err := s.all(ctx)
	if err != nil {
		return err
	}
	var table strings.Builder
	s.print(&table, results)
	if _, err := io.WriteString(out, table.String()); err != nil {
		return err
	}
	if *write != "" {
		if err := insert(*write, table.String()); err != nil {
			return err
		}
	}
	if *check {
		return s.judge(results)
	}
	return nil
}
