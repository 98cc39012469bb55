package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// conclude prints the summary, beside the server's own bill where there is one, and what to do next. It returns code.
func (b *batch) conclude(code int, bill *fakellm.Ledger) int {
	switch {
	case b.out == nil || b.settings.out != "-":
		b.summarize(b.con.out, bill)
	case b.progress != "json":
		b.summarize(b.con.err, bill) // the answers went to stdout
	default: // whose last line has the figures
		for _, line := range b.inWords() {
			b.tell("%s", line)
		}
	}
	_, why := b.halt.wish()
	c := b.tally.now()
	switch code {
	case exitNotRecorded:
		b.tell("a result could not be recorded, and nothing was sent after that: %s", why)
	case exitPaused:
		b.tell("stopped, %d of %d prompts are left: %s", c.Prompts-c.finished(), c.Prompts, why)
	case exitInterrupted:
		b.tell("interrupted, %d of %d prompts are left", c.Prompts-c.finished(), c.Prompts)
		if last := b.tally.lastError(); last != "" && c.Answered == 0 {
			b.tell("nothing was answered; the last error: %s", last)
		}
	}
	if code == exitNotRecorded || code == exitPaused || code == exitInterrupted {
		b.tell("%s", b.howToGoOn(b.con))
	}
	return code
}

// howToGoOn says how to go on, by the same command.
func (s *settings) howToGoOn(con console) string {
	if s.journal == "" {
		return "the demo starts over"
	}
	again := "go on with: " + cmp.Or(con.name, "llmbatch") + " " + shell(s.command...)
	if s.in == "-" {
		again += ", and the same input"
	}
	return again
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
	if c.Before > 0 {
		row("done before", c.Before, "")
	}
	if c.Shared > 0 {
		row("of them shared", c.Shared, "")
	}
	if c.Failed > 0 || bill != nil {
		row("failed for good", c.Failed, "")
	}
	if left := c.Prompts - c.finished(); left > 0 {
		row("left", left, "")
	}
	row("requests", c.Requests, l.Received)
	row("throttled", c.Throttled, l.ThrottledRate+l.ThrottledArbitrary)
	row("errors", c.Errors, l.Failed()+l.Outage)
	if c.MaybeBilled > 0 {
		row("maybe billed", c.MaybeBilled, "") // of the errors
	}
	row("prompt tokens", c.PromptTokens, l.PromptTokens)
	row("completion tokens", c.CompletionTokens, l.CompletionTokens)
	if b.price.known {
		row("cost", fmt.Sprintf("$%.6f", c.USD), "")
	}
	row("time", c.took().Round(100*time.Millisecond), time.Duration(l.Elapsed*float64(time.Second)).Round(100*time.Millisecond))
	if ideal, by := b.ideal(); c.Answered > c.answeredBefore && bill == nil && ideal > 0 {
		row("ideal", fmt.Sprintf("%v, bound by %s", ideal.Round(100*time.Millisecond), by), "")
	}
	_ = w.Flush() // to a terminal or a pipe of the user's: nowhere to say that it failed
	for _, line := range b.inWords() {
		_, _ = fmt.Fprintln(out, line)
	}
	if b.settings.out != "-" && c.finished() > 0 {
		_, _ = fmt.Fprintf(out, "results are in %s\n", b.settings.out)
	}
}

// inWords is what the figures don't say.
func (b *batch) inWords() (lines []string) {
	for _, line := range b.tally.failures() {
		lines = append(lines, "failed for good: "+line)
	}
	if !b.ring.alive() { // which is why the run ended, and said there
		return lines
	}
	for _, line := range b.ring.deadKeys() {
		lines = append(lines, "set aside: "+line)
	}
	return lines
}

// took is how long it was until the last record.
func (c counts) took() time.Duration {
	if c.ended.IsZero() {
		return c.elapsed()
	}
	return c.ended.Sub(c.started)
}
