package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// sequence writes lines in the order of the input, whatever the order in which they come. Those that come too early are kept in a
// file, and four bytes of each in memory. It belongs to the loop.
type sequence struct {
	write func(line []byte) error

	next   int            // the place of the line that is to be written next
	held   int            // lines that came too early
	chunks map[int]*chunk // by place / chunkSize: where they are
	file   *os.File       // nil until one did
	units  int64          // of what is in it
	buf    []byte
}

// unit is what places in the file are counted in, in bytes: so 32 bits do for as much as anybody holds.
const unit = 64

// header is how long a line is, in front of it.
const header = 4

const chunkSize = 4096

// chunk is where some lines are in the file.
type chunk struct {
	at   [chunkSize]uint32 // in units, plus one; 0: not there
	used int
}

func newSequence(write func(line []byte) error) *sequence {
	return &sequence{write: write, chunks: make(map[int]*chunk)}
}

// put takes the line of a place, of which there is but one.
func (s *sequence) put(place int, line []byte) error {
	if place != s.next {
		return s.hold(place, line)
	}
	if err := s.write(line); err != nil {
		return err
	}
	s.next++
	return s.release()
}

// release writes what has only waited for those before it.
func (s *sequence) release() error {
	for s.held > 0 {
		found, err := s.writeHeld(s.next)
		if err != nil || !found {
			return err
		}
		s.next++
	}
	return nil
}

// hold keeps a line that has come too early.
func (s *sequence) hold(place int, line []byte) (err error) {
	if s.file == nil {
		if s.file, err = tempFile(); err != nil {
			return err
		}
	}
	if s.held == 0 {
		s.units = 0 // nothing in it is of use any more
	}
	if s.units >= math.MaxUint32 {
		return fmt.Errorf("keeping an answer until those before it are there: more than %d GiB wait already; use -order completion", unit*math.MaxUint32>>30)
	}
	s.buf = append(binary.LittleEndian.AppendUint32(s.buf[:0], uint32(len(line))), line...)
	if _, err := s.file.WriteAt(s.buf, s.units*unit); err != nil {
		return fmt.Errorf("keeping an answer until those before it are there: %w", err)
	}
	c := s.chunks[place/chunkSize]
	if c == nil {
		c = new(chunk)
		s.chunks[place/chunkSize] = c
	}
	s.units++
	c.at[place%chunkSize] = uint32(s.units)
	c.used++
	s.units += int64(len(s.buf)-1) / unit
	s.held++
	return nil
}

// writeHeld writes the line of a place if it is there.
func (s *sequence) writeHeld(place int) (found bool, err error) {
	c := s.chunks[place/chunkSize]
	if c == nil || c.at[place%chunkSize] == 0 {
		return false, nil
	}
	line, err := s.lineAt(int64(c.at[place%chunkSize]-1) * unit)
	if err != nil {
		return true, fmt.Errorf("an answer that was kept: %w", err)
	}
	if err := s.write(line); err != nil {
		return true, err
	}
	c.at[place%chunkSize] = 0
	if c.used--; c.used == 0 {
		delete(s.chunks, place/chunkSize)
	}
	s.held--
	return true, nil
}

// lineAt reads a line that was kept.
func (s *sequence) lineAt(at int64) ([]byte, error) {
	const guess = 4 << 10 // most are read at once with their lengths
	s.buf = slices.Grow(s.buf[:0], guess)[:guess]
	n, err := s.file.ReadAt(s.buf, at)
	if n < header {
		return nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	end := header + int(binary.LittleEndian.Uint32(s.buf))
	if end > n {
		s.buf = slices.Grow(s.buf, end)[:end]
		if _, err := s.file.ReadAt(s.buf[n:], at+int64(n)); err != nil && err != io.EOF {
			return nil, err
		}
	}
	return s.buf[header:end], nil
}

// close writes what is still held, in order: what comes before it will not come any more.
func (s *sequence) close() error {
	var err error
	for s.held > 0 && err == nil {
		if s.chunks[s.next/chunkSize] == nil {
			s.next = (s.next/chunkSize + 1) * chunkSize
			continue
		}
		_, err = s.writeHeld(s.next)
		s.next++
	}
	if s.file != nil {
		closeTemp(s.file)
	}
	return err
}
