package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind. Those that run before the first are of packages that start some when imported.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// What is wrong is refused before anything is done, in words that name the flag, the value and what is allowed.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"-bogus"}, []string{"-bogus", "allowed: -o FILE -n N -seed N"}},
		{[]string{"-n"}, []string{"-n", "allowed: -o FILE -n N -seed N"}},
		{[]string{"more"}, []string{`"more"`, "allowed: -o FILE -n N -seed N"}},
		{[]string{"-n", "many"}, []string{`"many"`, "-n", "allowed: a whole number from 1 to 100000"}},
		{[]string{"-n", "0"}, []string{`"0"`, "-n", "allowed: a whole number from 1 to 100000"}},
		{[]string{"-n", "100001"}, []string{`"100001"`, "-n", "allowed: a whole number from 1 to 100000"}},
		{[]string{"-seed", "0"}, []string{`"0"`, "-seed", "allowed: a whole number from 1 to"}},
		{[]string{"-seed", "-1"}, []string{`"-1"`, "-seed", "allowed: a whole number from 1 to"}},
		{[]string{"-o", ""}, []string{`-o is ""`, "allowed: a file, or - for"}},
		{[]string{"-o", dir}, []string{"-o is", dir, "allowed: a file, or - for"}},
		{[]string{"-o", filepath.Join(dir, "no", "file")}, []string{"-o is", "allowed: a file in a directory that exists"}},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), test.args, &stdout, &stderr); code != exitUsage || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, want %d; stdout: %s", test.args, code, exitUsage, &stdout)
		}
		for _, words := range test.says {
			if !strings.Contains(stderr.String(), words) {
				t.Errorf("%q does not say %q, but %s", test.args, words, &stderr)
			}
		}
	}
}

// The help has every flag, and fits a screen.
func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, &stdout, &stderr); code != exitGood || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr: %s", code, &stderr)
	}
	text := stdout.String()
	for _, flag := range []string{"  -o FILE ", "  -n N ", "  -seed N "} {
		if !strings.Contains(text, flag) {
			t.Errorf("no %q in\n%s", flag, text)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 81 {
			t.Errorf("wider than a screen: %s", line)
		}
	}
}

// An interrupt leaves no report, and is told apart from a failure.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "out.md")
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"-o", out}, &stdout, &stderr); code != exitInterrupted {
		t.Errorf("exit code %d, want %d: %s", code, exitInterrupted, &stderr)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("there is a report: %v", err)
	}
}

func TestQuoted(t *testing.T) {
	if got, want := quoted([]string{"-o", "a b.md", "", "it's"}), `-o 'a b.md' '' 'it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
