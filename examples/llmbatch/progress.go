package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
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
		mode = "bar"
		answers := b.settings.out == "-" && isTerminal(b.con.out) // among which a bar would be drawn
		if answers || width(b.con.err) == 0 || os.Getenv("TERM") == "dumb" {
			mode = "plain"
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

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns w has, if it is a terminal that says so; or 0.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
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

// tell says something on standard error, in the form of what else is there.
func (b *batch) tell(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); b.progress == "json" {
		printJSON(b.con.err, map[string]string{"note": text})
	} else {
		b.con.say("llmbatch: %s", text)
	}
}

func printJSON(w io.Writer, v any) {
	line, err := json.Marshal(v)
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
func (b *batch) doing(r report) string { return strings.Join(b.news(r), ", ") }

// news is what goes on and what is waited for, the most important first.
func (b *batch) news(r report) []string {
	var parts []string
	if b.halt.isAsked() {
		parts = append(parts, fmt.Sprintf("stopping: %d under way, ^C stops at once", r.InFlight))
	}
	for _, lane := range r.Lanes {
		switch {
		case lane.Circuit != "closed":
			parts = append(parts, fmt.Sprintf("%s circuit %s: %s", lane.Name, lane.Circuit, b.tally.lastError()))
		case lane.Cooling > 0:
			parts = append(parts, fmt.Sprintf("%s cooling down %v", lane.Name, seconds(lane.Cooling).Round(100*time.Millisecond)))
		}
	}
	if len(parts) == 0 {
		if left := r.remaining(); left >= 0 {
			parts = append(parts, clock(left)+" to go")
		}
	}
	flying := fmt.Sprintf("%d in flight", r.InFlight)
	if r.Oldest >= 1 {
		flying += fmt.Sprintf(" (oldest %.0fs)", r.Oldest)
	}
	parts = append(parts, fmt.Sprintf("%.1f req/s", r.RequestRate)+of(r.RequestLimit), flying, fmt.Sprintf("%d to try again", r.Waiting))
	if r.TokenRate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f tok/s", r.TokenRate)+of(r.TokenLimit))
	}
	if b.price.known {
		parts = append(parts, fmt.Sprintf("$%.4f", r.USD))
	}
	for _, w := range r.WaitsFor {
		parts = append(parts, fmt.Sprintf("%d wait for %s", w.Prompts, w.What))
	}
	if r.Throttled > 0 {
		parts = append(parts, fmt.Sprintf("%d throttled", r.Throttled))
	}
	for i, part := range parts {
		parts[i] = oneLine(part) // models are named by the input
	}
	return parts
}

// of says which limit a rate has; nothing if it has none.
func of(limit float64) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf(" of %.4g", limit)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// fill puts parts into lines of so many columns, as many as it takes, up to most.
func fill(parts []string, columns, most int) []string {
	var lines []string
	for _, part := range parts {
		last := len(lines) - 1
		switch {
		case last >= 0 && runewidth.StringWidth(lines[last])+2+runewidth.StringWidth(part) <= columns:
			lines[last] += ", " + part
		case len(lines) < most:
			lines = append(lines, clip(part, columns))
		}
	}
	return lines
}

// clip cuts text to the given number of columns, of which a rune may take two, or none.
func clip(text string, columns int) string { return runewidth.Truncate(text, max(0, columns), "") }

// clock formats a duration as minutes and seconds.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// showBar draws a bar with some lines below it until end is closed. It is all there is to it: a library that was tried counts what is
// below a bar as one line.
func showBar(b *batch, end <-chan struct{}) {
	s := sketch{to: b.con.err}
	draw := func() { s.draw(b.picture(s.columns())) }
	draw()
	every(200*time.Millisecond, end, draw)
	draw()
}

// picture is what a terminal of so many columns shows.
func (b *batch) picture(columns int) []string {
	r := b.report()
	head := fmt.Sprintf("%d/%d answered%s ", r.Answered, r.Prompts, failed(r.counts))
	done := float64(r.finished()) / float64(max(1, r.Prompts))
	percent := fmt.Sprintf(" %d %%", int(100*done))
	lines := []string{head + bar(columns-runewidth.StringWidth(head)-len(percent), done) + percent}
	return append(lines, fill(append([]string{clock(r.elapsed())}, b.news(r)...), columns, 4)...)
}

// bar is a bar of so many columns; nothing where there is no room for one.
func bar(columns int, done float64) string {
	if columns < 5 {
		return ""
	}
	full := int(done * float64(columns-2))
	return "[" + strings.Repeat("=", full) + strings.Repeat("-", columns-2-full) + "]"
}

// sketch is some lines on a terminal that are drawn again and again in the same place.
type sketch struct {
	to    io.Writer
	drawn []string
}

// columns is how wide the terminal is now. A line that wraps would not be where it is looked for, so one is left free.
func (s *sketch) columns() int {
	if columns := width(s.to); columns > 0 {
		return max(1, columns-1)
	}
	return 79
}

// rowsOf is how many rows of so many columns a line takes. A rune that has no room at the end of one stands in the next.
func rowsOf(line string, columns int) int {
	rows, used := 1, 0
	for _, r := range line {
		width := runewidth.RuneWidth(r)
		if used += width; used > columns {
			rows, used = rows+1, width
		}
	}
	return rows
}

// draw puts lines in place of those drawn before, which take more rows by now if the terminal has become narrower.
func (s *sketch) draw(lines []string) {
	rows, width := 0, s.columns()+1
	for _, line := range s.drawn {
		rows += rowsOf(line, width)
	}
	const up, erase = "\x1b[%dA", "\x1b[J"
	var out strings.Builder
	if rows > 0 {
		fmt.Fprintf(&out, up, rows)
	}
	out.WriteString("\r" + erase)
	for _, line := range lines {
		out.WriteString(line + "\n")
	}
	_, _ = io.WriteString(s.to, out.String())
	s.drawn = lines
}
