package batchfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// maxOutputLine is the longest line of an output: the longest body there may be, with every byte escaped as \u00xx.
const maxOutputLine = 512 << 20

// notInput marks a line of the input that is no item, in verifier.answered.
const notInput = math.MaxUint32

// verifier is one run of Verify.
type verifier struct {
	report   Report
	ids      *idTable // id -> line of the input
	answered []uint32 // by line of the input: the line of the output that answers it, 0 for none, notInput
}

// Verify compares an output with its input, and proves that every item has exactly one line, and that there is nothing else. It reads
// the ids of the input only (Options.IDsOnly), so that it needs neither a model nor the prompt field. "-" is Options.Stdin, for one of
// the two files. The error means that there is no proof either way: a file that can't be read, or an input that is faulty
// itself (an *InputError). What is wrong with the output is in the Report.
func Verify(in, out string, opt Options) (Report, error) {
	if in == "-" && out == "-" {
		return Report{}, errors.New("only one of the input and the output can be standard input")
	}
	opt.IDsOnly, opt.SkipDuplicates = true, false
	v := verifier{report: Report{In: in, Out: out}}
	if err := v.readInput(opt); err != nil {
		return Report{}, err
	}
	if err := v.readOutput(opt); err != nil {
		return Report{}, err
	}
	if err := v.findMissing(opt); err != nil {
		return Report{}, err
	}
	return v.report, nil
}

// readInput fills ids and answered.
func (v *verifier) readInput(opt Options) error {
	r, err := Open(v.report.In, opt)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // read only: an error here has nothing to say
	err = r.each(func(item Item) {
		for len(v.answered) < item.Line {
			v.answered = append(v.answered, notInput) // blank lines, and line 0
		}
		v.answered = append(v.answered, 0)
		v.report.Inputs++
	})
	v.ids = r.ids
	return err
}

// readOutput judges the output line by line.
func (v *verifier) readOutput(opt Options) error {
	in, name, err := OpenInput(v.report.Out, opt.Stdin)
	if errors.Is(err, io.ErrUnexpectedEOF) { // gzip that ends in its header
		v.report.Torn = true
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() // read only: an error here has nothing to say
	lines := newLineReader(in, maxOutputLine)
	for {
		line, ended, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // gzip: the process that wrote it was killed
			v.report.Torn = true
			return nil
		case errors.Is(err, errTooLong):
			v.report.Lines++
			v.report.Torn = !ended
			v.report.Malformed.add(Example{Line: lines.line, Reason: fmt.Sprintf("longer than %d bytes", lines.max)})
			continue
		case err != nil:
			return fmt.Errorf("%s: after line %d: %w", name, lines.line-1, err)
		}
		v.report.Lines++
		v.report.Torn = !ended
		v.line(line, lines.line)
	}
}

// line counts one line of the output, in exactly one class.
func (v *verifier) line(line []byte, n int) {
	r, bad := parseRecord(line)
	if bad != nil {
		v.report.Malformed.add(Example{Line: n, Reason: bad.Msg})
		return
	}
	at := v.ids.find(r.CustomID)
	if at == 0 {
		v.report.Foreign.add(Example{Line: n, ID: r.CustomID, Reason: "no such id in the input"})
		return
	}
	if first := v.answered[at]; first != 0 {
		v.report.Duplicate.add(Example{Line: n, ID: r.CustomID, Reason: fmt.Sprintf("answered on line %d already", first)})
		return
	}
	v.answered[at] = uint32(min(n, notInput-1))
	switch {
	case r.Succeeded():
		v.report.Succeeded++
	case r.Error != nil:
		v.report.Failed.add(Example{Line: n, ID: r.CustomID, Reason: "error " + Quote(r.Error.Code)})
	case r.Response.StatusCode/100 == 2:
		v.report.Failed.add(Example{Line: n, ID: r.CustomID, Reason: fmt.Sprintf("status %d, but the body is no answer", r.Response.StatusCode)})
	default:
		v.report.Failed.add(Example{Line: n, ID: r.CustomID, Reason: fmt.Sprintf("status %d", r.Response.StatusCode)})
	}
}

// findMissing counts the items without a line. The ids are in the file only, so it is read once more, up to the last example; standard
// input or a pipe can't be, and there the line has to do.
func (v *verifier) findMissing(opt Options) error {
	missing := &v.report.Missing
	for line, answer := range v.answered {
		if answer == 0 {
			missing.add(Example{Line: line, Reason: "no line in the output"})
		}
	}
	if missing.Count == 0 || v.report.In == "-" {
		return nil
	}
	if file, err := os.Stat(v.report.In); err == nil && !file.Mode().IsRegular() {
		return nil
	}
	opt.SkipDuplicates = true
	r, err := Open(v.report.In, opt)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // read only: an error here has nothing to say
	for i := range missing.Examples {
		example := &missing.Examples[i]
		for example.ID == "" {
			item, err := r.Next()
			if err != nil {
				return fmt.Errorf("%s changed while it was read: %w", v.report.In, err)
			}
			if item.Line == example.Line {
				example.ID = item.ID
			}
		}
	}
	return nil
}
