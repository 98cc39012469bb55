package batchfile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Writer writes an output, one line a record. It belongs to one goroutine at a time.
//
// Each line is one write call, so that a line that is there is a whole one, but for a crash of the system or a full disk in its midst.
// A gzip output is the exception: lines wait in the compressor until Sync or Close, and a killed process loses them.
type Writer struct {
	name   string
	out    io.Writer    // what lines are written to: zip, or the file
	zip    *gzip.Writer // nil without compression
	file   outFile      // nil for standard output that is no *os.File
	keep   bool         // file is not ours to close
	buf    []byte       // the line being built
	good   int64        // bytes of whole lines in an uncompressed regular file; -1 where that is not known
	temp   string       // where the file is until Publish; empty once it is in its place
	failed error        // the first error of writing; nothing is written after it
	closed bool
}

// outFile is what a Writer needs of an *os.File.
type outFile interface {
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// Create creates an output that must not exist; one that does is refused with an *ExistsError. "-" is standard output, and a
// name that ends in ".gz" is compressed.
func Create(path string) (*Writer, error) {
	return create(path, os.O_EXCL)
}

// Overwrite creates an output as Create does, but empties one that exists. What it held is lost.
func Overwrite(path string) (*Writer, error) {
	return create(path, os.O_TRUNC)
}

func create(path string, how int) (*Writer, error) {
	if path == "-" {
		return NewWriter(os.Stdout, "stdout"), nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, &ExistsError{Path: path}
	}
	if err != nil {
		return nil, err
	}
	w := NewWriter(f, path)
	w.keep = false
	if isGzip(path) {
		w.zip, w.good = gzip.NewWriter(f), -1
		w.out = w.zip
	} else if regular(f) {
		w.good = 0
	}
	return w, nil
}

// Replace creates an output beside path, which takes the place of path, be there a file or none, with Publish.
func Replace(path string) (*Writer, error) {
	w, err := create(temporary(path), os.O_TRUNC)
	if err == nil {
		w.name, w.temp = path, w.name
	}
	return w, err
}

// temporary is the name that an output has before it takes its own. It ends in the same way, for that says whether it is compressed.
func temporary(path string) string {
	dir, name := filepath.Split(path)
	return filepath.Join(dir, ".part-"+name)
}

// Publish gives an output that Replace has created its name. It has what was written so far, then, and never less.
func (w *Writer) Publish() error {
	if w.temp == "" {
		return nil
	}
	if err := w.Sync(); err != nil {
		return err
	}
	if err := os.Rename(w.temp, w.name); err != nil {
		return w.fail(err)
	}
	w.temp = ""
	return nil
}

// NewWriter writes to out, and calls it name in errors. Close does not close out, but syncs it if it is a file.
func NewWriter(out io.Writer, name string) *Writer {
	w := &Writer{name: name, out: out, keep: true, good: -1}
	w.file, _ = out.(outFile)
	return w
}

// Write writes one record. After an error of writing the Writer is of no further use: it takes back what was written of the line, where
// it can, and every later call returns that error. A *FormatError concerns the record alone, of which nothing was written.
func (w *Writer) Write(r Record) error {
	if err := w.usable(); err != nil {
		return err
	}
	line, err := AppendRecord(w.buf[:0], r)
	if err != nil {
		return err
	}
	if err := w.WriteLine(line); err != nil {
		return err
	}
	w.buf = line[:0]
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	return nil
}

// WriteLine is Write for a record that AppendRecord has made a line of.
func (w *Writer) WriteLine(line []byte) error {
	if err := w.usable(); err != nil {
		return err
	}
	n, err := w.out.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite // by the contract of io.Writer that can't be, but out may be anybody's
	}
	if err != nil {
		return w.fail(err)
	}
	if w.good >= 0 {
		w.good += int64(n)
	}
	return nil
}

// Sync forces to the disk what was written. On a pipe or a terminal it does nothing.
func (w *Writer) Sync() error {
	if err := w.usable(); err != nil {
		return err
	}
	if w.zip != nil {
		if err := w.zip.Flush(); err != nil {
			return w.fail(err)
		}
	}
	if err := w.sync(); err != nil {
		return w.fail(err)
	}
	return nil
}

// Close flushes, syncs and closes, and reports what failed, an earlier error of Write included. A second Close does nothing.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	err := w.failed
	if w.zip != nil && err == nil {
		err = w.wrap(w.zip.Close())
	}
	if err == nil {
		err = w.wrap(w.sync())
	}
	if w.keep || w.file == nil {
		return err
	}
	if cerr := w.file.Close(); err == nil {
		err = w.wrap(cerr)
	}
	if w.temp != "" {
		_ = os.Remove(w.temp) // it has never become the output
	}
	return err
}

func (w *Writer) usable() error {
	if w.closed {
		return w.wrap(fs.ErrClosed)
	}
	return w.failed
}

// fail remembers an error of writing. A line that is there in part would join the next one to a line that is neither, so it is cut
// off; if that fails too, Verify finds the torn line.
func (w *Writer) fail(err error) error {
	w.failed = w.wrap(err)
	if w.good >= 0 {
		_ = w.file.Truncate(w.good)
	}
	return w.failed
}

// sync forces a regular file to the disk; what is none can't be.
func (w *Writer) sync() error {
	if w.file == nil || !regular(w.file) {
		return nil
	}
	return w.file.Sync()
}

func (w *Writer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", w.name, err)
}

func regular(f outFile) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
