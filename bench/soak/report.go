package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/toller-go/toller/bench/internal/machine"
)

// report is what a run has to say.
type report struct {
	command  string
	began    time.Time
	took     time.Duration
	loads    [2]string // load averages, before and after
	taken    []figures
	seed     uint64
	refused  int64
	resolved int64
	ended    int64
	audited  int64
	reasons  [len(reasons)]int64
	err      error
}

// read takes what a soak has counted.
func (r *report) read(s *soak) {
	r.taken, r.seed = s.taken, s.seed
	r.refused, r.resolved, r.ended, r.audited = s.refused.Load(), s.resolved.Load(), s.ended.Load(), s.audited.Load()
	for i := range s.reasons {
		r.reasons[i] = s.reasons[i].Load()
	}
}

// writeTo writes the report in Markdown.
func (r *report) writeTo(w io.Writer) error {
	var b bytes.Buffer
	line := func(format string, args ...any) { say(&b, format+"\n", args...) }
	line("# A soak")
	line("")
	line("Jobs with every kind of fault, through dispatchers that are closed and stopped under them: `go run ./bench/soak -h`. It is")
	line("measured when nothing is under way; a dispatcher that lives as long as the run is in it, with its 8 workers.")
	line("")
	line("| | |")
	line("|---|---|")
	line("| command | `%s` |", r.command)
	line("| date | %s, %v |", r.began.UTC().Format("2006-01-02 15:04 MST"), r.took.Round(time.Second))
	line("| machine | %s, %d cores, GOMAXPROCS %d, %s/%s, %s |",
		machine.Processor(), runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if r.loads[0] != "" {
		line("| load average | %s before, %s after |", r.loads[0], r.loads[1])
	}
	line("| seed | %d |", r.seed)
	line("| jobs | %d resolved, %d submissions refused |", r.resolved, r.refused)
	line("| dispatchers | %d ended; the settled jobs of %d were counted by a listener, too |", r.ended, r.audited)
	line("")
	line("| jobs accepted | ns/job | dispatchers ended | heap after GC | in use | goroutines | descriptors |")
	line("|---|---|---|---|---|---|---|")
	for i, f := range r.taken {
		pace := ""
		if i > 0 {
			pace = fmt.Sprint(f.took.Nanoseconds() / max(1, f.jobs-r.taken[i-1].jobs))
		}
		descriptors := "?"
		if f.descriptors >= 0 {
			descriptors = fmt.Sprint(f.descriptors)
		}
		line("| %d | %s | %d | %s | %s | %d | %s |", f.jobs, pace, f.ended, kilobytes(f.heap), kilobytes(f.inUse), f.goroutines, descriptors)
	}
	if r.err != nil {
		line("")
		line("**Something is wrong**, see standard error.")
	}
	line("")
	line("| end | jobs |")
	line("|---|---|")
	for i, known := range reasons {
		line("| %s | %d |", known.name, r.reasons[i])
	}
	_, err := w.Write(b.Bytes())
	return err
}

func kilobytes(n uint64) string { return fmt.Sprintf("%.1f kB", float64(n)/1000) }
