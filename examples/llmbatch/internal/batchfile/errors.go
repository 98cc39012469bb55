package batchfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// What can be wrong with a line or a file, for errors.Is. A LineError wraps one of those above ErrFormat.
var (
	// ErrSyntax is a line that begins with "{" but is no valid JSON, or a file that holds a JSON array.
	ErrSyntax = errors.New("batchfile: malformed JSON")
	// ErrMixed is plain text in a file of objects, or an object in a file of plain text.
	ErrMixed = errors.New("batchfile: objects and plain text in one file")
	// ErrUTF8 is a line that is not valid UTF-8.
	ErrUTF8 = errors.New("batchfile: invalid UTF-8")
	// ErrLineTooLong is a line above Options.MaxLine.
	ErrLineTooLong = errors.New("batchfile: line too long")
	// ErrDuplicateID is an id that an earlier line has; LineError.First is that line.
	ErrDuplicateID = errors.New("batchfile: duplicate custom_id")
	// ErrMethod is a Batch line whose method is missing or not POST.
	ErrMethod = errors.New("batchfile: unsupported method")
	// ErrURL is a Batch line whose url is missing or not one that llmbatch can call.
	ErrURL = errors.New("batchfile: unsupported url")
	// ErrField is a field that is missing, there twice, of the wrong type, out of place, or has a value that nobody here can serve.
	ErrField = errors.New("batchfile: bad field")
	// ErrNoModel is an item that names no model where Options.Model names none either.
	ErrNoModel = errors.New("batchfile: no model")
	// ErrNoPrompt is an object that is no request and lacks the prompt field; LineError.Found lists the fields it has.
	ErrNoPrompt = errors.New("batchfile: no prompt field")
	// ErrEmptyPrompt is a prompt of nothing but white space.
	ErrEmptyPrompt = errors.New("batchfile: empty prompt")
	// ErrEmptyFile is an input without a single item.
	ErrEmptyFile = errors.New("batchfile: empty file")

	// ErrFormat is a line of an output, or a Record to be written, that is not in the output format; a FormatError wraps it.
	ErrFormat = errors.New("batchfile: not in the output format")
)

// LineError is a fault of one line of the input, found before anything is sent.
type LineError struct {
	File    string   // the name the file was opened by; "stdin" for "-"
	Line    int      // the first line is 1; 0 when the whole file is at fault
	Field   string   // the field at fault, a path such as "body.model"; "" when there is none
	Value   string   // what the field holds, shortened; "" when it is missing or no string
	Allowed []string // the values that would do, where they can be listed
	Found   []string // ErrNoPrompt: the fields that the object has instead, in their order
	First   int      // ErrDuplicateID: the line that has the id already; ErrMixed: the line that decided what the file holds
	Msg     string   // the fault and the way out, for a person
	Err     error    // the sentinel; never nil
}

// Error is the fault after the place, as compilers print it: `prompts.jsonl:17: custom_id "a" is …`.
func (e *LineError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Unwrap gives the sentinel.
func (e *LineError) Unwrap() error { return e.Err }

// maxFaults is how many faults an InputError keeps: enough to see the pattern, and a screen holds them.
const maxFaults = 10

// InputError is all that is wrong with an input: its first ten faults, and the count of the rest.
type InputError struct {
	Faults []*LineError // in the order of the lines, at most ten
	More   int          // how many faults follow those
}

// Error has one fault a line.
func (e *InputError) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.Error())
	}
	switch {
	case e.More == 1:
		b.WriteString("\nand 1 more fault")
	case e.More > 1:
		fmt.Fprintf(&b, "\nand %d more faults", e.More)
	}
	return b.String()
}

// Unwrap gives the faults that were kept, so that errors.Is and errors.As see each.
func (e *InputError) Unwrap() []error {
	errs := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		errs[i] = f
	}
	return errs
}

// add keeps the fault, or counts it.
func (e *InputError) add(f *LineError) {
	if len(e.Faults) < maxFaults {
		e.Faults = append(e.Faults, f)
	} else {
		e.More++
	}
}

// FormatError is what keeps a line from being a Record, or a Record from being a line.
type FormatError struct {
	Msg string // for a person
}

// Error says what is wrong.
func (e *FormatError) Error() string { return "not in the output format: " + e.Msg }

// Unwrap gives ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }

func badFormat(format string, args ...any) *FormatError {
	return &FormatError{Msg: fmt.Sprintf(format, args...)}
}

// ExistsError refuses an output that exists: it may hold answers that were paid for.
type ExistsError struct {
	Path string
}

// Error says how to go on.
func (e *ExistsError) Error() string {
	return e.Path + " exists already, without a journal to go on by, and is not overwritten; remove it, or choose another output with -o"
}

// Unwrap gives fs.ErrExist.
func (e *ExistsError) Unwrap() error { return fs.ErrExist }

// fault is a LineError without its place, which the Reader fills in.
func fault(err error, field, value, format string, args ...any) *LineError {
	return &LineError{Err: err, Field: field, Value: shorten(value), Msg: fmt.Sprintf(format, args...)}
}

// maxShown is the longest piece of input that an error repeats, in bytes: an id may have megabytes.
const maxShown = 80

// shorten cuts s to what an error may repeat, at the boundary of a rune.
func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Quote is a piece of input as an error repeats it: shortened, in quotes, with control characters escaped: input is not to drive the terminal.
func Quote(s string) string { return fmt.Sprintf("%q", shorten(s)) }
