package journal

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// file is what a journal needs of an open file; tests put failing ones in its place.
type file interface {
	io.Reader
	io.Writer
	io.Seeker
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// fileSystem is what a journal needs of the system; tests put one in its place that crashes and fills up.
type fileSystem interface {
	// Resolve returns the path without symbolic links that stands for the same file, be it that this has yet to be made. Where
	// that can't be told, it is path, and the other methods say what is wrong with it.
	Resolve(path string) string
	// Open opens for reading and appending, and makes the file if need be; fresh empties it first.
	Open(path string, fresh bool) (file, error)
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
	// Lock takes the lock of the journal at path, until the function that it returns is called; or returns an error, an
	// *Error that matches ErrLocked if someone else has it.
	Lock(path string) (unlock func() error, err error)
}

// osFS is the real one.
type osFS struct{}

// maxLinks is how many symbolic links may follow one another. Linux allows as many.
const maxLinks = 40

func (osFS) Resolve(path string) string {
	at := path
	for range maxLinks {
		if found, err := filepath.EvalSymlinks(at); err == nil {
			return found
		}
		dir, name := filepath.Split(at) // not Dir, which takes away a .. even behind a link
		dir, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
		if err != nil {
			return path
		}
		at = filepath.Join(dir, name)
		to, err := os.Readlink(at)
		if err != nil {
			return at // there is nothing of that name
		}
		if !filepath.IsAbs(to) {
			to = dir + string(filepath.Separator) + to
		}
		at = to
	}
	return path
}

func (osFS) Open(path string, fresh bool) (file, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if fresh {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Link(from, to string) error { return os.Link(from, to) }

func (osFS) Remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes sure that the names in dir are on the disk. Windows has no such call; it keeps names in a log of its own.
func (osFS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFS) Lock(path string) (func() error, error) { return lockFile(path) }
