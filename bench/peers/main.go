// Command peers runs defects that were found in well-known libraries, against their newest versions and against ours. See
// peers -h.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toller-go/toller/bench/internal/tree"
)

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // something could not be run, or ours shows a defect
	exitUsage = 2 // bad flags: nothing was done
)

const help = `usage: go run ./bench/peers [-o FILE]

Runs each of the defects from which the rules of scheduler/SEMANTICS.md came, on the peer in which it was found, at the version
of bench/go.mod, and on ours, in virtual time (testing/synctest), and writes bench/PEERS.md: what each did, and how the peer's own
documentation would have one avoid it. A defect that the peer does not show any more says so.

  -o FILE  where the table goes, - for standard output; by default bench/PEERS.md of the repository that the current directory is in

Exit code: 0; 1 if ours shows a defect or something could not be run; 2 for bad flags.
`

func main() {
	file, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(exitGood)
	case err != nil:
		os.Exit(exitUsage)
	}
	// Bubbles of virtual time there are for tests only, so this program is one. What package testing says goes to standard error.
	out := os.Stdout
	os.Args, os.Stdout = os.Args[:1], os.Stderr
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "peers", F: func(t *testing.T) {
		if err := report(measure(t), file, out); err != nil {
			t.Error(err)
		}
	}}}, nil, nil)
}

// parse returns where the table goes.
func parse(args []string, stderr io.Writer) (file string, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { say(flags.Output(), "%s", help) }
	flags.StringVar(&file, "o", "", "")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return "", fmt.Errorf("arguments %q", flags.Args())
	}
	if file != "" {
		return file, nil
	}
	root, err := tree.Root()
	if err != nil {
		say(stderr, "peers: %v\n", err)
	}
	return filepath.Join(root, "bench", "PEERS.md"), err
}

// measure runs the cases, each side in a bubble of virtual time.
func measure(t *testing.T) (rows []row) {
	for _, c := range cases {
		r := row{defect: c}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { r.peer = c.peers(t) })
			synctest.Test(t, func(t *testing.T) { r.our = c.ours(t) })
		})
		rows = append(rows, r)
	}
	return rows
}

// report writes the table, and fails if ours shows a defect.
func report(rows []row, file string, out io.Writer) error {
	var text bytes.Buffer
	write(&text, rows, time.Now())
	if file == "-" {
		say(out, "%s", text.String())
	} else {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			return err
		}
		say(out, "%s\n%s\n", table(rows), file)
	}
	if bad := ours(rows); len(bad) > 0 {
		return fmt.Errorf("ours shows: %s", strings.Join(bad, ", "))
	}
	return nil
}

// say prints for people. That they can't be told is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
