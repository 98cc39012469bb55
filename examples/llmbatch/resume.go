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

// compareInput compares the input with what is on record of it. What has moved is found; what has changed is refused, or taken back so
// that it is run anew. What is answered already is noted for prompts that are the same.
func (b *batch) compareInput() error {
	if b.rec == nil || !b.rec.resumes {
		return nil
	}
	c, err := findChanges(b.rec, b.src.sum.Items, b.eachItem)
	switch {
	case err != nil:
		return err
	case len(c.displaced) > 0 && !b.allowChanged:
		return c.refusal()
	case len(c.displaced) > 0:
		err = c.takeIn()
	}
	if err != nil || b.repeats == nil {
		return err
	}
	return b.eachItem(func(item *batchfile.Item) {
		if b.rec.status(item.Index).State == journal.Done {
			b.repeats.note(item)
		}
	})
}

// eachItem calls do with each item of the input, in their order, which is valid during that call.
func (b *batch) eachItem(do func(*batchfile.Item)) error {
	read, err := b.src.open(true)
	if err != nil {
		return err
	}
	defer read.Close() //nolint:errcheck // it was only read
	for {
		item, err := read.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		do(&item)
	}
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
