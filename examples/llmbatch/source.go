package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// source is an input that has been checked as a whole. It is read a second time while the prompts are sent, so that none of them
// has to be kept.
type source struct {
	path  string
	opt   batchfile.Options
	sum   batchfile.Summary
	spool *os.File // a copy of what can be read only once; nil for a file
}

// openSource checks an input. The error says what is wrong with it.
func openSource(s *settings, stdin io.Reader) (*source, error) {
	src := &source{path: s.in, opt: batchfile.Options{PromptField: s.promptField, Model: s.model, Set: s.set, Stdin: stdin}}
	for _, m := range s.set {
		if m.Name == "model" && src.opt.Model == "" {
			src.opt.Model = "set" // so that none is missing; what is sent says what -set does
		}
	}
	info, err := os.Stat(s.in)
	if s.in != "-" && err == nil && info.IsDir() {
		return nil, fmt.Errorf("-i is %q, a directory; allowed: a file of prompts, or - for stdin", s.in)
	}
	if s.in == "-" || err == nil && !info.Mode().IsRegular() {
		if err := src.copy(); err != nil {
			return nil, err
		}
	}
	if src.sum, err = src.check(); err != nil {
		src.close()
		return nil, err
	}
	return src, nil
}

// copy spools what can be read only once: standard input, or a pipe.
func (src *source) copy() error {
	in, _, err := batchfile.OpenInput(src.path, src.opt.Stdin)
	if err != nil {
		return err
	}
	defer in.Close()
	spool, err := tempFile()
	if err != nil {
		return err
	}
	src.spool = spool
	if _, err := io.Copy(spool, in); err != nil {
		src.close()
		return fmt.Errorf("the copy of the input: %w", err)
	}
	return nil
}

// tempFile makes a file that is gone with the process.
func tempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "llmbatch-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // where an open file can't be removed, close does
	return f, nil
}

func closeTemp(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// open begins to read from the start. A second reader leaves the first alone: a resume compares its input before it goes on with it.
func (src *source) open(dups bool) (*batchfile.Reader, error) {
	opt := src.opt
	opt.SkipDuplicates = dups
	if src.spool == nil {
		return batchfile.Open(src.path, opt)
	}
	info, err := src.spool.Stat()
	if err != nil {
		return nil, err
	}
	name := src.path
	if name == "-" {
		name = "stdin"
	}
	return batchfile.NewReader(io.NewSectionReader(src.spool, 0, info.Size()), name, opt), nil
}

func (src *source) check() (batchfile.Summary, error) {
	if src.spool == nil {
		return batchfile.Check(src.path, src.opt)
	}
	r, err := src.open(false)
	if err != nil {
		return batchfile.Summary{}, err
	}
	return batchfile.CheckReader(r)
}

func (src *source) close() {
	if src.spool != nil {
		closeTemp(src.spool)
	}
}

// errChanged is why a run ends whose input is not what was checked.
var errChanged = errors.New("the input has changed while it was read")
