package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// A run that does not begin because it could not record is another matter than one whose command makes no sense.
func TestNotBegun(t *testing.T) {
	at := func(path string, err error) error {
		return fmt.Errorf("writing: %w", &fs.PathError{Op: "write", Path: path, Err: err})
	}
	tests := []struct {
		err  error
		code int
		says string
	}{
		{errors.New("the input is not what it was"), exitUsage, "llmbatch: the input is not what it was\n"},
		{at("out", fs.ErrNotExist), exitUsage, "llmbatch: writing: write out: file does not exist\n"},
		{at("in", syscall.EACCES), exitUsage, "llmbatch: writing: write in: permission denied\n"},
		{at("out", syscall.ENOSPC), exitNotRecorded, "no space left on device; make room on that disk\n"},
		{at("out", syscall.EDQUOT), exitNotRecorded, "quota"},
		{at("out", syscall.EFBIG), exitNotRecorded, "ulimit -f"},
		{at("out", syscall.EROFS), exitNotRecorded, "read-only file system; make it writable\n"},
		{at("out", syscall.EIO), exitNotRecorded, "look at the disk\n"},
		{at("stdout", syscall.EPIPE), exitNotRecorded, "broken pipe; have it read to the end\n"},
		{at("out", syscall.EACCES), exitNotRecorded, "permission denied; allow writing there\n"},
	}
	s := settings{in: "in", journal: "j", command: []string{"-i", "in"}}
	for _, test := range tests {
		screen := newScreen()
		code := s.notBegun(console{err: screen}, test.err)
		text := screen.String()
		again := strings.HasSuffix(text, "llmbatch: go on with: llmbatch -i in\n")
		if code != test.code || !strings.Contains(text, test.says) || again != (code == exitNotRecorded) {
			t.Errorf("%v: exit code %d, want %d\n%s", test.err, code, test.code, text)
		}
	}
}
