package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// halt is the wish to end before all is done, and why. The first wish counts, save that a failure to record beats all.
type halt struct {
	mu   sync.Mutex
	code int    // guarded by mu; the exit code wished for; 0: none
	why  string // guarded by mu
}

// ask wishes for an end, and reports whether it is the first to.
func (h *halt) ask(code int, why string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.code == 0
	if first || code == exitNotRecorded {
		h.code, h.why = code, why
	}
	return first
}

func (h *halt) isAsked() bool {
	code, _ := h.wish()
	return code != 0
}

func (h *halt) wish() (code int, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.code, h.why
}

// obey lets the first signal end the run gently, and the second at once, until ctx ends. A third ends the program: nobody may read what it
// writes, and the files of a run survive that.
func (b *batch) obey(ctx context.Context, cancel context.CancelFunc, signals <-chan os.Signal) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	b.stop(exitInterrupted, "interrupted")
	if !b.live {
		if b.progress != "json" {
			b.con.say("") // the terminal has shown ^C
		}
		b.tell("stopping; waiting up to %v for the requests under way (again to stop at once)", drainTime)
	}
	select {
	case <-ctx.Done():
	case <-signals:
		cancel()
		signal.Reset(os.Interrupt, syscall.SIGTERM)
	}
}

// drain starts nothing more, and gives what is under way its time.
func (b *batch) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	_ = b.d.Stop(ctx) // what it has to abort is told by the jobs themselves
}
