package main

import (
	"fmt"
	"io"
	"os"
)

// sequence writes lines in the order of the input, whatever the order in which they come. Those that come too early are kept in a
// file, and 12 bytes of each in memory. It belongs to the loop.
type sequence struct {
	write func(line []byte) error

	next   int            // the place of the line that is to be written next
	held   int            // lines that came too early
	chunks map[int]*chunk // by place / chunkSize: where they are
	file   *os.File       // nil until one did
	size   int64          // of what is in it
	buf    []byte
}

const chunkSize = 4096

// chunk is where some lines are in the file.
type chunk struct {
	at     [chunkSize]int64
	length [chunkSize]uint32 // 0: not there
	used   int
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
		s.size = 0 // nothing in it is of use any more
	}
	if _, err := s.file.WriteAt(line, s.size); err != nil {
		return fmt.Errorf("keeping an answer until those before it are there: %w", err)
	}
	c := s.chunks[place/chunkSize]
	if c == nil {
		c = new(chunk)
		s.chunks[place/chunkSize] = c
	}
	c.at[place%chunkSize], c.length[place%chunkSize] = s.size, uint32(len(line))
	c.used++
	s.size += int64(len(line))
	s.held++
	return nil
}

// writeHeld writes the line of a place if it is there.
func (s *sequence) writeHeld(place int) (found bool, err error) {
	c := s.chunks[place/chunkSize]
	if c == nil || c.length[place%chunkSize] == 0 {
		return false, nil
	}
	length := int(c.length[place%chunkSize])
	if cap(s.buf) < length {
		s.buf = make([]byte, length)
	}
	line := s.buf[:length]
	if _, err := s.file.ReadAt(line, c.at[place%chunkSize]); err != nil && err != io.EOF {
		return true, fmt.Errorf("an answer that was kept: %w", err)
	}
	if err := s.write(line); err != nil {
		return true, err
	}
	c.length[place%chunkSize] = 0
	if c.used--; c.used == 0 {
		delete(s.chunks, place/chunkSize)
	}
	s.held--
	return true, nil
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
