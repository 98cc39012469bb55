package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/toller-go/toller/bench/internal/machine"
)

// report is what a run has to say.
type report struct {
	command string
	began   time.Time
	took    time.Duration
	loads   [2]string // load averages, before and after
	procs   int
	rounds  int
	quick   bool
	results []result
	targets []verdict
}

// writeTo writes the report in Markdown.
func (r *report) writeTo(w io.Writer) error {
	p := &printer{w: w}
	p.line("# The dispatcher beside its peers")
	p.line("")
	p.line("Written by `%s`.", r.command)
	if r.quick {
		p.line("")
		p.line("**A quick run, with few jobs: its figures show that everything works, and no more.**")
	}
	r.writeMachine(p)
	r.writeTargets(p)
	for i := range r.results {
		r.results[i].writeTo(p)
	}
	return p.err
}

func (r *report) writeMachine(p *printer) {
	p.line("")
	p.line("| | |")
	p.line("|---|---|")
	p.line("| date | %s, %v |", r.began.UTC().Format("2006-01-02 15:04 MST"), r.took.Round(time.Second))
	p.line("| machine | %s, %s, GOMAXPROCS %d, %s/%s |", machine.Processor(), plural(runtime.NumCPU(), "core"), r.procs, runtime.GOOS, runtime.GOARCH)
	if r.loads[0] != "" {
		p.line("| load average | %s before, %s after |", r.loads[0], r.loads[1])
	}
	p.line("| Go | %s |", runtime.Version())
	p.line("| peers | %s |", strings.Join(versions(), ", "))
	p.line("| rounds | %d |", r.rounds)
	p.line("")
	p.line("%s", legend)
}

const legend = `Only ratios of the same run mean anything. In each round all contenders are measured in turn, each in a process of its own, and
each time another one is the first. Figures are medians of the rounds (least…greatest); a multiple is the median of the rounds'
own. All contenders must have done the same work: as many jobs, whose results have the same sum.

"dispatcher" has a limit that does not bind, retries and a breaker, unless its name says otherwise; so have failsafe-go, and
gobreaker, x/time/rate and backoff. The others have none of these. "… + channel" gives each job a channel for its result,
as futures do for others. A goroutine per job, and failsafe-go async without a bulkhead, bound nothing. Allocations
and bytes are those of a job, with what the caller needs for it: a closure, and perhaps a channel.`

func (r *report) writeTargets(p *printer) {
	p.line("")
	p.line("## Targets")
	p.line("")
	p.line("| what | ours | theirs | outcome | target | |")
	p.line("|---|---|---|---|---|---|")
	for i := range r.targets {
		v := &r.targets[i]
		ours, theirs := "", ""
		if v.measured {
			ours = number(v.ours.median)
		}
		if v.measured && v.by != alone {
			theirs = number(v.theirs.median)
		}
		p.line("| %s | %s | %s | %s | %s | %s |", v.what, ours, theirs, v.outcome(), v.goal(), v.word())
	}
	met, measured := 0, 0
	for i := range r.targets {
		if v := &r.targets[i]; v.measured {
			measured++
			if v.met() {
				met++
			}
		}
	}
	p.line("")
	p.line("%d of %d met; %d not measured. Why targets are missed is told in MISSES.md.", met, measured, len(r.targets)-measured)
}

// writeTo writes the table of a workload.
func (r *result) writeTo(p *printer) {
	p.line("")
	p.line("## %s", strings.ToUpper(r.workload.title[:1])+r.workload.title[1:])
	p.line("")
	p.line("%s", r.workload.about)
	p.line("")
	head, rule := "| |", "|---|"
	reference := r.workload.entrants[0].name
	for _, c := range r.workload.columns {
		head, rule = head+" "+c.title+" |", rule+"---|"
		if c.multiple {
			head, rule = head+" × "+reference+" |", rule+"---|"
		}
	}
	p.line("%s", head)
	p.line("%s", rule)
	for _, e := range r.workload.entrants {
		cells := make([]string, len(r.workload.columns))
		for i, c := range r.workload.columns {
			cells[i] = r.cell(e.name, reference, c)
		}
		p.line("| %s |%s", e.name, strings.Join(cells, ""))
	}
}

// cell is a figure of a contender, and if the column has that, what multiple of the reference's it is.
func (r *result) cell(contender, reference string, c column) string {
	values := r.values(contender, c.figure)
	switch {
	case len(values) == 0 && c.multiple:
		return " – | – |"
	case len(values) == 0:
		return " – |"
	}
	cell := number(spreadOf(values).median)
	if c.spread {
		cell = spreadOf(values).String()
	}
	if c.multiple {
		multiples := pairs(values, r.values(reference, c.figure), func(its, ours float64) float64 { return its / ours })
		cell += " | " + number(spreadOf(multiples).median)
	}
	return " " + cell + " |"
}

// printer writes lines until that fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
