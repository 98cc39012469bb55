package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// report is all that is written down.
type report struct {
	scenario
	command string
	began   time.Time
	took    time.Duration
	results []result
}

// ours is the result of llmbatch.
func (r *report) ours() *result { return &r.results[len(r.results)-1] }

// text is the report in Markdown.
func (r *report) text() []byte {
	var b bytes.Buffer
	b.WriteString("# llmbatch beside what one would write instead\n\n")
	fmt.Fprintf(&b, "Written by `%s`.\n\n", r.command)
	r.facts(&b)
	r.table(&b)
	r.legend(&b)
	r.verdict(&b)
	return b.Bytes()
}

func (r *report) facts(b *bytes.Buffer) {
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	row("date", "%s, %v", r.began.UTC().Format("2006-01-02 15:04 UTC"), r.took.Round(time.Second))
	row("machine", "%s, %d cores, %s/%s", processorName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	row("versions", "%s, golang.org/x/sync %s", runtime.Version(), versionOf("golang.org/x/sync"))
	row("prompts", "%s, seed %d", grouped(len(r.prompts)), r.api.Seed)
	row("API", "%g requests a second, %g at once; an answer takes %v to %v", r.api.Rate, r.api.Burst, r.api.Latency.Min, r.api.Latency.Max)
	row("faults", "%g %% of the requests that are admitted, at most two of a prompt, in equal parts: %s", 100*r.api.Faults.Share, r.kinds())
	row("ideal", "%s requests must be admitted until all is answered, less %g at once, at %g a second: %s s", grouped(r.needed()), r.api.Burst, r.api.Rate, seconds(r.ideal()))
	b.WriteString("\n")
}

// kinds names the faults.
func (r *report) kinds() string {
	var plain, billed []string
	for _, fault := range r.api.Faults.Kinds {
		name := "`" + string(fault) + "`"
		if fault.Billed() {
			billed = append(billed, name)
		} else {
			plain = append(plain, name)
		}
	}
	return strings.Join(plain, ", ") + "; and billed, though the answer is lost: " + strings.Join(billed, ", ")
}

func (r *report) table(b *bytes.Buffer) {
	fmt.Fprintf(b, "| | lines right, of %s | billed | in vain | requests | 429 | time | × ideal |\n|---|--:|--:|--:|--:|--:|--:|--:|\n", grouped(len(r.prompts)))
	for i := range r.results {
		got := &r.results[i]
		times := "–"
		if t := r.times(got); t > 0 && got.lines.right == len(r.prompts) {
			times = fmt.Sprintf("%.2f", t)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s s | %s |\n", got.name, grouped(got.lines.right), grouped(got.bill.Billed), grouped(got.vain()),
			grouped(got.bill.Received), grouped(got.bill.Throttled()), seconds(got.took), times)
	}
	b.WriteString("\n")
}

func (r *report) legend(b *bytes.Buffer) {
	b.WriteString("A line is right if it is the only one of its prompt and holds the whole answer to it. All but the lines and the time is the API's own\n" +
		"count: billed is what it has charged, in vain is what of that has no right line to show for it, and requests are all that reached it.\n" +
		"The time of who does not answer every prompt is no time for this work, and is not compared with the ideal. The contenders run one\n" +
		"after the other, each against a fresh API with the same seed, and write lines of OpenAI Batch.\n\n")
	for i := range r.results {
		got := &r.results[i]
		fmt.Fprintf(b, "- **%s**: %s Lines that say that it failed: %s, wrong: %s, none: %s. Billed faults: %s.\n", got.name, got.how,
			grouped(got.lines.failed), grouped(got.lines.wrong), grouped(got.lines.missing), grouped(got.ambiguous()))
	}
	b.WriteString("\n")
}

// verdict says whether the promises are kept.
func (r *report) verdict(b *bytes.Buffer) {
	ours := r.ours()
	faults := r.broken(ours)
	for _, fault := range faults {
		fmt.Fprintf(b, "**%v**\n", fault)
	}
	if len(faults) == 0 {
		fmt.Fprintf(b, "llmbatch keeps what it promises: every line right, and billed no more than the prompts and the %s faults that left no choice", grouped(ours.ambiguous()))
		if len(r.prompts) >= defaultPrompts {
			fmt.Fprintf(b, ",\nin at most %g times the ideal", mostTimes)
		}
		b.WriteString(".\n")
	}
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }

// versionOf is the version of a module that this program was built with.
func versionOf(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "of unknown version"
}

// processorName names the CPU.
func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown CPU (" + runtime.GOARCH + ")"
}
