package batchfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// DefaultMaxLine is the longest line of an input, in bytes, where Options.MaxLine is 0.
const DefaultMaxLine = 64 << 20

// Options say how an input is read. The zero value reads OpenAI Batch lines that name their models.
type Options struct {
	// PromptField is the field that holds the prompt, for objects that are no requests. Defaults to "prompt".
	PromptField string
	// Model is put into bodies that name none. Without it such a body is an error.
	Model string
	// Set is put into every body, in this order; see SetMember. A model among them is the item's Model.
	Set []Member
	// IDsOnly reads no more than is needed to know the ids: neither a model nor a prompt need be there, and items have no
	// URL, Model, Prompt, Body or Form. A file that is sound otherwise has the same ids either way.
	IDsOnly bool
	// SkipDuplicates lets ids repeat, and saves the memory it takes to notice: for a second pass over what Check has passed.
	SkipDuplicates bool
	// MaxLine is the longest line, in bytes. Defaults to 64 MiB.
	MaxLine int
	// Stdin is what "-" reads. Defaults to os.Stdin.
	Stdin io.Reader
}

// Reader reads the items of one input, in its order. It belongs to one goroutine at a time.
type Reader struct {
	name      string
	lines     *lineReader
	parse     parser
	set       []Member
	ids       *idTable  // nil with Options.SkipDuplicates
	closer    io.Closer // nil for NewReader
	items     int       // returned so far
	firstLine int       // the first line that is not blank, 0 before; it decides between objects and text
	objects   bool      // what it decided
	tooLong   bool      // a line was; such a file is not empty
	failed    error     // the final answer of Next, once there is one
}

// Open opens an input: a file, gzip if its name ends in ".gz", or Options.Stdin for "-". Close the Reader after use.
func Open(path string, opt Options) (*Reader, error) {
	in, name, err := OpenInput(path, opt.Stdin)
	if err != nil {
		return nil, err
	}
	r := NewReader(in, name, opt)
	r.closer = in
	return r, nil
}

// NewReader reads from in, and calls it name in errors. It reads ahead.
func NewReader(in io.Reader, name string, opt Options) *Reader {
	limit := opt.MaxLine
	if limit <= 0 {
		limit = DefaultMaxLine
	}
	field := opt.PromptField
	if field == "" {
		field = DefaultPromptField
	}
	r := &Reader{
		name:  name,
		lines: newLineReader(in, limit),
		parse: parser{promptField: field, model: opt.Model, idsOnly: opt.IDsOnly},
		set:   opt.Set,
	}
	if !opt.SkipDuplicates {
		r.ids = newIDTable()
	}
	return r
}

// Next returns the next item. After a *LineError the next call goes on with the line after it, so that all faults can be found; every
// other error is final, and returned from then on. It is io.EOF after the last line; of a file without any item it is a
// *LineError that Is ErrEmptyFile first.
func (r *Reader) Next() (Item, error) {
	if r.failed != nil {
		return Item{}, r.failed
	}
	for {
		line, _, err := r.lines.next()
		if err != nil && !errors.Is(err, errTooLong) {
			return Item{}, r.end(err)
		}
		n := r.lines.line
		if n > math.MaxUint32 {
			r.failed = fmt.Errorf("%s: more than %d lines", r.name, uint32(math.MaxUint32))
			return Item{}, r.failed
		}
		if err != nil {
			r.tooLong = true // its first byte is lost, so it decides nothing; the file is refused anyway
			return Item{}, r.at(n, fault(ErrLineTooLong, "", "", "the line is longer than %d bytes, which is the limit", r.lines.max))
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark, as Windows writes it
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		item, bad := r.item(line, n)
		if bad != nil {
			return Item{}, r.at(n, bad)
		}
		item.Index = r.items
		r.items++
		return item, nil
	}
}

// item makes an item of a line that is not blank, and checks it against the lines before.
func (r *Reader) item(line []byte, n int) (item Item, bad *LineError) {
	trimmed := bytes.TrimSpace(line)
	object := trimmed[0] == '{'
	first := r.firstLine == 0
	if first {
		r.firstLine, r.objects = n, object
	}
	if !utf8.Valid(line) {
		return Item{}, fault(ErrUTF8, "", "", "byte %d is not valid UTF-8; save the file as UTF-8", badUTF8(line))
	}
	if first && (string(trimmed) == "[" || bytes.HasPrefix(trimmed, []byte("[{"))) {
		r.failed = io.EOF // what follows would only repeat it
		return Item{}, fault(ErrSyntax, "", "", "the file holds a JSON array; put one object on each line (jq -c '.[]' does)")
	}
	if object != r.objects {
		return Item{}, r.mixed(object)
	}
	if object {
		item, bad = r.parse.object(line, n)
	} else {
		item, bad = r.parse.text(line, n)
	}
	if bad == nil {
		r.setMembers(&item)
		bad = refuseStream(item.Body)
	}
	if bad != nil || r.ids == nil {
		return item, bad
	}
	if at, fresh := r.ids.insert(item.ID, uint32(n)); !fresh {
		bad = fault(ErrDuplicateID, "custom_id", item.ID, "custom_id %s is used already on line %d; every id must be unique", Quote(item.ID), at)
		bad.First = int(at)
	}
	return item, bad
}

// setMembers puts Options.Set into the body.
func (r *Reader) setMembers(item *Item) {
	if item.Body == nil { // IDsOnly
		return
	}
	for _, m := range r.set {
		item.Body = SetMember(item.Body, m)
		if m.Name == "model" && m.Value[0] == '"' {
			item.Model = decodeString(m.Value)
		}
	}
}

// mixed is the fault of a line that is not what the first one is.
func (r *Reader) mixed(object bool) *LineError {
	this, that := "plain text", "an object"
	if object {
		this, that = that, this
	}
	e := fault(ErrMixed, "", "", "this line is %s, but line %d is %s; a file holds one or the other", this, r.firstLine, that)
	e.First = r.firstLine
	return e
}

// at fills in where a fault is.
func (r *Reader) at(line int, e *LineError) *LineError {
	e.File, e.Line = r.name, line
	return e
}

// end settles what Next returns from now on.
func (r *Reader) end(err error) error {
	if !errors.Is(err, io.EOF) {
		r.failed = fmt.Errorf("%s: after line %d: %w", r.name, r.lines.line-1, err)
		return r.failed
	}
	r.failed = io.EOF
	if r.firstLine > 0 || r.tooLong {
		return io.EOF
	}
	what := "is empty"
	if r.lines.line > 0 {
		what = "has blank lines only"
	}
	return r.at(0, fault(ErrEmptyFile, "", "", "the file %s; one prompt or request a line is expected", what))
}

// Close closes the file. The Reader is of no use after that.
func (r *Reader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// badUTF8 is the first byte of b, counted from 1, that is not UTF-8.
func badUTF8(b []byte) int {
	for i := 0; i < len(b); {
		c, size := utf8.DecodeRune(b[i:])
		if c == utf8.RuneError && size == 1 {
			return i + 1
		}
		i += size
	}
	return 0
}
