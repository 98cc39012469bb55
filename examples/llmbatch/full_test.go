package main

import (
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
	for _, words := range []string{"could not be recorded", "file too large", "go on with: "} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not said:\n%s", words, said)
		}
	}

	if begun, sent := recorded(t, r.out+".journal")[journal.KindStart], int(api.hits.Load()); sent > begun || begun == 0 || begun == prompts {
		t.Errorf("%d requests were sent, and %d are on record, of %d prompts", sent, begun, prompts)
	}

	r.again(t, exitDone)
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
}

// recorded reads a journal, which has to be valid, and counts its records.
func recorded(t *testing.T, path string) map[journal.Kind]int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[journal.Kind]int)
	report, err := journal.Scan(file, func(record journal.Record) error {
		kinds[record.Kind]++
		return nil
	})
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatalf("the journal: %+v, %v", report, err)
	}
	return kinds
}

// The first answer that does not fit into the output ends the run: nothing more is sent. What is under way then is awaited, for the
// journal has it, and no answer has to be paid for twice.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	standardOutput(t, full)
	const prompts, inFlight = 30, 2
	second, noticed := make(chan struct{}), make(chan struct{})
	api := serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		if n == inFlight {
			close(second)
		}
		if n == 1 {
			<-second // or the run could be over before it has come
		} else {
			<-noticed
		}
		return false
	})
	r := newRun(t, api.baseURL(), prompts)
	r.progress = "json"
	path := filepath.Join(t.TempDir(), "journal")
	ended := inBackground(func() int {
		return run(r.args("-o", "-", "-journal", path, "-max-in-flight", fmt.Sprint(inFlight)), nil, console{out: full, err: r.stderr})
	})
	r.stderr.await(t, `"stopping":"writing stdout`)
	close(noticed)
	if code := ended(t); code != exitNotRecorded {
		t.Errorf("exit code %d", code)
	}
	api.mustHit(t, inFlight, 1+inFlight)
	for _, words := range []string{"could not be recorded", "no space left", "make room on that disk", "go on with: llmbatch -i"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	answered := api.hits.Load()
	for _, figure := range []string{fmt.Sprintf(`"answered":%d,`, answered), fmt.Sprintf(`"left":%d,`, prompts-answered)} {
		if !strings.Contains(r.stderr.String(), figure) {
			t.Errorf("%s is not said:\n%s", figure, r.stderr)
		}
	}

	// With room for it, the same command has the answers that there are, and the others.
	room, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	standardOutput(t, room)
	if code := run(r.args("-o", "-", "-journal", path), nil, console{out: room, err: r.stderr}); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	api.mustHit(t, prompts, prompts)
	data, err := os.ReadFile(room.Name())
	if err != nil {
		t.Fatal(err)
	}
	if records := recordsOf(t, data); len(records) != prompts {
		t.Errorf("%d lines", len(records))
	}
}
