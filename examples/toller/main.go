// Command toller is the two programs in the README of Toller, a Python decorator, as they read here: a model behind a limit,
// retries and a circuit breaker, and two functions that share a limit. What becomes of each of Toller's parameters is in
// README.md beside this file.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"
)

// theSeed is the one with which testdata/transcript.txt was made. It has one 429 in it, and no instant close to the edge between two
// tenths of a second, so that a slow machine prints the same.
const theSeed = 1422

func main() {
	seed := flag.Uint64("seed", theSeed, "decides what happens by chance: which attempt meets a 429, how long each takes, and the jitter")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *seed); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, seed uint64) error {
	if err := resilience(ctx, newDiary(out), seed); err != nil {
		return fmt.Errorf("example 1: %w", err)
	}
	_, _ = fmt.Fprintln(out)
	if err := sharedLimit(ctx, newDiary(out)); err != nil {
		return fmt.Errorf("example 2: %w", err)
	}
	return nil
}

// diary prints what happens, each line with the time since it was made, to a tenth of a second.
type diary struct {
	out   io.Writer
	start time.Time
}

func newDiary(out io.Writer) diary { return diary{out: out, start: time.Now()} }

func (d diary) note(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, "%4.1f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

// pause waits, or until ctx ends, and returns why.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
