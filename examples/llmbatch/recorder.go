package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// errNotRecorded ends an attempt that could not be recorded, and so is not sent.
var errNotRecorded = errors.New("could not be recorded")

// recorder is the journal of a run: what was begun, before it is sent, and what was answered, with the line of the output, before that
// is written. So the output can be made anew from it, whatever became of the output. A nil recorder, the demo's, records nothing.
type recorder struct {
	*journal.Journal
	found   journal.Counts // when the run began
	resumes bool           // there was a journal
	resets  bool           // and it takes things back
	carry   *carry         // what it says was sent not long ago; nil once that is charged
	carried int            // requests that were charged
	wasted  map[int]int    // by item, as far as it has neither its answer nor failed: see wasted
}

// openRecorder opens the journal of an output, and locks it against others.
func openRecorder(s *settings) (*recorder, error) {
	if s.journal == "" {
		return nil, nil
	}
	if err := s.claimNew(); err != nil {
		return nil, err
	}
	r := &recorder{carry: newCarry(s), wasted: make(map[int]int)}
	opt := s.journalOptions()
	opt.Meta = s.belonging()
	opt.Replay = func(record journal.Record) error {
		r.resets = r.resets || record.Kind == journal.KindReset
		r.carry.take(record)
		r.learnWasted(record)
		return nil
	}
	var err error
	if r.Journal, err = journal.Open(s.journal, opt); err != nil {
		if errors.Is(err, journal.ErrLocked) {
			err = fmt.Errorf("another process is at this output: %w", err)
		}
		return nil, err
	}
	r.resumes, r.found = !r.Report().Created, r.Counts()
	if err := r.claim(s); err != nil {
		r.abandon()
		return nil, err
	}
	return r, nil
}

// journalOptions is when the journal is forced to the disk.
func (s *settings) journalOptions() journal.Options {
	how := map[string]journal.Sync{"always": journal.Always, "interval": journal.Interval, "off": journal.Off}
	return journal.Options{Sync: how[s.sync], Every: time.Second}
}

// abandon closes the journal of a run that does not begin. One that has just been made goes.
func (r *recorder) abandon() {
	if r == nil {
		return
	}
	if !r.resumes {
		_ = os.Remove(r.Path()) // it holds nothing
	}
	_ = r.Close()
}

// status is what is on record of a prompt.
func (r *recorder) status(item int) journal.Status {
	if r == nil {
		return journal.Status{}
	}
	return r.Status(item)
}

// begin records that a prompt is about to be sent. It must not be, if that fails.
func (r *recorder) begin(f *flight) error {
	if r == nil {
		return nil
	}
	return r.Start(f.item.Index, f.item.Hash, f.sent())
}

// failed records that an attempt has had no answer, whether it may have been billed for nothing, and how many have been so by now.
func (r *recorder) failed(item *batchfile.Item, ambiguous bool, n int) error {
	if r == nil {
		return nil
	}
	entry := journal.Entry{Kind: journal.KindRetry, Item: item.Index, Ambiguous: ambiguous}
	if n > 0 {
		entry.Data, _ = json.Marshal(wasted{n}) // a number: that can't fail
	}
	return r.Append(entry)
}

// wasted is how many attempts at a prompt may have been billed for nothing, and count against -retry-ambiguous. Those that were cut off are
// not among them, as they are in journal.Status: what becomes of these is up to -in-flight.
type wasted struct {
	N int `json:"wasted,omitempty"`
}

// learnWasted takes in what a record says of that.
func (r *recorder) learnWasted(record journal.Record) {
	switch record.Kind {
	case journal.KindDone, journal.KindFailed, journal.KindReset:
		delete(r.wasted, record.Item)
	case journal.KindRetry, journal.KindStart:
		var w wasted
		if record.Data != nil && json.Unmarshal(record.Data, &w) == nil && w.N > 0 {
			r.wasted[record.Item] = w.N
		}
	default:
	}
}

// end records what became of a prompt, by its line of the output. To have failed for good is no final word: see -retry-failed. An attempt
// that is on record as under way by then, without an answer, was cut off, and may have been billed.
func (r *recorder) end(item *batchfile.Item, line []byte, answered bool) error {
	if r == nil {
		return nil
	}
	kind := journal.KindFailed
	if answered {
		kind = journal.KindDone
	}
	return r.Append(journal.Entry{Kind: kind, Item: item.Index, Hash: item.Hash, Ambiguous: !answered, Data: bytes.TrimSuffix(line, []byte("\n"))})
}

// errTooLong is why an answer counts as failed that the journal could not hold.
var errTooLong = errors.New("the answer is too long for the journal")

// mostResponse is the most that -max-response-bytes may be: a line of the journal holds that, and what belongs to it, unless ids are huge or
// what came is no JSON and has to be escaped.
const mostResponse = journal.MaxData - 1<<20

// fitting returns a record that the journal can hold, with why there is no answer: a failure in place of one whose line would be too
// long. Else that would end the run, and a resume would send the prompt again, and have it billed, each time.
func fitting(record batchfile.Record, err error) (batchfile.Record, error) {
	const escaped = 6 // what a byte may become
	if record.Response == nil || escaped*(len(record.Response.Body)+len(record.CustomID)) < mostResponse {
		return record, err
	}
	line, bad := batchfile.AppendRecord(nil, record)
	size := len(line) - 1 // without its end
	if bad != nil || size <= journal.MaxData {
		return record, err
	}
	err = fmt.Errorf("%w: its line would have %d bytes, and %d are the most", errTooLong, size, journal.MaxData)
	return batchfile.Record{CustomID: record.CustomID, Error: &batchfile.Failure{Code: "too_long", Message: err.Error()}}, err
}

// lines calls write with the line, which is valid during that call, of each prompt that is on record as answered or, if so wished, as failed for good, in the order in
// which they became so.
func (r *recorder) lines(failed bool, write func(item int, line []byte) error) error {
	if r.resets {
		if err := r.Compact(); err != nil { // or a prompt could have had the same status twice, with another line
			return err
		}
	}
	f, err := os.Open(r.Path())
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var line []byte
	_, err = journal.Scan(f, func(record journal.Record) error {
		final := record.Kind == journal.KindDone || record.Kind == journal.KindFailed && failed
		if !final || record.Status != r.Status(record.Item) {
			return nil
		}
		line = append(append(line[:0], record.Data...), '\n')
		return write(record.Item, line)
	})
	return err
}

// broken returns why nothing can be recorded any more; nil if it can.
func (r *recorder) broken() error {
	if r == nil {
		return nil
	}
	return r.Err()
}

// close closes the journal.
func (r *recorder) close() error {
	if r == nil {
		return nil
	}
	return r.Close()
}
