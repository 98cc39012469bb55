package journal

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Sync is when records are forced to the disk, with fsync. Whatever it is, a record has reached the operating system when the call
// that wrote it returns, so the end of the process, even by kill -9, loses none. What differs is what a power cut or a crash of
// the system can take away: the last records, from the last fsync on. Few file systems keep a later block and lose an earlier one;
// then Open does not guess, and says that the journal is damaged.
type Sync uint8

const (
	// Interval means at most Options.Every after the first record that is not on the disk yet, and by Close. A power cut takes
	// what was written in that time. The default.
	Interval Sync = iota
	// Always means before the call that writes a record returns. A power cut takes nothing that a caller was told of. Callers
	// that come while an fsync is under way share the next one.
	Always
	// Off means when the system sees fit, often after half a minute. A power cut takes what was written since.
	Off
)

// Options are how a journal is opened. The zero value works.
type Options struct {
	// Meta is any JSON value that a new journal begins with, such as a fingerprint of its input. An existing journal keeps
	// its own: see [Journal.Meta]. Nil leaves it out.
	Meta json.RawMessage
	// Sync is when records are forced to the disk. Defaults to Interval.
	Sync Sync
	// Every is the time of Interval. Defaults to one second; not negative.
	Every time.Duration
	// Replay, if set, is called by Open with each record, in order, the header first. An error of it ends Open, which returns
	// it as it is and leaves the file as it was. A caller that adds something up over records has to remember that
	// [Journal.Compact] keeps only the last record of each item. Called on the goroutine of Open.
	Replay func(Record) error
	// Repair makes Open leave out damaged lines, instead of returning ErrDamaged, and keep the file as it was beside the
	// journal, under its name and ".damaged" (which replaces an older one). An item whose last record is lost that way is in
	// the state before: one that was done may be in flight. A damaged header can't be repaired.
	Repair bool

	fs fileSystem // nil is the real one
}

// Journal is a durable record of how far each of many items has come. Make one with [Open]. All methods may be called from any
// goroutine.
type Journal struct {
	path   string // as it was given; immutable after Open, like the next five
	target string // the same without symbolic links: what is beside the journal is beside that
	sync   Sync
	every  time.Duration
	fs     fileSystem
	unlock func() error
	report Report

	mu      sync.Mutex // held while a record is written, and not during fsync
	idle    *sync.Cond // on mu: an fsync has ended
	file    file       // guarded by mu, like all below
	size    int64      // of the file, whole records
	records int        // in the file
	items   table
	meta    json.RawMessage
	buf     []byte // for encoding
	failed  error  // sticky: why nothing more is written
	closing bool   // Close was called; no more records
	closed  bool   // the file is closed

	written  uint64      // records found by Open, and written since
	synced   uint64      // how many of them are on the disk
	syncing  bool        // someone is in fsync
	timer    *time.Timer // of Interval; nil before the first record
	timerSet bool        // it will come
}

// Open opens the journal at path, makes it if there is none, and locks it against other processes and other calls until Close. It
// reads the whole file, and cuts off a torn tail: see [Journal.Report]. It does not wait for a lock. A symbolic link is followed once,
// now: the journal is the file that it stands for, with its lock beside that.
//
// Errors match [ErrInvalid], [ErrLocked], [ErrNotJournal], [ErrVersion], [ErrDamaged], or are what the system or Options.Replay said.
// After an error nothing is locked, and no record has been lost.
func Open(path string, opts Options) (*Journal, error) {
	meta, err := opts.check(path)
	if err != nil {
		return nil, err
	}
	target := opts.fs.Resolve(path)
	unlock, err := opts.fs.Lock(target)
	if err != nil {
		return nil, asError(path, err, "locking")
	}
	j := &Journal{path: path, target: target, sync: opts.Sync, every: opts.Every, fs: opts.fs, unlock: unlock, meta: meta}
	j.idle = sync.NewCond(&j.mu)
	if err := j.load(opts); err != nil {
		if j.file != nil {
			_ = j.file.Close() // the first error is the one that matters
		}
		_ = unlock()
		return nil, err
	}
	return j, nil
}

// check refuses options that make no sense, fills in defaults, and returns the metadata as it is written.
func (o *Options) check(path string) (json.RawMessage, error) {
	if path == "" {
		return nil, &FieldError{"path", `""`, "the name of a file"}
	}
	if o.Sync > Off {
		return nil, &FieldError{"Options.Sync", uint8(o.Sync), "Interval, Always or Off"}
	}
	if o.Every < 0 {
		return nil, &FieldError{"Options.Every", o.Every, "positive, or 0 for one second"}
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.fs == nil {
		o.fs = osFS{}
	}
	meta, err := oneLine("Options.Meta", o.Meta)
	return slices.Clone(meta), err
}

// load opens the file and brings it, and the memory of it, into order.
func (j *Journal) load(opts Options) error {
	if err := j.fs.Remove(j.target + ".compact"); err != nil { // of a compaction that a crash has ended
		return asError(j.path, err, "removing what is left of a compaction")
	}
	f, err := j.fs.Open(j.target, false)
	if err != nil {
		return asError(j.path, err, "")
	}
	j.file = f
	fresh := j.meta
	var refused error
	j.report, err = scan(f, opts.Repair, func(_ []byte, r Record) error {
		if !r.Kind.ofItem() {
			j.meta = slices.Clone(r.Data)
		}
		j.items.apply(r)
		if opts.Replay != nil {
			refused = opts.Replay(r)
		}
		return refused
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return asError(j.path, err, "")
	}
	j.size, j.records = j.report.Bytes, j.report.Records
	switch {
	case j.report.Records == 0:
		err = j.create(fresh)
	case j.report.Damaged > 0:
		err = j.repair()
	case j.report.Torn > 0:
		if err = f.Truncate(j.size); err != nil {
			err = asError(j.path, err, "cutting off a torn tail")
		}
	}
	if err != nil {
		return err
	}
	// What was found may be in the system's memory only, left there by a process that was killed, and its owner is about to
	// rely on it. Only Off leaves that to a later Flush; but no fsync is worth anything while the name is not on the disk.
	j.written = uint64(j.records)
	err = j.fs.SyncDir(filepath.Dir(j.target))
	if err == nil && j.sync != Off {
		err = j.file.Sync()
		j.synced = j.written
	}
	return asError(j.path, err, "forcing it to the disk")
}

// create writes the header of a new journal.
func (j *Journal) create(meta json.RawMessage) error {
	j.report.Created, j.meta = true, meta
	line := encode(nil, Record{Kind: KindHeader, Data: meta})
	if err := j.file.Truncate(0); err != nil {
		return asError(j.path, err, "")
	}
	if _, err := j.file.Write(line); err != nil {
		return asError(j.path, err, "writing the header")
	}
	j.size, j.records = int64(len(line)), 1
	return nil
}

// asError makes err one that says which journal it is about; nil stays nil.
func asError(path string, err error, doing string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Path = path
		return err
	}
	return &Error{Path: path, Item: -1, Err: err, Detail: doing}
}

// Path returns the path that the journal was opened with.
func (j *Journal) Path() string { return j.path }

// Report returns what Open found.
func (j *Journal) Report() Report { return j.report }

// Meta returns the data of the header, or what SetMeta has put in its place; nil when there is none.
func (j *Journal) Meta() json.RawMessage {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.meta)
}

// Status returns what is on record of item; the zero Status when nothing is. It may be ahead of the disk by what was written since
// the last fsync.
func (j *Journal) Status(item int) Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	if item < 0 {
		return Status{}
	}
	s, _ := j.items.get(item)
	return s
}

// Counts returns how many items there are of each state.
func (j *Journal) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.items.counts
}

// Size returns how many records the file has, the header among them, and how many bytes. When the records are many more than
// the items, Compact makes the next Open faster.
func (j *Journal) Size() (records int, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records, j.size
}

// All yields the items that have a record, from the lowest number, each with its status at that moment. The journal may be used
// meanwhile, also by the loop.
func (j *Journal) All() iter.Seq2[int, Status] {
	return func(yield func(int, Status) bool) {
		type row struct {
			item   int
			status Status
		}
		var rows []row // a page at a time, so that the lock is short and the loop runs without it
		for n, pages := 0, 1; n < pages; n++ {
			rows = rows[:0]
			j.mu.Lock()
			pages = len(j.items.pages)
			if n < pages && j.items.pages[n] != nil {
				for item := n * pageItems; item < (n+1)*pageItems; item++ {
					if s, ok := j.items.get(item); ok {
						rows = append(rows, row{item, s})
					}
				}
			}
			j.mu.Unlock()
			for _, r := range rows {
				if !yield(r.item, r.status) {
					return
				}
			}
		}
	}
}

// rewind makes the next read begin at the start of the file.
func rewind(f file) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}
