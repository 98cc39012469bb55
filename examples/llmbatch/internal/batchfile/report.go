package batchfile

import (
	"fmt"
	"io"
	"strings"
)

// maxExamples is how many examples of a finding are kept.
const maxExamples = 5

// Report is what Verify found. Each line of the output is in one class, Lines = Succeeded + Failed + Duplicate + Foreign + Malformed, and each item
// of the input is too, Inputs = Succeeded + Failed + Missing.
type Report struct {
	In, Out string // the names of the files

	Inputs int // items of the input
	Lines  int // lines of the output, blank ones counted

	Succeeded int     // items whose line has an answer; see Record.Succeeded
	Failed    Finding // items whose line says that they failed; that is a proper outcome
	Missing   Finding // items without a line; the lines of the examples are those of the input
	Duplicate Finding // lines whose item has a line already
	Foreign   Finding // lines whose id is not in the input
	Malformed Finding // lines that are not in the output format
	Torn      bool    // the last line has no end, or the compressed stream has none: the write was cut short
}

// Finding counts what was found, and keeps the first five.
type Finding struct {
	Count    int
	Examples []Example
}

// Example is one of the things found.
type Example struct {
	Line   int    // in the file that has it
	ID     string // its custom_id; "" where it has none that can be read
	Reason string // what is wrong with it
}

func (f *Finding) add(e Example) {
	f.Count++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, e)
	}
}

// OK says that the output is proven: each item has exactly one line, and there is nothing else. Failed items are no fault of it.
func (r Report) OK() bool {
	return r.Missing.Count+r.Duplicate.Count+r.Foreign.Count+r.Malformed.Count == 0 && !r.Torn && r.Inputs > 0
}

// WriteTo prints the report for a person. It ends in the verdict.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "input      %9d  %s\n", r.Inputs, r.In)
	fmt.Fprintf(&b, "output     %9d  %s\n", r.Lines, r.Out)
	fmt.Fprintf(&b, "succeeded  %9d\n", r.Succeeded)
	for _, row := range r.findings() {
		fmt.Fprintf(&b, "%-10s %9d\n", row.name, row.Count)
		for _, e := range row.Examples {
			id := ""
			if e.ID != "" {
				id = Quote(e.ID) + ": "
			}
			fmt.Fprintf(&b, "    %s:%d: %s%s\n", row.file, e.Line, id, e.Reason)
		}
		if more := row.Count - len(row.Examples); more > 0 {
			fmt.Fprintf(&b, "    and %d more\n", more)
		}
	}
	b.WriteString(r.verdict() + "\n")
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

type namedFinding struct {
	name, file string
	Finding
}

func (r Report) findings() []namedFinding {
	return []namedFinding{
		{"failed", r.Out, r.Failed},
		{"missing", r.In, r.Missing},
		{"duplicate", r.Out, r.Duplicate},
		{"foreign", r.Out, r.Foreign},
		{"malformed", r.Out, r.Malformed},
	}
}

// verdict is the report in a line.
func (r Report) verdict() string {
	if r.OK() {
		return "proven: every input has exactly one line, and there is no other line"
	}
	var faults []string
	for _, row := range r.findings()[1:] { // failed is no fault
		if row.Count > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", row.Count, row.name))
		}
	}
	if r.Torn {
		faults = append(faults, "the last line is torn")
	}
	if r.Inputs == 0 {
		faults = append(faults, "no input")
	}
	return "not proven: " + strings.Join(faults, ", ")
}
