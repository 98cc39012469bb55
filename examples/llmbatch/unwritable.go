package main

import (
	"errors"
	"io/fs"
	"syscall"
)

// remedies is what to do when the system refuses to write: the disk is full, the file is not ours, or nobody reads the pipe. What is named wrongly is another
// matter. The first that fits counts.
var remedies = []struct {
	err error
	do  string
}{
	{syscall.ENOSPC, "make room on that disk"},
	{syscall.EDQUOT, "make room, or have the quota raised"},
	{syscall.EFBIG, "raise the limit on the size of files (ulimit -f)"},
	{syscall.EROFS, "make it writable"},
	{syscall.EIO, "look at the disk"},
	{syscall.EPIPE, "have it read to the end"},
	{fs.ErrPermission, "allow writing there"},
}

// remedy is what to do about an error of writing; empty if it is none, or nobody knows.
func remedy(err error) string {
	for _, r := range remedies {
		if errors.Is(err, r.err) {
			return r.do
		}
	}
	return ""
}

// unwritten says why something could not be recorded, and what to do.
func unwritten(err error) string {
	if do := remedy(err); do != "" {
		return err.Error() + "; " + do
	}
	return err.Error()
}

// notBegun says why a run does not begin, with nothing sent, and returns the exit code: what it was given makes no sense, or it could
// not record what it does.
func (s *settings) notBegun(con console, err error) int {
	var of *fs.PathError
	if remedy(err) == "" || errors.As(err, &of) && of.Path == s.in { // the input is only read
		con.say("llmbatch: %v", err)
		return exitUsage
	}
	con.say("llmbatch: nothing was sent, since it could not be recorded: %s", unwritten(err))
	con.say("llmbatch: %s", s.howToGoOn(con))
	return exitNotRecorded
}
