package main

import (
	"fmt"

	"github.com/toller-go/toller/examples/llmbatch/internal/batchfile"
)

// dear is the prompts that may cost more than a budget is as a whole. They stay as they are, and the others go on without them.
type dear struct {
	n     int
	first string // what is to be said of the first
}

// tooDear sets a prompt aside that the dispatcher has refused because a budget could never pay for it.
func (b *batch) tooDear(f *flight) {
	if f.expiry != nil {
		f.expiry.Stop()
	}
	n := 1 + b.repeats.forget(&f.item)
	if b.dear.n += n; b.dear.n == n {
		b.dear.first = fmt.Sprintf("line %d (%s) may %s", f.item.Line, batchfile.Quote(f.item.ID), b.exceeds(f.est))
	}
}

// exceeds says what a prompt may cost, and of which budget that is more than all.
func (b *batch) exceeds(e estimate) string {
	for _, cost := range b.meter.costs(e) {
		switch {
		case cost.Limit == budgetUSD && cost.Tokens > b.budgetUSD*mills:
			return fmt.Sprintf("cost $%.6f, which is more than all of -budget-usd %g", cost.Tokens/mills, b.budgetUSD)
		case cost.Limit == budgetTokens && cost.Tokens > b.budgetTokens:
			return fmt.Sprintf("take %.0f tokens, which is more than all of -budget-tokens %.0f", cost.Tokens, b.budgetTokens)
		}
	}
	return "cost more than a budget"
}

// leaveDear ends a run that has nothing left but what is too dear for it.
func (b *batch) leaveDear() {
	if b.dear.n == 0 {
		return
	}
	others := ""
	if b.dear.n > 1 {
		others = fmt.Sprintf(", and %d more are like it", b.dear.n-1)
	}
	b.stop(exitPaused, b.dear.first+others+"; allowed: a larger budget; or such lines with a lower max_tokens, in an input and an output of their own")
}
