package batchfile

import (
	"errors"
	"io"
)

// Summary is what an input holds.
type Summary struct {
	Items int   // requests
	Bytes int64 // of their bodies; 0 with Options.IDsOnly
}

// Read reads a whole input into memory. It is all or nothing: with any fault there are no items, and the error is an
// *InputError with the first ten, or that of the system.
func Read(path string, opt Options) ([]Item, error) {
	var items []Item
	err := each(path, opt, func(item Item) { items = append(items, item) })
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Check reads a whole input as Read does, and keeps no more of it than it takes to notice an id that repeats. With "-" it consumes
// the standard input.
func Check(path string, opt Options) (Summary, error) {
	r, err := Open(path, opt)
	if err != nil {
		return Summary{}, err
	}
	defer r.Close() //nolint:errcheck // nothing was written: an error here has nothing to say
	return CheckReader(r)
}

// CheckReader is [Check] for an input that is open. It does not close it.
func CheckReader(r *Reader) (Summary, error) {
	var sum Summary
	err := r.each(func(item Item) {
		sum.Items++
		sum.Bytes += int64(len(item.Body))
	})
	if err != nil {
		return Summary{}, err
	}
	return sum, nil
}

// each calls do for each item and gathers the faults.
func each(path string, opt Options, do func(Item)) error {
	r, err := Open(path, opt)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // nothing was written: an error here has nothing to say
	return r.each(do)
}

func (r *Reader) each(do func(Item)) error {
	var faults InputError
	for {
		item, err := r.Next()
		if bad := (*LineError)(nil); errors.As(err, &bad) {
			faults.add(bad)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err // the file can't be read to its end, which matters more than what is wrong before
		}
		if err == nil {
			do(item)
			continue
		}
		if len(faults.Faults) > 0 {
			return &faults
		}
		return nil
	}
}
