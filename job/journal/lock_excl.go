//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package journal

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// lockFile makes path.lock, and refuses where it is there already. This system's standard library has no lock that the kernel gives
// back after a crash, and guessing from the number in the file whether its process still runs could let two in: so the file must
// then be removed by hand, as the error says.
func lockFile(path string) (unlock func() error, err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		text, _ := os.ReadFile(name) // the number only serves the message
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &Error{
			Path: path, Item: -1, PID: pid, Reason: ErrLocked,
			Detail: "if that process does not run any more, remove " + name,
		}
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	return func() error { return os.Remove(name) }, nil
}
