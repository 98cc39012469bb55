//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// errReplaced: the file was not the one of that name any more when it was locked.
var errReplaced = errors.New("replaced")

// lockFile locks path.lock with flock(2). The kernel gives the lock back when the process ends, however it does, so a crash leaves a
// file and no lock. The number of the process in it only serves the message.
func lockFile(path string) (unlock func() error, err error) {
	name := path + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err = take(f, path, name); err == nil {
			// Removed while it is still locked, so that the file of a later holder cannot be the one that goes.
			return func() error { return errors.Join(os.Remove(name), f.Close()) }, nil
		}
		_ = f.Close() // nothing was written to it
		if !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
}

// take locks f, which was opened by name, and puts the number of this process into it.
func take(f *os.File, path, name string) error {
	err := flock(f)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return &Error{Path: path, Item: -1, PID: readPID(f), Reason: ErrLocked, Detail: "wait for it to end, or stop it"}
	case err != nil:
		return fmt.Errorf("flock %s: %w", name, err)
	case !same(f, name):
		// Whoever had it has removed the file between our opening and our locking it. Another can lock a new one of that
		// name, and ours is worth nothing.
		return errReplaced
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	return err
}

// flock locks f or returns EWOULDBLOCK.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// same reports whether name still stands for the open file f.
func same(f *os.File, name string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(name)
	return err == nil && os.SameFile(opened, named)
}

// readPID returns the number in f, or 0 when there is none, as in the moment between locking and writing.
func readPID(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
