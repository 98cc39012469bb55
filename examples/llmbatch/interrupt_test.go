package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/toller-go/toller/job/journal"
)

// held is an API that keeps requests waiting until release is closed, or until the client has gone.
type held struct {
	*backend
	arrived chan struct{} // one for each request
	gone    chan struct{} // one for each client that went
	release chan struct{}
}

func hold(t *testing.T) *held {
	t.Helper()
	h := &held{arrived: make(chan struct{}, 300), gone: make(chan struct{}, 300), release: make(chan struct{})}
	h.backend = serve(t, func(w http.ResponseWriter, r *http.Request, n int, prompt string) bool {
		h.arrived <- struct{}{}
		select {
		case <-h.release:
			return false
		case <-r.Context().Done():
			h.gone <- struct{}{}
			return true
		}
	})
	return h
}

// begin starts a run with so many requests at once, and returns when they are under way.
func (h *held) begin(t *testing.T, r *batchRun, inFlight int) (signals chan os.Signal, code ending) {
	t.Helper()
	signals = make(chan os.Signal, 2)
	code = inBackground(func() int { return run(r.args("-max-in-flight", fmt.Sprint(inFlight)), signals, r.console()) })
	for range inFlight {
		<-h.arrived
	}
	return signals, code
}

// ending waits for the exit code of a run, not as long as a drain may take.
type ending func(t *testing.T) int

func inBackground(command func() int) ending {
	ended := make(chan int, 1)
	go func() { ended <- command() }()
	return func(t *testing.T) int {
		t.Helper()
		select {
		case code := <-ended:
			return code
		case <-time.After(soon):
			t.Fatal("the run does not end")
			return -1
		}
	}
}

// The first signal starts nothing more; what is under way is finished and recorded.
func TestInterrupt(t *testing.T) {
	const prompts, inFlight = 12, 4
	api := hold(t)
	r := newRun(t, api.baseURL(), prompts)
	r.progress = "json"
	signals, ended := api.begin(t, r, inFlight)
	signals <- os.Interrupt
	r.stderr.await(t, "stopping; waiting up to 30s for the requests under way (again to stop at once)")
	r.stderr.await(t, fmt.Sprintf(`"in_flight":%d,"queued":0`, inFlight)) // the next report: the others are given up
	close(api.release)
	if code := ended(t); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	api.mustHit(t, inFlight, inFlight)
	records := r.records(t)
	if len(records) != inFlight {
		t.Errorf("%d lines, want one for each request that was under way, %d", len(records), inFlight)
	}
	for id, record := range records {
		mustAnswer(t, record, r.prompts[id])
	}
	for _, words := range []string{"interrupted, 8 of 12 prompts are left", "go on with: llmbatch -i " + r.in} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("%q is not said:\n%s", words, r.stderr)
		}
	}
	mustSum(t, r.stdout.String(), map[string]int64{"prompts": prompts, "answered": inFlight, "left": prompts - inFlight, "requests": inFlight, "errors": 0})
}

// The second signal waits for nothing: the requests under way are given up.
func TestInterruptTwice(t *testing.T) {
	const prompts, inFlight = 12, 4
	api := hold(t)
	r := newRun(t, api.baseURL(), prompts)
	signals, ended := api.begin(t, r, inFlight)
	signals <- os.Interrupt
	r.stderr.await(t, "stopping")
	signals <- os.Interrupt
	if code := ended(t); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	for range inFlight {
		<-api.gone
	}
	api.mustHit(t, inFlight, inFlight)
	if words := "interrupted, 12 of 12 prompts are left"; !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}

	// They may have been billed, and are on record as that: not sent again if that is not wanted.
	close(api.release)
	r.again(t, exitSomeFailed, "-in-flight", "fail")
	api.mustHit(t, prompts, prompts)
	mustSum(t, r.stdout.String(), map[string]int64{"answered": prompts - inFlight, "failed for good": inFlight})
	if words := fmt.Sprintf("%d were under way when it was cut off", inFlight); !strings.Contains(r.stderr.String(), words) {
		t.Errorf("%q is not said:\n%s", words, r.stderr)
	}
	r.mustHaveBeen(t, journal.Counts{Done: prompts - inFlight, Failed: inFlight, Starts: prompts, Ambiguous: inFlight})
	r.verify(t, 0)
}

// What the end of the drain cuts off is on record as under way, too.
func TestDrainEnds(t *testing.T) {
	r := newRun(t, "http://silent/v1", 3)
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or it would not hear that the client has gone
		<-r.Context().Done()
	})
	code, _, _ := r.inBubble(t, func() http.Handler { return silent }, r.args("-run-deadline", "1s", "-max-in-flight", "2", "-timeout", "1h"))
	if code != exitPaused {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	r.mustHaveBeen(t, journal.Counts{InFlight: 2, Starts: 2})
}

// A signal that comes when all is under way already takes nothing away: the run is done, not interrupted.
func TestInterruptAtTheEnd(t *testing.T) {
	const inFlight = 3
	api := hold(t)
	r := newRun(t, api.baseURL(), inFlight)
	signals, ended := api.begin(t, r, inFlight)
	signals <- os.Interrupt
	r.stderr.await(t, "stopping")
	close(api.release)
	if code := ended(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	r.verify(t, 0)
}

// The signals of the system get there.
func TestRealSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send itself an interrupt there")
	}
	const inFlight = 2
	api := hold(t)
	r := newRun(t, api.baseURL(), 10)
	ended := inBackground(func() int { return start(r.args("-max-in-flight", fmt.Sprint(inFlight)), r.console()) })
	for range inFlight {
		<-api.arrived // so start is listening
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.stderr.await(t, "stopping")
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := ended(t); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, r.stderr)
	}
	api.mustHit(t, inFlight, inFlight)
}

// The first wish counts, but for a failure to record, which beats all.
func TestHalt(t *testing.T) {
	tests := []struct {
		name  string
		asked []int
		want  int
		why   string
	}{
		{"nothing", nil, 0, ""},
		{"one", []int{exitInterrupted}, exitInterrupted, "0"},
		{"the first counts", []int{exitPaused, exitInterrupted}, exitPaused, "0"},
		{"a failure to record beats it", []int{exitInterrupted, exitNotRecorded}, exitNotRecorded, "1"},
		{"and stays", []int{exitNotRecorded, exitInterrupted, exitPaused}, exitNotRecorded, "0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := halt{}
			for n, code := range test.asked {
				h.ask(code, fmt.Sprint(n))
			}
			if code, why := h.wish(); code != test.want || why != test.why || h.isAsked() != (test.want != 0) {
				t.Errorf("code %d, why %q", code, why)
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	tests := []struct {
		name                      string
		prompts, answered, failed int
		wish                      int
		want                      int
	}{
		{"all answered", 3, 3, 0, 0, exitDone},
		{"one failed", 3, 2, 1, 0, exitSomeFailed},
		{"interrupted", 3, 1, 0, exitInterrupted, exitInterrupted},
		{"interrupted, and one failed", 3, 1, 1, exitInterrupted, exitInterrupted},
		{"interrupted too late to matter", 3, 3, 0, exitInterrupted, exitDone},
		{"interrupted too late, and one failed", 3, 2, 1, exitInterrupted, exitSomeFailed},
		{"paused", 3, 2, 0, exitPaused, exitPaused},
		{"not recorded", 3, 2, 0, exitNotRecorded, exitNotRecorded},
		{"the last flush failed", 3, 3, 0, exitNotRecorded, exitNotRecorded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := halt{}
			if test.wish != 0 {
				h.ask(test.wish, "")
			}
			tally := tally{counts: counts{Prompts: test.prompts, Answered: test.answered, Failed: test.failed}}
			if got := tally.exitCode(&h); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
