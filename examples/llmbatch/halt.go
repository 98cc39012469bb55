package main

import (
	"context"
	"os"
	"sync"
)

// halt is the wish to end before all is done, and why. The first wish counts, save that a failure to record beats all.
type halt struct {
	mu   sync.Mutex
	code int    // guarded by mu; the exit code wished for; 0: none
	why  string // guarded by mu
}

// ask wishes for an end.
func (h *halt) ask(code int, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.code == 0 || code == exitNotRecorded {
		h.code, h.why = code, why
	}
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

// obey lets the first signal end the run gently, and the second at once, until ctx ends.
func (b *batch) obey(ctx context.Context, cancel context.CancelFunc, signals <-chan os.Signal) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	b.halt.ask(exitInterrupted, "interrupted")
	go b.drain()
	b.con.say("\nllmbatch: stopping; waiting up to %v for the requests under way (again to stop at once)", drainTime)
	select {
	case <-ctx.Done():
	case <-signals:
		cancel()
	}
}

// drain starts nothing more, and gives what is under way its time.
func (b *batch) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	_ = b.d.Stop(ctx) // what it has to abort is told by the jobs themselves
}
