// Command compare sends the same prompts to the same hostile API in three ways, an errgroup, the parallel processor that everybody
// copies, and llmbatch, and writes down what came of it. See compare -h.
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
	"strings"
	"syscall"
	"time"
)

// The exit codes, those of llmbatch where it has the same.
const (
	exitGood        = 0
	exitBad         = 1 // something failed, or llmbatch has not kept its promises
	exitUsage       = 4 // bad flags: nothing was done
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, help)
		return exitGood
	}
	if err != nil {
		say(stderr, "compare: %v", err)
		return exitUsage
	}
	command := strings.TrimSpace("go run ./examples/llmbatch/compare " + quoted(args))
	err = compare(ctx, hostile(o.prompts, o.seed), o.out, command, stdout, stderr)
	switch {
	case err == nil:
		return exitGood
	case ctx.Err() != nil:
		say(stderr, "compare: interrupted; nothing was written")
		return exitInterrupted
	}
	say(stderr, "compare: %v", err)
	return exitBad
}

// compare runs all contenders, one after the other, reports, and judges llmbatch. out is where the report goes, - for stdout.
func compare(ctx context.Context, s scenario, out, command string, stdout, stderr io.Writer) error {
	r := report{scenario: s, command: command, began: time.Now()}
	var err error
	if r.results, err = s.faceAll(ctx, stderr); err != nil {
		return err
	}
	r.took = time.Since(r.began)
	if err := write(out, r.text(), stdout); err != nil {
		return err
	}
	return errors.Join(s.broken(r.ours())...)
}

// write puts the report where it goes.
func write(out string, text []byte, stdout io.Writer) error {
	if out != "-" {
		return os.WriteFile(out, text, 0o644)
	}
	_, err := io.Copy(stdout, bytes.NewReader(text))
	return err
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

// say prints a line for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}
