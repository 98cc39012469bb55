package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
	"github.com/toller-go/toller/job/journal"
)

// changes is what is on record of an input and is not what stands in its place now: because it has changed or is gone, or has only moved,
// since lines were put in or taken out before it, or the file was sorted. That may be all of many millions. A line without a custom_id is
// called by its number, and is another one elsewhere.
type changes struct {
	rec       *recorder
	displaced []displaced // by item
	first     string      // the first place where something else stands
	moved     int         // how many have only moved
}

// displaced is one such item.
type displaced struct {
	hash uint64 // on record
	item int32  // where it was
	now  int32  // where it has moved to; -1 if it has not
}

// findChanges compares an input with what is on record of it. each calls a function with each of its items, of which there are so many.
func findChanges(rec *recorder, items int, each func(func(*batchfile.Item)) error) (*changes, error) {
	c := &changes{rec: rec}
	err := each(func(item *batchfile.Item) {
		if status := rec.status(item.Index); status.Changed(hashOf(item)) {
			if c.add(item.Index, status); c.first == "" {
				c.first = fmt.Sprintf("line %d (%s)", item.Line, batchfile.Quote(item.ID))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for n, status := range rec.All() {
		if n >= items {
			if c.add(n, status); c.first == "" {
				c.first = fmt.Sprintf("item %d, which is missing", n+1)
			}
		}
	}
	if len(c.displaced) == 0 {
		return c, nil
	}
	return c, c.findMoved(each)
}

func (c *changes) add(item int, status journal.Status) {
	c.displaced = append(c.displaced, displaced{status.Hash, int32(item), -1})
}

// findMoved looks for what is displaced where nothing stays that is on record.
func (c *changes) findMoved(each func(func(*batchfile.Item)) error) error {
	byHash := make([]int32, len(c.displaced))
	for i := range byHash {
		byHash[i] = int32(i)
	}
	slices.SortFunc(byHash, func(a, b int32) int { return cmp.Compare(c.displaced[a].hash, c.displaced[b].hash) })
	return each(func(item *batchfile.Item) {
		if c.find(item.Index) == nil && c.rec.status(item.Index) != (journal.Status{}) {
			return // it is in its place
		}
		i, found := slices.BinarySearchFunc(byHash, hashOf(item), func(i int32, hash uint64) int { return cmp.Compare(c.displaced[i].hash, hash) })
		if !found {
			return
		}
		if d := &c.displaced[byHash[i]]; d.now < 0 {
			d.now = int32(item.Index)
			c.moved++
		}
	})
}

// find returns what is displaced of an item; nil if it is not.
func (c *changes) find(item int) *displaced {
	i, found := slices.BinarySearchFunc(c.displaced, item, func(d displaced, item int) int { return cmp.Compare(int(d.item), item) })
	if !found {
		return nil
	}
	return &c.displaced[i]
}

// refusal says what has changed, and what can be done.
func (c *changes) refusal() error {
	known := 0
	for range c.rec.All() {
		known++
	}
	moved := ""
	if c.moved > 0 {
		moved = fmt.Sprintf(" (%d have only moved)", c.moved)
	}
	return fmt.Errorf("the input is not what it was when the run of %s began: %d of the %d prompts on record have changed%s, the first is %s; allowed: "+
		"another output with -o, if it is another input; the same input with the same -set, -model and -prompt-field; or -allow-changed, which "+
		"keeps what has only moved and has a custom_id, gives up the answers to what has changed or is gone, and runs what has none", c.rec.Path(), len(c.displaced), known, moved, c.first)
}

// takeIn puts on record where things stand now, and takes back what has changed or is gone.
func (c *changes) takeIn() error {
	place := func(item int) (now int, ok bool) {
		if d := c.find(item); d != nil {
			return int(d.now), d.now >= 0
		}
		return item, true
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
