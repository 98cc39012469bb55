package journal

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// Start records that an attempt at item is about to begin; hash is that of its input, or 0. Do what the attempt does only after
// this has returned nil. It may be called for an item that is pending, failed, or in flight: in the last case the attempt before has
// ended nobody knows how, and counts as ambiguous. See [Journal.Append].
func (j *Journal) Start(item int, hash uint64, data json.RawMessage) error {
	return j.Append(Entry{Kind: KindStart, Item: item, Hash: hash, Data: data})
}

// Done records that item has its result. Show the result only after this has returned nil. See [Journal.Append].
func (j *Journal) Done(item int, data json.RawMessage) error {
	return j.Append(Entry{Kind: KindDone, Item: item, Data: data})
}

// Fail records that item is given up, and that its last attempt has had no effect; Append can say that it may have had one.
func (j *Journal) Fail(item int, data json.RawMessage) error {
	return j.Append(Entry{Kind: KindFailed, Item: item, Data: data})
}

// Retry records that an attempt has ended without a result and without an effect, and that item is pending again; Append can
// say that it may have had one.
func (j *Journal) Retry(item int, data json.RawMessage) error {
	return j.Append(Entry{Kind: KindRetry, Item: item, Data: data})
}

// Reset takes back all that was recorded of item, be it done, as when its input has changed.
func (j *Journal) Reset(item int) error { return j.Append(Entry{Kind: KindReset, Item: item}) }

// Append records e, with one write, and returns when the operating system has it; with Always, when the disk has it. Records of
// one item are kept in the order of the calls.
//
// It refuses, without harm, an entry that makes no sense ([ErrInvalid]), one for an item that is done ([ErrDone]), and one whose hash
// is not the one on record ([ErrChanged]); a reset is taken in both cases. After [ErrUnwritable] it is not known whether this
// record will be found at the next Open; no later one is taken. After [ErrClosed] it was not written.
func (j *Journal) Append(e Entry) error {
	if e.Item < 0 || e.Item > MaxItem {
		return &FieldError{"Entry.Item", e.Item, "from 0 to 1,073,741,823"}
	}
	if !e.Kind.ofItem() {
		return &FieldError{"Entry.Kind", e.Kind, "one of those about an item"}
	}
	data, err := oneLine("Entry.Data", e.Data)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	was, _ := j.items.get(e.Item)
	if reason := was.refuse(e); reason != nil {
		return &Error{Path: j.path, Item: e.Item, Reason: reason, Detail: "reset the item first, if it is to be run again"}
	}
	return j.record(Record{Kind: e.Kind, Item: e.Item, Status: was.after(e), Data: data})
}

// SetMeta replaces what Meta returns, now and after the next Open. It waits and fails like Append.
func (j *Journal) SetMeta(meta json.RawMessage) error {
	meta, err := oneLine("meta", meta)
	if err != nil {
		return err
	}
	meta = slices.Clone(meta)
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.record(Record{Kind: KindMeta, Data: meta})
}

// record writes r, takes it in, and sees to it that it gets to the disk as the policy wants. It is called with mu held.
func (j *Journal) record(r Record) error {
	if err := j.usable(); err != nil {
		return err
	}
	j.buf = encode(j.buf[:0], r)
	if err := j.write(j.buf); err != nil {
		return err
	}
	if cap(j.buf) > 1<<16 { // one large record is no reason to keep that much for good
		j.buf = nil
	}
	j.items.apply(r)
	if r.Kind == KindMeta {
		j.meta = r.Data
	}
	return j.commit()
}

// usable returns why the journal takes no records, or nil. It is called with mu held.
func (j *Journal) usable() error {
	if j.closing {
		return &Error{Path: j.path, Item: -1, Reason: ErrClosed}
	}
	return j.failed
}

// write appends one line to the file, whole, or spoils the journal. It is called with mu held.
func (j *Journal) write(line []byte) error {
	n, err := j.file.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// What did get there is a torn tail. It may as well go now; if it stays, the next Open finds and cuts it.
		if n > 0 {
			err = errors.Join(err, j.file.Truncate(j.size))
		}
		return j.spoil(err, "writing a record")
	}
	j.size += int64(n)
	j.records++
	j.written++
	return nil
}

// spoil makes err the reason for which the journal takes no more records. It is called with mu held.
//
// A write that failed once, such as on a full disk, could succeed the next time; but then a record could be missing between two
// that are there. And after an fsync that failed, the system may count the pages as clean, although they never reached the
// disk: a second fsync succeeds, and means nothing.
func (j *Journal) spoil(err error, doing string) error {
	if j.failed == nil {
		j.failed = &Error{Path: j.path, Item: -1, Reason: ErrUnwritable, Err: err, Detail: doing + " failed"}
		j.idle.Broadcast()
	}
	return j.failed
}

// Err returns an error that matches [ErrUnwritable] once writing or forcing to the disk has failed, in a call or, with Interval, between
// calls; else nil.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}
