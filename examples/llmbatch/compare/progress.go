package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// progress says how a contender is getting on: on a terminal in a line that changes, elsewhere with a line now and then.
type progress struct {
	w       io.Writer
	name    string
	prompts int
	live    bool // w is a terminal
	every   time.Duration

	halt    chan struct{} // closed by stop
	running sync.WaitGroup
}

func newProgress(w io.Writer, name string, prompts int) *progress {
	p := &progress{w: w, name: name, prompts: prompts, every: 15 * time.Second}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.live, p.every = true, time.Second
	}
	return p
}

// start shows the bill now and then, until stop.
func (p *progress) start(bill func() fakellm.Ledger) {
	p.halt = make(chan struct{})
	began := time.Now()
	p.running.Go(func() {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show(time.Since(began), bill())
			case <-p.halt:
				return
			}
		}
	})
}

func (p *progress) stop() {
	close(p.halt)
	p.running.Wait()
}

func (p *progress) show(since time.Duration, l fakellm.Ledger) {
	line := fmt.Sprintf("%-24s %4.0f s  %d/%d answered, %d sent, %d × 429", // within 80 columns, so that a terminal can take it back
		p.name, since.Seconds(), l.Prompts-l.CompletedPerPrompt[0], p.prompts, l.Received, l.Throttled())
	if p.live {
		_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	say(p.w, "%s", line)
}

// done says what came of it.
func (p *progress) done(r *result) {
	if p.live {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
	say(p.w, "%-24s %6.1f s  %d/%d right, %d sent, %d × 429, %d billed",
		p.name, r.took.Seconds(), r.lines.right, p.prompts, r.bill.Received, r.bill.Throttled(), r.bill.Billed)
}
