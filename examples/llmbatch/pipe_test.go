package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/toller-go/toller/job/journal"
)

// Whoever reads standard output may have had enough, as head has. That ends the run as a full disk does: what is under way is awaited,
// and the journal has it, so that no answer has to be paid for twice.
func TestReaderGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGPIPE")
	}
	const prompts, inFlight = 12, 4
	arrived, gone := make(chan struct{}, prompts), make(chan struct{})
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if n > 1 {
			arrived <- struct{}{}
			<-gone
		}
		return false
	})
	r := newRun(t, api.baseURL(), prompts)
	path := filepath.Join(t.TempDir(), "journal")
	flags := []string{"-o", "-", "-journal", path, "-max-in-flight", fmt.Sprint(inFlight)}
	child := r.child(t, flags...)
	stdout, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for range inFlight {
		<-arrived
	}
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	close(gone)
	err = child.Wait()
	said := child.Stderr.(*strings.Builder).String()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitNotRecorded {
		t.Errorf("%v; want exit code %d\n%s", err, exitNotRecorded, said)
	}
	for _, words := range []string{"writing stdout", "broken pipe", "go on with: "} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not said:\n%s", words, said)
		}
	}
	if sent, done := int(api.hits.Load()), recorded(t, path)[journal.KindDone]; done != sent {
		t.Errorf("%d requests were answered, and %d answers are on record", sent, done)
	}

	again := r.child(t, flags...)
	all, err := again.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, again.Stderr)
	}
	if records := recordsOf(t, all); len(records) != prompts {
		t.Errorf("%d lines", len(records))
	}
	api.mustHit(t, prompts, prompts)
}

// So it is while a resume writes what earlier runs have answered: nothing is sent then, and what it was given makes sense.
func TestReaderGoneWhileRestoring(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a pipe breaks with another error there")
	}
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 3)
	flags := []string{"-o", "-", "-journal", filepath.Join(t.TempDir(), "journal")}
	r.run(t, exitDone, flags...)
	read, write, err := os.Pipe()
	if err != nil || read.Close() != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if code := start(r.args(flags...), console{out: write, err: r.stderr}); code != exitNotRecorded {
		t.Errorf("exit code %d, want %d", code, exitNotRecorded)
	}
	for _, words := range []string{"nothing was sent", "broken pipe; have it read to the end", "go on with: "} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	api.mustHit(t, 3, 3)
}
