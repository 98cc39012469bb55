package policy

import (
	"fmt"
	"slices"
)

// Clone returns a copy that shares no memory with b, whatever was taken from it.
func (b *Bucket) Clone() *Bucket {
	c := *b
	c.peaks = slices.Clone(b.peaks)
	if b.window != nil {
		w := *b.window
		w.slices = slices.Clone(w.slices)
		c.window = &w
	}
	return &c
}

// Charged returns what the window of a sliding limit holds.
func (b *Bucket) Charged() Amount { return b.window.sum }

// Slices returns in how many slices that is, and for how many there is memory.
func (b *Bucket) Slices() (held, room int) {
	return len(b.window.slices) - b.window.head, cap(b.window.slices)
}

// WindowFault says what is wrong with the inside of a bucket's window, if anything is.
func (b *Bucket) WindowFault() error {
	w := b.window
	if w == nil {
		return nil
	}
	if w.head < 0 || w.head > len(w.slices) || w.head > 0 && w.head == len(w.slices) {
		return fmt.Errorf("head %d of %d", w.head, len(w.slices))
	}
	var sum Amount
	held := w.slices[w.head:]
	for i, s := range held {
		sum += s.amount
		switch {
		case s.amount < 0:
			return fmt.Errorf("slice %d holds %d", i, s.amount)
		case s.first > s.last || s.last > b.last:
			return fmt.Errorf("slice %d lasts from %d to %d, it is %d", i, s.first, s.last, b.last)
		case i > 0 && s.first <= held[i-1].last:
			return fmt.Errorf("slice %d begins at %d, the one before ends at %d", i, s.first, held[i-1].last)
		case i > 0 && s.last.Sub(held[i-1].first) < w.grain():
			return fmt.Errorf("slices %d and %d lie from %d to %d: they could be one", i-1, i, held[i-1].first, s.last)
		case b.last.Sub(s.last) > w.span:
			return fmt.Errorf("slice %d ended at %d, and it is %d", i, s.last, b.last)
		}
	}
	if n := len(held); n > 0 && held[n-1].amount == 0 {
		return fmt.Errorf("the last slice is empty")
	}
	if sum != w.sum {
		return fmt.Errorf("the slices hold %d, their sum is said to be %d", sum, w.sum)
	}
	if len(held) > 2*slicesPerSpan+4 {
		return fmt.Errorf("%d slices", len(held))
	}
	return nil
}
