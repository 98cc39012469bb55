package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/toller-go/toller/job/journal"
)

// TestNoRoom has the program meet the end of its room: no file of it may grow beyond 16 KiB, or 32 where the shell counts so. It
// ends with exit code 1; what was sent is on record; and the same command goes on once there is room again.
func TestNoRoom(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no shell that could bound the size of files")
	}
	const prompts = 60
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), prompts)
	child := r.child(t, "-max-in-flight", "4")
	child.Args = append([]string{shell, "-c", `ulimit -f 32 && trap "" XFSZ && exec "$0" "$@"`, child.Path}, child.Args[1:]...)
	child.Path = shell
	err = child.Run()
	said := child.Stderr.(*strings.Builder).String()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitNotRecorded {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, words := range []string{"could not be recorded", "file too large", "go on with: llmbatch"} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not said:\n%s", words, said)
		}
	}

	begun := int64(0)
	file, err := os.Open(r.out + ".journal")
	if err != nil {
		t.Fatal(err)
	}
	report, err := journal.Scan(file, func(record journal.Record) error {
		if record.Kind == journal.KindStart {
			begun++
		}
		return nil
	})
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatalf("the journal: %+v, %v", report, err)
	}
	if sent := api.hits.Load(); sent > begun || begun == 0 || begun == prompts {
		t.Errorf("%d requests were sent, and %d are on record, of %d prompts", sent, begun, prompts)
	}

	r.again(t, exitDone)
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
}
