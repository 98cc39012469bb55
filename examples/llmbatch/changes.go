package main

import (
	"fmt"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// changes is what is on record of an input and is not what stands in its place now: because it has changed or is gone, or has only moved,
// since lines were put in or taken out before it, or the file was sorted.
type changes struct {
	rec   *recorder
	items map[int]bool // on record
	first string       // the first place where something else stands
	moved map[int]int  // of items, those that stand elsewhere: where
}

// findChanges compares an input with what is on record of it. each calls a function with each of its items, of which there are so many.
func findChanges(rec *recorder, items int, each func(func(*batchfile.Item)) error) (*changes, error) {
	c := &changes{rec: rec, items: make(map[int]bool), moved: make(map[int]int)}
	err := each(func(item *batchfile.Item) {
		if rec.status(item.Index).Changed(hashOf(item)) {
			c.add(item.Index, fmt.Sprintf("line %d (%s)", item.Line, batchfile.Quote(item.ID)))
		}
	})
	if err != nil {
		return nil, err
	}
	for n := range rec.All() {
		if n >= items {
			c.add(n, fmt.Sprintf("item %d, which is missing", n+1))
		}
	}
	if len(c.items) == 0 {
		return c, nil
	}
	return c, c.findMoved(each)
}

func (c *changes) add(item int, what string) {
	if len(c.items) == 0 {
		c.first = what
	}
	c.items[item] = true
}

// findMoved looks for what is on record where nothing stays that is.
func (c *changes) findMoved(each func(func(*batchfile.Item)) error) error {
	lost := make(map[uint64]int)
	for n := range c.items {
		lost[c.rec.status(n).Hash] = n
	}
	return each(func(item *batchfile.Item) {
		if !c.items[item.Index] && c.rec.status(item.Index) != (journal.Status{}) {
			return // it is in its place
		}
		if n, ok := lost[hashOf(item)]; ok {
			c.moved[n] = item.Index
		}
	})
}

// refusal says what has changed, and what can be done.
func (c *changes) refusal() error {
	known := 0
	for range c.rec.All() {
		known++
	}
	moved := ""
	if len(c.moved) > 0 {
		moved = fmt.Sprintf(" (%d have only moved)", len(c.moved))
	}
	return fmt.Errorf("the input is not what it was when the run of %s began: %d of the %d prompts on record have changed%s, the first is %s; allowed: "+
		"another output with -o, if it is another input; the same input with the same -set, -model and -prompt-field; or -allow-changed, which "+
		"keeps what has only moved, gives up the answers to what has changed or is gone, and runs what has none", c.rec.Path(), len(c.items), known, moved, c.first)
}

// takeIn puts on record where things stand now, and takes back what has changed or is gone.
func (c *changes) takeIn() error {
	place := func(item int) (now int, ok bool) {
		if !c.items[item] {
			return item, true
		}
		now, ok = c.moved[item]
		return now, ok
	}
	if err := c.rec.Renumber(place); err != nil {
		return err
	}
	wasted := make(map[int]int)
	for item, n := range c.rec.wasted {
		if now, ok := place(item); ok { // or it was another prompt
			wasted[now] = n
		}
	}
	c.rec.wasted, c.rec.resets, c.rec.found = wasted, false, c.rec.Counts()
	return nil
}
