package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// A journal belongs to one output, which it has the name of: a run makes its output anew from the journal, and must not do that to a file
// that holds something else.

// belonging is what a journal begins with.
type belonging struct {
	Output string `json:"output"` // from the journal's directory, so that both can be moved together; - is standard output
}

// belonging is that of the journal and the output that the flags name.
func (s *settings) belonging() json.RawMessage {
	output := s.out
	if output != "-" {
		dir, err := filepath.Abs(filepath.Dir(s.journal))
		if path, errOut := filepath.Abs(output); err == nil && errOut == nil {
			output = path
			if from, err := filepath.Rel(dir, path); err == nil { // or it is on another volume
				output = from
			}
		}
	}
	meta, _ := json.Marshal(belonging{output}) // it is text: that can't fail
	return meta
}

// claimNew refuses an output that exists where there is no journal to go on by, before one is made: if the program is killed in between,
// that would pass for the output's own.
func (s *settings) claimNew() error {
	if _, err := os.Stat(s.journal); errors.Is(err, fs.ErrNotExist) {
		return s.mustNotExist()
	}
	return nil
}

// mustNotExist refuses an output that exists.
func (s *settings) mustNotExist() error {
	if s.out == "-" {
		return nil
	}
	switch _, err := os.Stat(s.out); {
	case err == nil:
		return &batchfile.ExistsError{Path: s.out}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// claim refuses an output that exists and is not this journal's.
func (r *recorder) claim(s *settings) error {
	err := s.mustNotExist()
	if !errors.Is(err, fs.ErrExist) || !r.resumes {
		return err
	}
	own := r.output(s)
	if own != "-" && sameFile(own, s.out) {
		return nil
	}
	if own == "-" {
		own = "standard output"
	}
	return fmt.Errorf("%s exists already, and is not the output of %s, which is %s; allowed: that one, or another output with -o that does not "+
		"exist yet", s.out, r.Path(), own)
}

// output is the output that the journal belongs to, or - for standard output. One that does not say is named after it.
func (r *recorder) output(s *settings) string {
	var of belonging
	switch err := json.Unmarshal(r.Meta(), &of); {
	case err != nil || of.Output == "":
		return strings.TrimSuffix(s.journal, journalSuffix)
	case of.Output == "-" || filepath.IsAbs(of.Output):
		return of.Output
	default:
		return filepath.Join(filepath.Dir(s.journal), of.Output)
	}
}

// own notes that from now on another output is this journal's. That answers were once more written to standard output is not worth noting.
func (r *recorder) own(s *settings) error {
	meta := s.belonging()
	if s.out == "-" || string(meta) == string(r.Meta()) {
		return nil
	}
	return r.SetMeta(meta)
}

// sameFile reports whether two names are of one file that exists.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
