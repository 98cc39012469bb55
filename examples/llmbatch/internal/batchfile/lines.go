package batchfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// readBuffer is what one read asks of the file; lines that fit are parsed in place.
	readBuffer = 256 << 10
	// keepBuffer is the largest buffer kept for the next long line; a single giant is not to stay in memory for the whole run.
	keepBuffer = 1 << 20
)

// errTooLong says that the line exceeds the limit; the line has been consumed and reading goes on after it.
var errTooLong = errors.New("line too long")

// lineReader cuts a stream into lines of any length up to a limit. bufio.Scanner stops for good at the first line that is too long;
// this one skips it, so that the faults after it are found in the same run.
type lineReader struct {
	r    *bufio.Reader
	max  int    // bytes, line end not counted
	buf  []byte // the line, where it did not fit into r's buffer
	line int    // lines begun so far: the number of the line last returned
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, readBuffer), max: limit}
}

// next returns the next line without its end ("\n" or "\r\n"), valid until the following call. ended is false for a last line
// that has no "\n". The error is io.EOF after the last line, errTooLong, or that of the stream, which is final; what
// was read of a line when the stream failed is dropped.
func (l *lineReader) next() (line []byte, ended bool, err error) {
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	l.buf = l.buf[:0]
	l.line++
	size := 0 // bytes of the line so far
	for {
		chunk, err := l.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		whole := size == 0 && !errors.Is(err, bufio.ErrBufferFull)
		size += len(chunk)
		if whole {
			line = chunk // in place, nothing is copied
		} else if size <= l.max+len("\r\n") { // beyond that the line is only skipped
			l.buf = append(l.buf, chunk...)
			line = l.buf
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && size == 0 {
			l.line--
			return nil, false, io.EOF
		}
		ended = err == nil
		if size > l.max+len("\r\n") {
			return nil, ended, errTooLong
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > l.max {
			return nil, ended, errTooLong
		}
		return line, ended, nil
	}
}
