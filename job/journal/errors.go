package journal

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong, for errors.Is. All of these arrive wrapped in an [*Error], which has the details; [ErrInvalid] arrives
// in a [*FieldError].
var (
	// ErrLocked: another process has the journal open, or this one has, a second time.
	ErrLocked = errors.New("in use")
	// ErrNotJournal: the file is not a journal. It was left as it is.
	ErrNotJournal = errors.New("not a journal")
	// ErrVersion: the journal has something that this version of the package does not know. It was left as it is.
	ErrVersion = errors.New("written by another version")
	// ErrDamaged: a record in the middle of the journal is not as it was written. It was left as it is; Options.Repair leaves it out.
	ErrDamaged = errors.New("damaged")
	// ErrUnwritable: writing, or forcing to the disk, has failed. The journal takes no more records until it is opened anew.
	ErrUnwritable = errors.New("cannot be written any more")
	// ErrClosed: the journal has been closed.
	ErrClosed = errors.New("closed")
	// ErrDone: the item is done, and would have been begun or ended once more.
	ErrDone = errors.New("already done")
	// ErrChanged: the item is on record with another hash.
	ErrChanged = errors.New("changed since it was recorded")
	// ErrInvalid: an argument makes no sense.
	ErrInvalid = errors.New("journal: invalid value")
)

// Error is what went wrong with a journal. By errors.Is it matches its Reason and its Err.
type Error struct {
	Path   string // of the journal; empty for [Scan]
	Line   int    // the line in question, from 1; 0 when it is not about a line
	Offset int64  // where that line begins, in bytes from the start of the file
	Item   int    // the item in question; -1 when it is not about an item
	PID    int    // with ErrLocked: the process that has the journal, if it is known, else 0
	Reason error  // one of the variables of this package; nil when only the system refused (Open, Compact)
	Err    error  // what the system said; nil when it said nothing
	Detail string // what exactly, and what to do; may be empty
}

// Error says where, what and, if something can be done, what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("journal")
	if e.Path != "" {
		fmt.Fprintf(&b, " %s", e.Path)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d at byte %d", e.Line, e.Offset)
	}
	if e.Item >= 0 {
		fmt.Fprintf(&b, ", item %d", e.Item)
	}
	if e.Reason != nil {
		fmt.Fprintf(&b, ": %v", e.Reason)
	}
	if e.PID > 0 {
		fmt.Fprintf(&b, " by process %d", e.PID)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns Reason and Err, as far as they are set.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Reason != nil {
		errs = append(errs, e.Reason)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// FieldError says what is wrong with one argument. It matches [ErrInvalid].
type FieldError struct {
	Field   string // such as `Options.Every`
	Value   any    // what was given
	Allowed string // what would have been accepted, as words that follow "must be"
}

// Error names the field, the value and what is allowed.
func (e *FieldError) Error() string {
	return fmt.Sprintf("journal: %s is %v; it must be %s", e.Field, e.Value, e.Allowed)
}

// Is reports whether target is [ErrInvalid].
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }
