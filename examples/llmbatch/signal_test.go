package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupted has a process end, which has to do so at once, and not by going on: it waits for pipe. The signal is not an interrupt, since
// that is ignored by what a shell has put into the background.
func interrupted(t *testing.T, child *exec.Cmd, pipe io.Closer) {
	t.Helper()
	if err := child.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(soon, func() { _ = child.Process.Kill() })
	defer late.Stop()
	err := child.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.String() != "signal: "+syscall.SIGTERM.String() {
		t.Errorf("%v; want an end by the signal\n%s", err, child.Stderr)
	}
	_ = pipe.Close() // where it is still open
}

// What waits for its input can be interrupted: there is nothing to drain.
func TestInterruptedWhileReading(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal there")
	}
	api := serve(t, answers)
	done := newRun(t, api.baseURL(), 1)
	done.run(t, exitDone)
	for name, args := range map[string][]string{
		"run": nil, "estimate": {"estimate", "-i", "-", "-api-key-env", keyEnv}, "verify": {"verify", "-i", "-", "-o", done.out},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, api.baseURL(), 0)
			child := r.child(t, "-i", "-")
			if args != nil {
				child.Args = append(child.Args[:1], args...)
			}
			stdin, err := child.StdinPipe()
			if err == nil {
				err = child.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			// More than a pipe holds: when all is written, most is read.
			if _, err := io.WriteString(stdin, strings.Repeat("\n", 1<<20)+batchLine("last", "read me")); err != nil {
				t.Fatalf("%v\n%s", err, child.Stderr)
			}
			interrupted(t, child, stdin)
			if files, err := filepath.Glob(filepath.Join(filepath.Dir(r.out), "*")); err != nil || len(files) > 0 {
				t.Errorf("%v, %v: nothing has begun", files, err)
			}
		})
	}
	api.mustHit(t, 1, 1)
}

// A run that waits for the reader of its output can be ended, and all it has been answered is on record.
func TestInterruptedWhileWriting(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal there")
	}
	api := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int, _ string) bool {
		_, _ = fmt.Fprintf(w, `{"choices":[{"message":{"content":"%s"},"finish_reason":"stop"}]}`, strings.Repeat("x", 1<<20)) // more than a pipe holds
		return true
	})
	r := newRun(t, api.baseURL(), 1)
	flags := []string{"-o", "-", "-journal", filepath.Join(t.TempDir(), "journal")}
	child := r.child(t, flags...)
	child.Stderr = r.stderr
	stdout, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // and so it waits to write the rest
		t.Fatal(err)
	}
	if err := child.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.stderr.await(t, "again to stop at once")
	late := time.AfterFunc(soon, func() { _ = child.Process.Kill() })
	defer late.Stop()
	ended := inBackground(func() int { _ = child.Wait(); return 0 })
	for child.Process.Signal(syscall.SIGTERM) == nil { // until it has ended
		time.Sleep(10 * time.Millisecond) // two signals at once would be one
	}
	_ = ended(t)
	if got := child.ProcessState.String(); got != "signal: "+syscall.SIGTERM.String() {
		t.Errorf("%s; want an end by the signal\n%s", got, r.stderr)
	}
	again := r.child(t, flags...)
	all, err := again.Output()
	if err != nil || len(recordsOf(t, all)) != 1 {
		t.Errorf("%v, %d bytes\n%s", err, len(all), again.Stderr)
	}
	api.mustHit(t, 1, 1)
}

// Likewise what waits for the reader of its output before it sends anything: here, to tell of an earlier run.
func TestInterruptedWhileRestoring(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal there")
	}
	const prompts = 400 // more lines than a pipe holds
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), prompts)
	flags := []string{"-o", "-", "-journal", filepath.Join(t.TempDir(), "journal")}
	first := r.child(t, flags...)
	all, err := first.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, first.Stderr)
	}
	if len(all) < 128<<10 {
		t.Fatalf("%d bytes fit into a pipe", len(all))
	}
	second := r.child(t, flags...)
	stdout, err := second.StdoutPipe()
	if err == nil {
		err = second.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	interrupted(t, second, stdout)
	again := r.child(t, flags...)
	if all, err = again.Output(); err != nil {
		t.Fatalf("%v\n%s", err, again.Stderr)
	}
	if records := recordsOf(t, all); len(records) != prompts {
		t.Errorf("%d lines", len(records))
	}
	api.mustHit(t, prompts, prompts)
}
