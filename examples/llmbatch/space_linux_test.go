package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/toller-go/toller/job/journal"
)

// inNamespace has the test's own binary run TestDisksFull where it may mount file systems.
const inNamespace = "LLMBATCH_TEST_NAMESPACE"

// TestDisksFull has the program meet file systems that are full: that of the journal, that of the output, one for both. It runs in
// namespaces of its own, of users and of mounts, in which anybody may mount one that lives in memory.
func TestDisksFull(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		disksFull(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestDisksFull$", "-test.v")
	child.Env = append(os.Environ(), inNamespace+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	said := new(strings.Builder)
	child.Stdout, child.Stderr = said, said
	if err := child.Start(); err != nil {
		t.Skipf("no namespaces of our own to be had here: %v", err)
	}
	if err := child.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if strings.Contains(said.String(), "--- SKIP") {
		t.Skip(said)
	}
	if n := strings.Count(said.String(), "    --- PASS: TestDisksFull/"); n != 1+len(fullDisks) {
		t.Errorf("%d of %d cases have passed:\n%s", n, 1+len(fullDisks), said)
	}
}

// disk is a file system of some size, in kilobytes.
type disk string

func mount(t *testing.T, size int) disk {
	t.Helper()
	d := disk(t.TempDir())
	if err := syscall.Mount("llmbatch", string(d), "tmpfs", 0, d.options(size)); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(string(d), 0); err != nil {
			t.Errorf("%s is in use: %v", d, err)
		}
	})
	return d
}

func (d disk) options(size int) string { return fmt.Sprintf("size=%dk", size) }

func (d disk) resize(t *testing.T, size int) {
	t.Helper()
	if err := syscall.Mount("llmbatch", string(d), "tmpfs", syscall.MS_REMOUNT, d.options(size)); err != nil {
		t.Fatal(err)
	}
}

// fullDisk is a case of TestDisksFull: what is on the small disk, and how large that is; 0 is full from the start.
type fullDisk struct {
	name            string
	size            int
	output, journal bool
	suffix          string // of the output
	flags           []string
	names           string // what is said to be unwritable
}

var fullDisks = []fullDisk{
	{name: "journal", size: 16, journal: true, names: ".journal: no space left on device"},
	{name: "output", size: 16, output: true, names: "results.jsonl: no space left on device"},
	{name: "output in order", size: 16, output: true, flags: []string{"-order", "input"}, names: "results.jsonl: no space left on device"},
	{name: "output compressed", size: 4, output: true, suffix: ".gz", names: "results.jsonl.gz: no space left on device"},
	{name: "both", size: 32, output: true, journal: true, names: "results.jsonl"},
	{name: "journal, from the start", journal: true, names: ".journal"},
	{name: "output, from the start", output: true, names: "results.jsonl: no space left on device"},
	{name: "both, from the start", output: true, journal: true, names: ".journal"},
}

func disksFull(t *testing.T) {
	t.Run("journal, by what is begun alone", func(t *testing.T) {
		const prompts = 200
		api := hold(t)
		r := newRun(t, api.baseURL(), prompts)
		path := filepath.Join(string(mount(t, 8)), "results.journal") // the lock has a page of it
		for range 30 {                                                // from the second time on, there is no room for anything
			r.again(t, exitNotRecorded, "-journal", path, "-max-in-flight", fmt.Sprint(prompts))
		}
		if sent, begun := int(api.hits.Load()), recorded(t, path)[journal.KindStart]; sent > begun || begun == 0 || begun >= prompts {
			t.Errorf("%d requests were sent, and %d are on record, of %d prompts", sent, begun, prompts)
		}
	})
	for _, test := range fullDisks {
		t.Run(test.name, func(t *testing.T) {
			const prompts, inFlight = 120, 4
			api := serve(t, answers)
			r := newRun(t, api.baseURL(), prompts)
			d := mount(t, max(4, test.size))
			flags := append(test.place(t, r, d), "-max-in-flight", fmt.Sprint(inFlight))
			for range 2 { // the second time, nothing has changed
				before := api.hits.Load()
				r.again(t, exitNotRecorded, flags...)
				for _, words := range []string{test.names, "no space left on device; make room on that disk", "go on with: llmbatch " + shell(r.args(flags...)...)} {
					if !strings.Contains(r.stderr.String(), words) {
						t.Errorf("%q is not said:\n%s", words, r.stderr)
					}
				}
				test.mustHaveRecorded(t, api, before, flags[1])
			}
			wasted := int64(0)
			if test.journal && test.size > 0 {
				wasted = 2 * inFlight
			}
			d.resize(t, 1024)
			r.again(t, exitDone, flags...)
			r.verify(t, 0)
			api.mustHit(t, prompts, prompts+wasted)
			if test.suffix == "" {
				for id, record := range r.records(t) {
					mustAnswer(t, record, r.prompts[id])
				}
			}
		})
	}
}

// place puts on the disk what belongs there, and returns the flags that say so, -journal first.
func (f *fullDisk) place(t *testing.T, r *batchRun, d disk) []string {
	t.Helper()
	if f.size == 0 {
		if err := os.WriteFile(filepath.Join(string(d), "filler"), make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if f.output {
		r.out = filepath.Join(string(d), "results.jsonl")
	}
	r.out += f.suffix
	path := filepath.Join(t.TempDir(), "results.journal")
	if f.journal {
		path = filepath.Join(string(d), "results.journal")
	}
	return append([]string{"-journal", path}, f.flags...)
}

// mustHaveRecorded checks that nothing was sent that is not on record, and nothing at all while it was clear that there is no room; and
// that the journal has all answers if there was room for it.
func (f *fullDisk) mustHaveRecorded(t *testing.T, api *backend, before int64, path string) {
	t.Helper()
	sent := int(api.hits.Load())
	if f.journal && f.size == 0 {
		if sent > 0 {
			t.Errorf("%d requests were sent", sent)
		}
		return
	}
	records := recorded(t, path)
	if begun := records[journal.KindStart]; sent > begun || begun == 0 {
		t.Errorf("%d requests were sent, and %d are on record", sent, begun)
	}
	if f.journal {
		return
	}
	if done := records[journal.KindDone]; done != sent {
		t.Errorf("%d requests were answered, and %d answers are in the journal, which had room", sent, done)
	}
	if before > 0 && before != int64(sent) {
		t.Errorf("%d requests were sent although the output had no room for what is on record", int64(sent)-before)
	}
}
