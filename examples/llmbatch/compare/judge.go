package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// lines is what an output holds, by prompt: each is in one of the counts.
type lines struct {
	right   int // one line, and it is the answer to this prompt, whole
	wrong   int // an answer that is another prompt's, or more than one line
	failed  int // one line that says so
	missing int // no line
}

// judge reads an output, first as llmbatch verify does. An error means that it is none that can be judged.
func judge(t task) (lines, error) {
	report, err := batchfile.Verify(t.in, t.out, batchfile.Options{})
	if err != nil {
		return lines{}, err
	}
	if report.Foreign.Count+report.Malformed.Count > 0 || report.Torn {
		var why bytes.Buffer
		_, _ = report.WriteTo(&why)
		return lines{}, fmt.Errorf("the output is none:\n%s", &why)
	}
	records, err := readRecords(t.out)
	if err != nil {
		return lines{}, err
	}
	var n lines
	for _, p := range t.prompts {
		switch own := records[p.id]; {
		case len(own) == 0:
			n.missing++
		case len(own) == 1 && !own[0].Succeeded():
			n.failed++
		case len(own) == 1 && bytes.Contains(own[0].Response.Body, []byte(fakellm.Digest(p.text))):
			n.right++
		default:
			n.wrong++
		}
	}
	return n, nil
}

// readRecords returns the lines of an output by their ids.
func readRecords(path string) (map[string][]batchfile.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	records := make(map[string][]batchfile.Record)
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			record, err := batchfile.ParseRecord(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				return nil, err
			}
			records[record.CustomID] = append(records[record.CustomID], record)
		}
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// result is what came of one contender.
type result struct {
	contender
	lines lines
	bill  fakellm.Ledger
	took  time.Duration
}

// ambiguous is how many requests met a fault after the model had run: they are billed, and nobody can have their answer.
func (r *result) ambiguous() int {
	n := 0
	for fault, count := range r.bill.Faults {
		if fault.Billed() {
			n += count
		}
	}
	return n
}

// vain is how many were billed without a right line to show for it.
func (r *result) vain() int { return r.bill.Billed - r.lines.right }

// times is the time as a multiple of the ideal; 0 if there is none.
func (s *scenario) times(r *result) float64 {
	if s.ideal() == 0 {
		return 0
	}
	return float64(r.took) / float64(s.ideal())
}

// mostTimes is how many times the ideal llmbatch may take.
const mostTimes = 1.1

// errBroken: llmbatch has not kept a promise.
var errBroken = errors.New("not kept by llmbatch")

// broken returns the promises that a result does not keep: every prompt answered, none billed again but after a fault that left no
// choice, and no more than a tenth longer than the ideal. Time is judged of as many prompts as it was promised for.
func (s *scenario) broken(r *result) []error {
	var faults []error
	if n := len(s.prompts); r.lines.right != n {
		faults = append(faults, fmt.Errorf("%w: %d lines are right, of %d", errBroken, r.lines.right, n))
	}
	if most := len(s.prompts) + r.ambiguous(); r.bill.Billed > most {
		faults = append(faults, fmt.Errorf("%w: %d are billed, which %d would be with its %d ambiguous faults", errBroken, r.bill.Billed, most, r.ambiguous()))
	}
	if times := s.times(r); len(s.prompts) >= defaultPrompts && times > mostTimes {
		faults = append(faults, fmt.Errorf("%w: the time is %.3f times the ideal, more than %g", errBroken, times, mostTimes))
	}
	return faults
}
