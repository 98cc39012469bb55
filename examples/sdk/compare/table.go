package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// print writes the table.
func (s setting) print(out io.Writer, results []result) {
	_, _ = fmt.Fprintf(out, "%d calls, %d at once, at an API that admits %d in %v and tells how long to wait. The least time for all is %.1f s.\n\n",
		s.calls, s.workers, s.limit, s.span, s.ideal(s.calls).Seconds())
	_, _ = io.WriteString(out, "| | | requests | 429s | billed | time | lost |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		_, _ = fmt.Fprintf(out, "| %s | %s | %d | %d | %d | %.1f s | %d |\n",
			r.name, r.way, r.bill.Received, r.bill.Throttled(), r.bill.Billed, r.took.Seconds(), r.lost)
	}
}

// judge returns where a dispatcher missed what it should keep to; nil if nowhere.
func (s setting) judge(results []result) error {
	var errs []error
	for _, r := range results {
		if !r.over {
			continue
		}
		miss := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s %s: "+format, append([]any{r.name, r.way}, args...)...))
		}
		if r.lost > 0 {
			miss("%d lost", r.lost)
		}
		if 100*r.bill.Throttled() > r.bill.Received {
			miss("%d of %d refused, more than 1 %%", r.bill.Throttled(), r.bill.Received)
		}
		if most := s.ideal(s.calls) * 105 / 100; r.took > most {
			miss("%.1f s, more than 1.05 of the least time, %.1f s", r.took.Seconds(), most.Seconds())
		}
		if r.bill.Billed != s.calls {
			miss("%d billed for %d calls", r.bill.Billed, s.calls)
		}
	}
	return errors.Join(errs...)
}

// The comments between which a file has the table.
const (
	tableBegins = "<!-- go run ./compare -write README.md -->\n"
	tableEnds   = "<!-- end -->\n"
)

// insert puts the table into a file.
func insert(name, table string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !ok || !ends {
		return fmt.Errorf("%s has no %q with %q behind it", name, tableBegins, tableEnds)
	}
	return os.WriteFile(name, []byte(before+tableBegins+table+tableEnds+after), 0o644)
}
