package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// How often TestKill kills, and how many prompts it has. In full:
//
//	go test ./examples/llmbatch -run '^TestKill$' -v -args -kills 100 -kill-prompts 2000
var (
	kills       = flag.Int("kills", 8, "how often TestKill kills the run")
	killPrompts = flag.Int("kill-prompts", 400, "how many prompts TestKill has")
)

// childCommand has the test's own binary be llmbatch.
const childCommand = "LLMBATCH_TEST_CHILD"

// TestKill kills the program at random instants, as with kill -9, and gives the same command again, until it is through. Then every
// prompt has its line, and was completed at most once more than a kill caught it in flight.
func TestKill(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals")
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	api := fake(t, fakellm.Config{Fail: 0.1, Latency: fakellm.Range{Min: 20 * time.Millisecond, Max: 60 * time.Millisecond}, Seed: 1})
	r := newRun(t, api.BaseURL(), *killPrompts)
	caught := 0 // the most that may be sent twice: what was in flight at each kill
	killed, through := 0, false
	for killed < *kills && !through {
		child := r.child(t, "-max-in-flight", "8")
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Duration(random.Int64N(int64(150*time.Millisecond))), func() { _ = child.Process.Kill() })
		err := child.Wait()
		if through = late.Stop(); !through { // else it has ended by itself
			killed++
			caught += 8
		} else if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, child.Stderr)
		}
	}
	if killed < *kills/2 {
		t.Errorf("seed %d: the run was through after %d kills: too few to prove anything", seed, killed)
	}
	child := r.child(t, "-max-in-flight", "64")
	if err := child.Run(); err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, child.Stderr)
	}
	r.verify(t, 0)
	for id, record := range r.records(t) {
		mustAnswer(t, record, r.prompts[id])
	}
	bill := api.Ledger()
	twice := bill.Completed - bill.Prompts
	t.Logf("seed %d: %d kills, %d prompts, %d completed, %d of these once more; at most %d were in flight at the kills", seed, killed, *killPrompts, bill.Completed, twice, caught)
	if bill.Prompts != *killPrompts || twice < 0 || twice > caught {
		t.Errorf("seed %d: %d prompts completed %d times; at most %d may be once more", seed, bill.Prompts, bill.Completed, caught)
	}
}

// child is the run as a process of its own.
func (r *batchRun) child(t *testing.T, more ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, r.args(more...)...)
	child.Env = append(os.Environ(), childCommand+"=1")
	child.Stderr = new(strings.Builder)
	return child
}

// The same when each write of the journal is forced to the disk; and what is left in its directory is what should be.
func TestKillLeavesNoLitter(t *testing.T) {
	api := serve(t, answers)
	r := newRun(t, api.baseURL(), 5)
	if out, err := r.child(t, "-sync", "always").Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.out), "*"))
	if err != nil || fmt.Sprint(files) != fmt.Sprint([]string{r.out, r.out + ".journal"}) {
		t.Errorf("%v, %v", files, err)
	}
}
