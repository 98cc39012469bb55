// Command llmbatch sends thousands of prompts to an OpenAI-compatible API and has every one answered exactly once, at the
// speed its limits allow. Without flags it is a demo that needs neither network nor key. See llmbatch -h.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// The exit codes.
const (
	exitDone        = 0   // all items are answered
	exitNotRecorded = 1   // a result could not be written
	exitSomeFailed  = 2   // some items failed; each has its line
	exitPaused      = 3   // the key is refused or out of money; items are left
	exitUsage       = 4   // bad flags, input or output: nothing was sent
	exitInterrupted = 130 // by a signal; items are left
)

func main() {
	boundHeap()
	signal.Ignore(syscall.SIGPIPE) // whoever reads standard output may go, and then what is under way must still be recorded
	os.Exit(start(os.Args[1:], console{out: os.Stdout, err: os.Stderr, in: os.Stdin, name: calledAs(os.Args[0])}))
}

// console is where a command reads and writes.
type console struct {
	in   io.Reader
	out  io.Writer
	err  io.Writer
	name string // what the program was called as; empty is llmbatch
}

// calledAs is how the program can be called again. What go run builds is gone by then.
func calledAs(name string) string {
	if strings.Contains(name, "go-build") {
		return "go run ./examples/llmbatch"
	}
	return shell(name)
}

// say writes a line for people. That they can't be told is no reason to stop.
func (c console) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.err, format+"\n", args...)
}

// start runs the command that the arguments name and returns its exit code.
func start(args []string, con console) int {
	if len(args) == 0 {
		return demo(nil, con)
	}
	switch word := args[0]; word {
	case "verify":
		return batchfile.VerifyMain(args[1:], con.out, con.err)
	case "fakellm":
		signals, stop := heed(nil)
		defer stop()
		ctx, cancel := contextOf(signals)
		defer cancel()
		return fakellm.Main(ctx, args[1:], con.out, con.err)
	case "estimate":
		return runEstimate(args[1:], con)
	case "run":
		return run(args[1:], nil, con)
	case "help":
		return helpMain(args[1:], con)
	case "-h", "-help", "--help":
		_, _ = io.WriteString(con.out, help)
		return exitDone
	default:
		if !strings.HasPrefix(word, "-") {
			con.say("llmbatch: unknown command %q; allowed: run, estimate, verify, fakellm (see llmbatch -h); a file is given with -i", word)
			return exitUsage
		}
		return run(args, nil, con)
	}
}

// helpMain is the command help: alone, about a command, or about a topic of run.
func helpMain(about []string, con console) int {
	if len(about) == 0 {
		_, _ = io.WriteString(con.out, help)
		return exitDone
	}
	if len(about) == 1 {
		switch about[0] {
		case "run", "estimate", "verify", "fakellm":
			return start([]string{about[0], "-h"}, con)
		}
		if text, ok := helpOn(about[0]); ok {
			_, _ = io.WriteString(con.out, text)
			return exitDone
		}
	}
	con.say("llmbatch: no help on %q; allowed: a command (run, estimate, verify, fakellm), or a topic of run (%s)", strings.Join(about, " "), topicNames())
	return exitUsage
}

// heed returns the signals to end from now on, until stop is called. They end the program at once where nobody heeds them, and so must
// only be taken by who reads them. Those that a test has made stand for the system's.
func heed(made <-chan os.Signal) (signals <-chan os.Signal, stop func()) {
	if made != nil {
		return made, func() {}
	}
	ours := make(chan os.Signal, 2)
	signal.Notify(ours, os.Interrupt, syscall.SIGTERM)
	return ours, func() { signal.Stop(ours) }
}

// contextOf returns a context that ends with the first signal.
func contextOf(signals <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
