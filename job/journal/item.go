package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// MaxItem is the highest number that an item can have.
const MaxItem = 1<<30 - 1

// MaxData is the most bytes that the data of one record may have: 64 MiB.
const MaxData = 64 << 20

// maxCount is where the counts of one item stop growing.
const maxCount = math.MaxUint16

// State is how far an item has come.
type State uint8

const (
	// Pending means not begun, or to be begun again. The state of an item that has no record.
	Pending State = iota
	// InFlight means begun, and not known to have ended. After a crash: it may have taken effect ("maybe billed").
	InFlight
	// Done means ended with a result. Final, save for a reset.
	Done
	// Failed means given up. It can be begun again.
	Failed
)

// String returns "pending", "in flight", "done" or "failed".
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case InFlight:
		return "in flight"
	case Done:
		return "done"
	case Failed:
		return "failed"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// Status is all that the journal keeps in memory of an item. The zero value is that of an item without a record.
type Status struct {
	State State
	// Hash of the input that the item had when it was recorded; 0 when none was given.
	Hash uint64
	// Starts is how often the item was begun. It stays at 65,535 from there on.
	Starts int
	// Ambiguous is how many attempts may have taken effect without leaving a result, not counting one that is in flight now: those
	// that were begun once more without having been ended, and those that were ended as ambiguous. It stays at 65,535
	// from there on.
	Ambiguous int
}

// Changed reports whether the item is on record with another hash than this. It is false for an item that has no record, and
// where either hash is 0.
func (s Status) Changed(hash uint64) bool { return s.Hash != 0 && hash != 0 && s.Hash != hash }

// Kind is what a record tells.
type Kind uint8

const (
	// KindHeader begins the journal. Its data is the caller's, from Options.Meta.
	KindHeader Kind = iota + 1
	// KindMeta replaces the header's data.
	KindMeta
	// KindStart is written when an attempt at the item is about to begin.
	KindStart
	// KindDone says that the item has its result.
	KindDone
	// KindFailed says that the item is given up.
	KindFailed
	// KindRetry says that the attempt has ended without a result, and the item is pending again.
	KindRetry
	// KindReset says that what was recorded of the item does not count any more.
	KindReset
)

// kindNames are the words that stand in the file, and cannot change.
var kindNames = [...]string{
	KindHeader: "journal", KindMeta: "meta", KindStart: "start", KindDone: "done", KindFailed: "failed", KindRetry: "retry",
	KindReset: "reset",
}

// String returns the word that stands for the kind in the file, such as "start".
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// ofItem reports whether records of this kind are about an item.
func (k Kind) ofItem() bool { return k >= KindStart && k <= KindReset }

// state is that of an item after a record of this kind.
func (k Kind) state() State {
	switch k {
	case KindStart:
		return InFlight
	case KindDone:
		return Done
	case KindFailed:
		return Failed
	default:
		return Pending
	}
}

// Record is one line of a journal, as it is read.
type Record struct {
	Kind Kind
	Item int // 0 with KindHeader and KindMeta
	// Status of the item after this record. Each record has all of it, so that the last one of an item is enough.
	Status Status
	// Data is what the caller gave; nil when that was nothing. It is valid only during the call that it was passed to.
	Data json.RawMessage
}

// Entry is what a caller has to tell of an item.
type Entry struct {
	Kind Kind // KindStart, KindDone, KindFailed, KindRetry or KindReset
	Item int  // from 0 to MaxItem
	// Hash of the item's input; 0 leaves the one on record. See [Hash].
	Hash uint64
	// Ambiguous says of the attempt that ends that it may have taken effect all the same, as when a connection breaks after the
	// request was sent. For KindFailed and KindRetry of an item in flight; meaningless otherwise.
	Ambiguous bool
	// Data is any JSON value of at most MaxData bytes, or nil. It is given back by Options.Replay and otherwise not looked at.
	Data json.RawMessage
}

// after is the status of an item whose status was s, once e is recorded.
func (s Status) after(e Entry) Status {
	if e.Kind == KindReset {
		return Status{}
	}
	next := s
	next.State = e.Kind.state()
	if e.Hash != 0 {
		next.Hash = e.Hash
	}
	if s.State == InFlight && (e.Kind == KindStart || e.Ambiguous && e.Kind != KindDone) {
		next.Ambiguous = min(s.Ambiguous+1, maxCount)
	}
	if e.Kind == KindStart {
		next.Starts = min(s.Starts+1, maxCount)
	}
	return next
}

// refuse says why e may not be recorded of an item whose status is s, or nil.
func (s Status) refuse(e Entry) error {
	switch {
	case e.Kind == KindReset:
		return nil
	case s.State == Done:
		return ErrDone
	case s.Changed(e.Hash):
		return ErrChanged
	default:
		return nil
	}
}

// Hash returns a hash of parts, one after another, for [Entry]: the first 8 bytes of their SHA-256, and never 0. It is the same
// in every version of this package. Where parts are divided makes no difference.
func Hash(parts ...[]byte) uint64 {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part) // never fails
	}
	var sum [sha256.Size]byte
	return max(1, binary.BigEndian.Uint64(h.Sum(sum[:0])))
}

// Counts says how many items there are of each state, and what became of all of them together.
type Counts struct {
	Pending   int // pending items that have a record, such as those to be tried again
	InFlight  int // after Open: those that a crash has cut off, and those that were left open
	Done      int
	Failed    int
	Starts    int64 // sum of Status.Starts
	Ambiguous int64 // sum of Status.Ambiguous; with InFlight after a crash, what may have been billed for nothing
}

// add counts an item n times, n being 1 or -1.
func (c *Counts) add(s Status, n int) {
	switch s.State {
	case Pending:
		c.Pending += n
	case InFlight:
		c.InFlight += n
	case Done:
		c.Done += n
	case Failed:
		c.Failed += n
	}
	c.Starts += int64(n) * int64(s.Starts)
	c.Ambiguous += int64(n) * int64(s.Ambiguous)
}

// pageItems is how many items share a page of a table. Growing by pages copies nothing, where a slice would hold both copies.
const pageItems = 4096

// page keeps 13 bytes an item: columns, because rows would be padded to 16.
type page struct {
	hash      [pageItems]uint64
	starts    [pageItems]uint16
	ambiguous [pageItems]uint16
	state     [pageItems]uint8 // the State plus 1; 0 for an item without a record
}

// table has the status of each item.
type table struct {
	pages  []*page // nil where no item has a record
	counts Counts
}

// get returns the status of item, and whether it has a record.
func (t *table) get(item int) (Status, bool) {
	n := item / pageItems
	if n >= len(t.pages) || t.pages[n] == nil {
		return Status{}, false
	}
	p, i := t.pages[n], item%pageItems
	if p.state[i] == 0 {
		return Status{}, false
	}
	return Status{State(p.state[i] - 1), p.hash[i], int(p.starts[i]), int(p.ambiguous[i])}, true
}

// set makes s the status of item; kept tells that the item has a record now, and not that it lost its.
func (t *table) set(item int, s Status, kept bool) {
	if was, ok := t.get(item); ok {
		t.counts.add(was, -1)
	}
	n := item / pageItems
	for n >= len(t.pages) {
		t.pages = append(t.pages, nil)
	}
	if t.pages[n] == nil {
		t.pages[n] = new(page)
	}
	p, i := t.pages[n], item%pageItems
	p.hash[i], p.starts[i], p.ambiguous[i], p.state[i] = s.Hash, uint16(s.Starts), uint16(s.Ambiguous), 0
	if kept {
		p.state[i] = uint8(s.State) + 1
		t.counts.add(s, 1)
	}
}

// apply takes in a record that was read, or has just been written.
func (t *table) apply(r Record) {
	if r.Kind.ofItem() {
		t.set(r.Item, r.Status, r.Kind != KindReset)
	}
}
