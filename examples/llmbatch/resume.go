package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// hashOf tells an item from another one, or from itself with another prompt, model or parameter.
func hashOf(item *batchfile.Item) uint64 {
	return journal.Hash([]byte(item.ID), []byte{0}, []byte(item.URL), []byte{0}, item.Body)
}

// compareInput compares the input with what is on record of it. What has changed is refused, or taken back so that it is run anew. What
// is answered already is noted for prompts that are the same.
func (b *batch) compareInput() error {
	if b.rec == nil || !b.rec.resumes {
		return nil
	}
	read, err := b.src.open(true)
	if err != nil {
		return err
	}
	defer read.Close() //nolint:errcheck // it was only read
	var c changes
	for n := 0; ; n++ {
		item, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch status, hash := b.rec.status(n), hashOf(&item); {
		case status.Changed(hash):
			c.add(n, hash, fmt.Sprintf("line %d (%s)", item.Line, batchfile.Quote(item.ID)))
		case status.State == journal.Done:
			b.repeats.note(&item)
		}
	}
	for n := range b.rec.All() {
		if n >= b.src.sum.Items {
			c.add(n, 0, fmt.Sprintf("item %d, which is missing", n+1))
		}
	}
	return b.takeBack(&c)
}

// changes is what of an input is not what is on record.
type changes struct {
	items  []int    // what is on record otherwise
	hashes []uint64 // of what is there now; 0 where nothing is
	first  string   // the first of these
}

func (c *changes) add(item int, hash uint64, what string) {
	if len(c.items) == 0 {
		c.first = what
	}
	c.items, c.hashes = append(c.items, item), append(c.hashes, hash)
}

// refusal says what has changed, and what can be done.
func (c *changes) refusal(rec *recorder) error {
	there := make(map[uint64]bool)
	for _, hash := range c.hashes {
		there[hash] = true
	}
	known, found := 0, 0
	for _, status := range rec.All() {
		known++
		if there[status.Hash] {
			found++
		}
	}
	moved, order := "", ""
	if found > 0 {
		moved = fmt.Sprintf(" (%d have only moved, and what is on record goes by the place in the input)", found)
		order = " in the same order"
	}
	return fmt.Errorf("the input is not what it was when the run of %s began: %d of the %d prompts on record have changed%s, the first is %s; allowed: "+
		"another output with -o, if it is another input; the same input%s with the same -set, -model and -prompt-field; or -allow-changed, which "+
		"gives up the answers to what has changed or moved, and runs and pays for it anew", rec.Path(), len(c.items), known, moved, c.first, order)
}

// takeBack takes back what is on record of prompts that have changed, if that is wanted.
func (b *batch) takeBack(c *changes) error {
	if len(c.items) == 0 {
		return nil
	}
	if !b.allowChanged {
		return c.refusal(b.rec)
	}
	for _, n := range c.items {
		if err := b.rec.Reset(n); err != nil {
			return err
		}
		delete(b.rec.wasted, n) // it was another prompt
	}
	b.rec.resets = true
	b.rec.found = b.rec.Counts()
	return nil
}

// restore makes the output anew from what is on record.
func (b *batch) restore() error {
	if b.rec == nil || !b.rec.resumes {
		return nil
	}
	err := b.rec.lines(!b.retryFailed, func(item int, line []byte) error {
		return errors.Join(b.put(item, line), b.repeats.adopt(item, line))
	})
	if err != nil {
		return err
	}
	b.repeats.adopted()
	if err := b.rec.own(&b.settings); err != nil {
		return err
	}
	if err := b.out.Publish(); err != nil {
		return err
	}
	found := b.rec.found
	if b.retryFailed {
		found.Failed = 0
	}
	b.tally.resume(found)
	return nil
}

// settled reports whether a prompt that has been read needs no answer any more: because it has one, or has failed for good, or may
// have been billed and is not to be sent again.
func (b *batch) settled(item *batchfile.Item) bool {
	switch s := b.rec.status(item.Index); {
	case s.State == journal.Done:
		return true
	case s.State == journal.Failed:
		return !b.retryFailed
	case s.State == journal.InFlight && b.failInFlight:
		return b.giveUp(item, errCutOff)
	case s.State == journal.Pending && b.wasted(item) > b.retryAmbiguous && !b.retryFailed:
		return b.giveUp(item, errWasted)
	default:
		return false
	}
}

// Why a prompt fails without being sent.
var (
	errCutOff = errors.New("it was under way when an earlier run was cut off, and may have been billed")
	errWasted = errors.New("it may have been billed in earlier runs more often than -retry-ambiguous has it tried again")
)

// giveUp has a prompt fail that may have been billed and is not to be sent again. It returns true.
func (b *batch) giveUp(item *batchfile.Item, why error) bool {
	b.finish(*item, batchfile.Record{CustomID: item.ID, Error: &batchfile.Failure{Code: "maybe_billed", Message: why.Error()}}, "", why)
	return true
}

// wasted is how many attempts of earlier runs at a prompt count against -retry-ambiguous. Where it has failed for good since, and
// -retry-failed gives it another chance, that begins with none.
func (b *batch) wasted(item *batchfile.Item) int {
	if b.rec == nil {
		return 0
	}
	return b.rec.wasted[item.Index]
}

// before says what was found of earlier runs; empty if there was none.
func (b *batch) before() string {
	if b.rec == nil || !b.rec.resumes {
		return ""
	}
	f := b.rec.found
	text := fmt.Sprintf("going on by %s: %d of %d prompts are answered, %d have failed for good", b.rec.Path(), f.Done, b.src.sum.Items, f.Failed)
	if f.InFlight > 0 {
		what := "sent again (-in-flight fail does not)"
		if b.failInFlight {
			what = "given up"
		}
		text += fmt.Sprintf("; %d were under way when it was cut off, may have been billed, and are %s", f.InFlight, what)
	}
	if b.rec.carried > 0 {
		text += fmt.Sprintf("; %d requests, sent not long ago, count against the limits", b.rec.carried)
	}
	return text
}
