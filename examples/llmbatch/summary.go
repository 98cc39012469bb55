package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/fakellm"
)

// conclude prints the summary, beside the server's own bill where there is one, and what to do next. It returns code.
func (b *batch) conclude(code int, bill *fakellm.Ledger) int {
	out := b.con.out
	if b.out != nil && b.settings.out == "-" {
		out = b.con.err // the answers went to stdout
	}
	b.summarize(out, bill)
	_, why := b.halt.wish()
	c := b.tally.now()
	switch code {
	case exitNotRecorded:
		b.con.say("llmbatch: a result could not be recorded, and nothing more was sent: %s", why)
	case exitPaused:
		b.con.say("llmbatch: paused, %d of %d prompts are left: %s", c.Prompts-c.finished(), c.Prompts, why)
	case exitInterrupted:
		b.con.say("llmbatch: interrupted, %d of %d prompts are left", c.Prompts-c.finished(), c.Prompts)
	}
	if code == exitNotRecorded || code == exitPaused || code == exitInterrupted {
		b.con.say("llmbatch: a run cannot be continued yet: a new one starts over, with another -o, or once %s is removed", b.settings.out)
	}
	return code
}

func (b *batch) summarize(out io.Writer, bill *fakellm.Ledger) {
	c := b.tally.now()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(label string, ours, theirs any) {
		if bill == nil {
			_, _ = fmt.Fprintf(w, "%s\t%v\t\n", label, ours)
		} else {
			_, _ = fmt.Fprintf(w, "%s\t%v\t%v\t\n", label, ours, theirs)
		}
	}
	l := fakellm.Ledger{}
	if bill != nil {
		l = *bill
		row("", "this run", "the server's bill")
	}
	row("prompts", c.Prompts, l.Prompts)
	row("answered", c.Answered, l.Completed)
	if c.Failed > 0 || bill != nil {
		row("failed for good", c.Failed, "")
	}
	if left := c.Prompts - c.finished(); left > 0 {
		row("left", left, "")
	}
	row("requests", c.Requests, l.Received)
	row("throttled", c.Throttled, l.ThrottledRate+l.ThrottledArbitrary)
	row("errors", c.Errors, l.Failed()+l.Outage)
	row("prompt tokens", c.PromptTokens, l.PromptTokens)
	row("completion tokens", c.CompletionTokens, l.CompletionTokens)
	row("time", c.took().Round(100*time.Millisecond), time.Duration(l.Elapsed*float64(time.Second)).Round(100*time.Millisecond))
	_ = w.Flush() // to a terminal or a pipe of the user's: nowhere to say that it failed
	if b.settings.out != "-" {
		_, _ = fmt.Fprintf(out, "results are in %s\n", b.settings.out)
	}
}

// took is how long it was until the last record.
func (c counts) took() time.Duration {
	if c.ended.IsZero() {
		return c.elapsed()
	}
	return c.ended.Sub(c.started)
}
