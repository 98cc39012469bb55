package journal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Report says what was found in a journal, and what was done about it.
type Report struct {
	Created bool  // there was no journal, or one of which not even the header was whole, and now there is (Open only)
	Records int   // whole records, the header among them
	Bytes   int64 // their length
	Torn    int64 // length of the torn tail after them, which Open cuts off
	Damaged int   // damaged lines that were left out, with Options.Repair
}

// Scan reads a journal without opening it: it takes no lock and changes nothing, so a journal in use can be looked at. It calls fn
// with each whole record, in order, until fn returns an error, which it returns as it is. A torn tail is not an error; neither
// is an empty journal. Otherwise it returns an [*Error] that matches [ErrNotJournal], [ErrVersion], [ErrDamaged], or the
// error of in.
func Scan(in io.Reader, fn func(Record) error) (Report, error) {
	return scan(in, false, func(_ []byte, r Record) error { return fn(r) })
}

// scan is Scan; with salvage it leaves damaged lines out. fn gets the line, too, with its newline, valid during the call.
func scan(in io.Reader, salvage bool, fn func(line []byte, r Record) error) (Report, error) {
	s := scanner{in: bufio.NewReaderSize(in, 1<<16), salvage: salvage}
	for {
		line, err := s.read()
		if err != nil && !errors.Is(err, io.EOF) {
			return s.report, &Error{Line: s.line, Offset: s.begin, Item: -1, Err: err}
		}
		if len(line) > 0 {
			if err := s.take(line, fn); err != nil {
				return s.report, err
			}
		}
		if err != nil {
			return s.report, s.finish()
		}
	}
}

// scanner is the state of one scan.
type scanner struct {
	in      *bufio.Reader
	salvage bool
	report  Report

	line  int    // number of the line that was read last
	begin int64  // where it begins
	end   int64  // where it ends
	long  []byte // holds a line that does not fit the reader's buffer
	whole bool   // it has its newline
	zeros bool   // it has a zero byte
	blank bool   // it has nothing else

	bad hole // what is wrong since the last whole record
}

// hole is a run of lines that are not records.
type hole struct {
	lines int   // how many; 0 for no hole
	line  int   // number of the first
	begin int64 // where that begins
	torn  bool  // that may be a write that did not come to its end, and not a record that was damaged later
	what  string
}

// read returns the next line with its newline, or what there is of it at the end of the file, with io.EOF. Of a line that no
// record can have, it returns the first maxLine bytes.
func (s *scanner) read() ([]byte, error) {
	s.line++
	s.begin, s.zeros, s.blank, s.long = s.end, false, true, s.long[:0]
	for {
		part, err := s.in.ReadSlice('\n')
		s.end += int64(len(part))
		s.zeros = s.zeros || bytes.IndexByte(part, 0) >= 0
		s.blank = s.blank && len(bytes.TrimLeft(part, "\x00")) == 0
		s.whole = err == nil
		if s.whole && len(s.long) == 0 {
			return part, nil
		}
		s.long = append(s.long, part[:min(len(part), maxLine+1-len(s.long))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return s.long, err
		}
	}
}

// take looks at a line.
func (s *scanner) take(line []byte, fn func([]byte, Record) error) error {
	r, err := Record{}, errSeal
	if s.whole {
		r, err = decode(bytes.TrimSuffix(line, []byte{'\n'}))
	}
	if errors.Is(err, errSeal) {
		return s.spoil(line)
	}
	if s.bad.lines > 0 { // a hole with a record after it is not a torn tail
		if !s.salvage || s.bad.line == 1 {
			s.bad.torn = false
			return s.finish()
		}
		s.report.Damaged += s.bad.lines
		s.bad = hole{}
	}
	switch {
	case err != nil:
		return s.fail(ErrVersion, "this line says what this version does not understand; use the program that wrote it")
	case s.line == 1 && r.Kind != KindHeader:
		return s.fail(ErrDamaged, "the header is missing; restore the file from a copy")
	case s.line > 1 && r.Kind == KindHeader:
		return s.fail(ErrDamaged, "a second header; keep only the lines before it, or only those from it on")
	}
	s.report.Records++
	s.report.Bytes += int64(len(line))
	return fn(line, r)
}

// spoil notes a line that is not a record. Its error says that the file is no journal at all.
func (s *scanner) spoil(line []byte) error {
	s.bad.lines++
	if s.bad.lines > 1 {
		return nil
	}
	s.bad.line, s.bad.begin = s.line, s.begin
	// A write that was cut off leaves no newline; after a power cut, blocks that did not reach the disk read as zeros, which
	// no record has. Everything else was written whole and changed afterwards.
	s.bad.torn = !s.whole || s.zeros
	s.bad.what = "its checksum is wrong; restore the file from a copy, or take the line out, and what it records is forgotten"
	if s.line == 1 {
		s.bad.what = "the header's checksum is wrong; restore the file from a copy, or move it away to begin anew"
		head := line[:min(len(line), len(magic))]
		if !s.whole && len(line) <= maxLine {
			head = bytes.TrimRight(head, "\x00") // where the rest of the header did not reach the disk
		}
		if !strings.HasPrefix(magic, string(head)) && !s.blank {
			return s.fail(ErrNotJournal, "it begins like something else, and was left alone; is this the right path?")
		}
	}
	return nil
}

// finish judges the hole that is open, if one is.
func (s *scanner) finish() error {
	switch {
	case s.bad.lines == 0:
		return nil
	case s.bad.torn:
		s.report.Torn = s.end - s.bad.begin
		return nil
	case s.salvage && s.bad.line > 1:
		s.report.Damaged += s.bad.lines
		return nil
	default:
		return &Error{Line: s.bad.line, Offset: s.bad.begin, Item: -1, Reason: ErrDamaged, Detail: s.bad.what}
	}
}

// fail is an error about the line that was read last.
func (s *scanner) fail(reason error, detail string) error {
	return &Error{Line: s.line, Offset: s.begin, Item: -1, Reason: reason, Detail: detail}
}
