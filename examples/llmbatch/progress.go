package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/toller-go/toller/policy"
)

// display shows how far the run is.
type display struct {
	end  chan struct{}
	done sync.WaitGroup
}

// newDisplay starts the display that -progress asks for: a live bar on a terminal, a line now and then elsewhere.
func newDisplay(b *batch) *display {
	d := &display{end: make(chan struct{})}
	mode := b.progress
	if mode == "auto" {
		mode = "plain"
		if f, ok := b.con.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			mode = "bar"
		}
	}
	switch mode {
	case "bar":
		b.live = true
		d.done.Go(func() { showBar(b, d.end) })
	case "plain":
		d.done.Go(func() { every(5*time.Second, d.end, func() { b.con.say("%s", b.line()) }) })
	case "json":
		d.done.Go(func() {
			every(time.Second, d.end, func() { printJSON(b.con.err, b.report()) })
			printJSON(b.con.err, b.report()) // whoever reads this wants the last word, too
		})
	}
	return d
}

// stop ends the display and waits until it has left the terminal alone.
func (d *display) stop() {
	close(d.end)
	d.done.Wait()
}

// every calls do again and again until end is closed.
func every(interval time.Duration, end <-chan struct{}, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-end:
			return
		}
	}
}

// report is the run at one moment, for programs.
type report struct {
	Seconds float64 `json:"seconds"`
	counts
	InFlight int `json:"in_flight"`
	Queued   int `json:"queued"`  // waiting for a worker, a limit, or their key
	Waiting  int `json:"waiting"` // waiting to be tried again

	Oldest float64 `json:"oldest_seconds"` // how long the longest of those in flight has taken
}

func (b *batch) report() report {
	c, s := b.tally.now(), b.d.Snapshot()
	return report{Seconds: c.elapsed().Seconds(), counts: c, InFlight: s.Running, Queued: s.Queued, Waiting: s.Waiting, Oldest: b.tally.oldest().Seconds()}
}

func printJSON(w io.Writer, r report) {
	line, err := json.Marshal(r)
	if err == nil {
		_, _ = fmt.Fprintf(w, "%s\n", line)
	}
}

// line is the run at one moment, for people.
func (b *batch) line() string {
	r := b.report()
	return fmt.Sprintf("%s  %d/%d answered%s  %s", clock(r.elapsed()), r.Answered, r.Prompts, failed(r.counts), b.doing(r))
}

func failed(c counts) string {
	if c.Failed == 0 {
		return ""
	}
	return fmt.Sprintf(", %d failed", c.Failed)
}

// doing says what goes on and what is waited for.
func (b *batch) doing(r report) string {
	var parts []string
	if b.halt.isAsked() {
		parts = append(parts, fmt.Sprintf("stopping: %d under way, ^C stops at once", r.InFlight))
	}
	for _, key := range b.d.Snapshot().Keys {
		switch {
		case key.Circuit != policy.Closed:
			parts = append(parts, fmt.Sprintf("%s circuit %v: %s", key.Key, key.Circuit, b.tally.lastError()))
		case key.Cooling > 0:
			parts = append(parts, fmt.Sprintf("%s cooling down %v", key.Key, key.Cooling.Round(100*time.Millisecond)))
		}
	}
	if len(parts) == 0 {
		if left := r.remaining(); left >= 0 {
			parts = append(parts, clock(left)+" to go")
		}
	}
	parts = append(parts,
		fmt.Sprintf("%.1f req/s", float64(r.Requests)/max(r.Seconds, 0.001)),
		fmt.Sprintf("%d in flight", r.InFlight),
		fmt.Sprintf("%d to try again", r.Waiting),
	)
	if r.Throttled > 0 {
		parts = append(parts, fmt.Sprintf("%d throttled", r.Throttled))
	}
	return strings.Join(parts, ", ")
}

// clip cuts text to the given number of columns; all we print takes one column a rune.
func clip(text string, columns int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), max(0, columns))])
}

// clock formats a duration as minutes and seconds.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// showBar draws a bar with a line below it until end is closed.
func showBar(b *batch, end <-chan struct{}) {
	const refresh = 200 * time.Millisecond
	p := mpb.New(mpb.WithOutput(b.con.err), mpb.WithRefreshRate(refresh), mpb.WithAutoRefresh())
	below := func(w io.Writer, s decor.Statistics) error {
		r := b.report()
		// A line that wraps would be counted as one by what clears it, and the rest would stay on the screen.
		_, err := fmt.Fprintln(w, clip(clock(r.elapsed())+"  "+b.doing(r), s.AvailableWidth))
		return err
	}
	bar := p.New(int64(b.src.sum.Items), mpb.BarStyle().Rbound("]"),
		mpb.BarExtender(mpb.BarFillerFunc(below), false),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			c := b.tally.now()
			return fmt.Sprintf("%d/%d answered%s ", c.Answered, c.Prompts, failed(c))
		})),
		mpb.AppendDecorators(decor.Percentage()),
	)
	every(refresh, end, func() { bar.SetCurrent(int64(b.tally.now().finished())) })
	bar.SetCurrent(int64(b.tally.now().finished()))
	bar.Abort(false) // no effect on a bar that is full
	p.Wait()
}
