package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// tally counts what has become of the pages.
type tally struct {
	read, fetched, summarized, stored, out atomic.Int64 // out: stored or failed

	most int64 // pages under way at once; touched where the source is read, and by conclude
}

// offbeat keeps the lines apart from the beat of the limits, so that each shows a moment at which nothing changes.
const offbeat = 3 * time.Millisecond

// report writes a line a second until stop is called, which waits for the last line to be written.
func (t *tally) report(out io.Writer) (stop func()) {
	_, _ = fmt.Fprintln(out, "        read   fetched     a second   summarized     a second   stored   under way")
	ended, done := make(chan struct{}), make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(done)
		var fetched, summarized int64
		timer := time.NewTimer(time.Second + offbeat)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-ended:
				return
			}
			timer.Reset(time.Second)
			f, s := t.fetched.Load(), t.summarized.Load()
			_, _ = fmt.Fprintf(out, "%4v %7d %9d %12s %12d %12s %8d %11d\n", time.Since(begin).Truncate(time.Second),
				t.read.Load(), f, fmt.Sprintf("(+%d)", f-fetched), s, fmt.Sprintf("(+%d)", s-summarized), t.stored.Load(), t.read.Load()-t.out.Load())
			fetched, summarized = f, s
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// shownFailures is how many failures are written out.
const shownFailures = 5

// conclude writes what became of all pages. Nothing is under way any more.
func (t *tally) conclude(out io.Writer, failed []string) {
	_, _ = fmt.Fprintf(out, "\n%d pages read: %d stored, %d failed. At no time were more than %d under way; the windows are %d together.\n",
		t.read.Load(), t.stored.Load(), len(failed), t.most, fetchWindow+summaryWindow+storeWindow)
	for i, line := range failed {
		if i == shownFailures {
			_, _ = fmt.Fprintf(out, "… and %d more\n", len(failed)-i)
			break
		}
		_, _ = fmt.Fprintln(out, line)
	}
}
