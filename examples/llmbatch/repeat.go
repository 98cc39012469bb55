package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// mostFollowers is how many prompts may wait for the answer to another one like them.
const mostFollowers = 65_536

// repeats has requests that are the same share one answer, which is kept in a file. It belongs to the loop.
type repeats struct {
	always bool // -dedupe always: whatever their temperature

	answered map[digest]int64            // where the answer is
	leaders  map[digest][]batchfile.Item // under way, and those who wait for the answer, without their bodies
	waiting  int                         // of those
	file     *os.File                    // nil until something is answered
	size     int64

	before []answeredBefore // by item, while a resume makes the output anew; nil after that
}

// answeredBefore is a prompt that an earlier run has answered.
type answeredBefore struct {
	item   int
	digest digest
}

// digest identifies a request.
type digest [16]byte

func newRepeats(mode string) *repeats {
	if mode == "off" {
		return nil
	}
	return &repeats{always: mode == "always", answered: make(map[digest]int64), leaders: make(map[digest][]batchfile.Item)}
}

// shares reports whether a prompt may share its answer, and by what.
func (r *repeats) shares(item *batchfile.Item) (digest, bool) {
	if r == nil || !r.always && !cold(item) {
		return digest{}, false
	}
	sum := sha256.Sum256(item.Body)
	return digest(sum[:16]), true
}

// cold reports whether the temperature is 0: then the same request is expected to have the same answer.
func cold(item *batchfile.Item) bool {
	t, err := strconv.ParseFloat(string(batchfile.FindMember(item.Body, "temperature")), 64)
	return err == nil && t == 0
}

// full reports whether no more should be read for now.
func (r *repeats) full() bool { return r != nil && r.waiting >= mostFollowers }

// note notes that an earlier run has answered a prompt. Prompts are noted in the order of the input.
func (r *repeats) note(item *batchfile.Item) {
	if d, shares := r.shares(item); shares {
		r.before = append(r.before, answeredBefore{item.Index, d})
	}
}

// adopt keeps the line of a prompt that was noted, unless there is one like it.
func (r *repeats) adopt(item int, line []byte) error {
	if r == nil {
		return nil
	}
	n, noted := slices.BinarySearchFunc(r.before, item, func(a answeredBefore, item int) int { return a.item - item })
	if !noted {
		return nil
	}
	d := r.before[n].digest
	if _, there := r.answered[d]; there {
		return nil
	}
	return r.keepLine(d, append(make([]byte, 4, 4+len(line)), line...))
}

// adopted forgets what was noted.
func (r *repeats) adopted() {
	if r != nil {
		r.before = nil
	}
}

// keep stores an answer, as a line of the output.
func (r *repeats) keep(d digest, record batchfile.Record) error {
	line, err := batchfile.AppendRecord(make([]byte, 4), record)
	if err != nil {
		return err
	}
	return r.keepLine(d, line)
}

// keepLine stores a line of the output. In front of it are four bytes for its length.
func (r *repeats) keepLine(d digest, line []byte) (err error) {
	if r.file == nil {
		if r.file, err = tempFile(); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint32(line, uint32(len(line)-4))
	if _, err := r.file.WriteAt(line, r.size); err != nil {
		return fmt.Errorf("keeping an answer for requests that are the same: %w", err)
	}
	r.answered[d] = r.size
	r.size += int64(len(line))
	return nil
}

// load returns an answer that was kept.
func (r *repeats) load(at int64) (batchfile.Record, error) {
	var head [4]byte
	if _, err := r.file.ReadAt(head[:], at); err != nil {
		return batchfile.Record{}, err
	}
	line := make([]byte, binary.LittleEndian.Uint32(head[:]))
	if _, err := r.file.ReadAt(line, at+4); err != nil && !errors.Is(err, io.EOF) {
		return batchfile.Record{}, err
	}
	record, err := batchfile.ParseRecord(line[:len(line)-1])
	record.ID = "" // that of another
	return record, err
}

func (r *repeats) close() {
	if r != nil && r.file != nil {
		closeTemp(r.file)
	}
}

// repeated answers a prompt that has been asked before, or has it wait for who asked first. It reports false if the prompt is to be sent.
func (b *batch) repeated(item batchfile.Item) bool {
	d, shares := b.repeats.shares(&item)
	if !shares {
		return false
	}
	if at, ok := b.repeats.answered[d]; ok {
		record, err := b.repeats.load(at)
		b.share(record, err, item)
		return true
	}
	if followers, ok := b.repeats.leaders[d]; ok {
		item.Body = nil
		b.repeats.leaders[d] = append(followers, item)
		b.repeats.waiting++
		return true
	}
	b.repeats.leaders[d] = nil
	return false
}

// share records an answer that another prompt has got.
func (b *batch) share(record batchfile.Record, err error, item batchfile.Item) {
	if err != nil {
		b.stop(exitNotRecorded, unwritten(err))
		return
	}
	record.CustomID, record.ID = item.ID, ""
	if record, err = fitting(record, nil); err != nil {
		b.finish(item, record, "", err)
		return
	}
	if b.write(&item, record, true) {
		b.tally.shared(record)
	}
}

// forget forgets a prompt that is not going to be sent, and those who wait for its answer. It returns how many these are.
func (r *repeats) forget(item *batchfile.Item) (followers int) {
	d, shares := r.shares(item)
	if !shares {
		return 0
	}
	followers = len(r.leaders[d])
	r.waiting -= followers
	delete(r.leaders, d)
	return followers
}

// led gives what became of a prompt to those who wait for the same. They share an answer that is one; where there is none, the first
// of them is sent next. A run that ends has no use for them.
func (b *batch) led(item batchfile.Item, record *batchfile.Record) {
	d, shares := b.repeats.shares(&item)
	if !shares {
		return
	}
	followers := b.repeats.leaders[d]
	if record != nil && record.Succeeded() {
		delete(b.repeats.leaders, d)
		b.repeats.waiting -= len(followers)
		err := b.repeats.keep(d, *record)
		for _, follower := range followers {
			b.share(*record, err, follower)
		}
		return
	}
	if len(followers) == 0 || b.halt.isAsked() {
		b.repeats.forget(&item)
		return
	}
	next := followers[0]
	next.Body = item.Body
	b.repeats.leaders[d] = followers[1:]
	b.repeats.waiting--
	b.enqueue(next)
}
