package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/toller-go/toller/examples/internal/fakellm"
)

// On a terminal a line takes the place of the one before, and the last stays; elsewhere each has its own. None is wider than a terminal.
func TestProgress(t *testing.T) {
	const (
		under = "parallel processor today   41 s  1626/2000 answered, 4033 sent, 2030 × 429"
		ended = "parallel processor today   41.2 s  1626/2000 right, 4033 sent, 2030 × 429, 1742 billed"
	)
	bill := fakellm.Ledger{Prompts: 1900, CompletedPerPrompt: map[int]int{0: 274, 1: 1626}, Received: 4033, ThrottledRate: 2030, Billed: 1742}
	for _, test := range []struct {
		live bool
		want string
	}{
		{true, "\r\x1b[K" + under + "\r\x1b[K" + ended + "\n"},
		{false, under + "\n" + ended + "\n"},
	} {
		var out bytes.Buffer
		p := newProgress(&out, "parallel processor today", 2000)
		if p.live {
			t.Error("a buffer is taken for a terminal")
		}
		p.live = test.live
		p.show(41*time.Second, bill)
		p.done(&result{took: 41200 * time.Millisecond, bill: bill, lines: lines{right: 1626}})
		if out.String() != test.want {
			t.Errorf("live %v:\n%q, want\n%q", test.live, &out, test.want)
		}
	}
}
