// Command journal compares package job/journal with two databases as the record of a batch: each item is recorded when it is begun and
// when it is done, and afterwards a resuming program wants to know how far each has come. See journal -h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const usage = `journal: what it costs to record items durably, and to resume

Each item has two records, start and done, each of its own; the second follows when the first is on record. bbolt and SQLite (in
WAL mode) are set up for speed at the same promise: a kill loses nothing, a power cut what the policy says. One caller has a
transaction for each record; with several, those who wait share one. Contenders take turns; medians of the rounds.
To resume is to open and to learn the state of all items. A database could look up single ones instead.

`

// options are the flags.
type options struct {
	length time.Duration
	rounds int
	items  int
	dir    string
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "journal:", err)
		os.Exit(1)
	}
}

// run is main with its surroundings as arguments.
func run(args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("journal", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = io.WriteString(out, usage)
		flags.PrintDefaults()
	}
	flags.DurationVar(&o.length, "time", time.Second, "how long each contender records, in each round")
	flags.IntVar(&o.rounds, "rounds", 5, "how often")
	flags.IntVar(&o.items, "items", 1_000_000, "how many items to resume")
	flags.StringVar(&o.dir, "dir", "", "where to put the files; a directory on a disk, not in memory (default: the system's for temporary files)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 || o.items < 1 || o.length <= 0 || flags.NArg() > 0 {
		return errors.New("-time, -rounds and -items must be positive, and there are no other arguments")
	}
	dir, err := os.MkdirTemp(o.dir, "journal-bench")
	if err != nil {
		return err
	}
	o.dir = dir
	return errors.Join(o.compare(&printer{to: out}), os.RemoveAll(dir))
}

// compare measures everything and prints two tables.
func (o options) compare(out *printer) error {
	out.printf("Items recorded a second, start and done, and how many times fewer than with journal:\n\n")
	o.head(out, "callers, policy")
	for _, callers := range []int{1, 64} {
		for p := off; p <= always; p++ {
			name := fmt.Sprintf("%d, %v", callers, p)
			err := o.row(out, name, func(c contender, dir string) (float64, error) { return rate(c, dir, p, callers, o.length) })
			if err != nil {
				return err
			}
		}
	}
	out.printf("\nItems resumed a second:\n\n")
	o.head(out, "items")
	name := fmt.Sprintf("%d", o.items)
	err := o.row(out, name, func(c contender, dir string) (float64, error) { return resumed(c, dir, o.items) })
	return errors.Join(err, out.err)
}

// printer writes, and keeps the first error.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format, args...)
	}
}

// head prints the first lines of a table.
func (o options) head(out *printer, what string) {
	line, rule := "| "+what+" |", "|---|"
	for _, c := range contenders() {
		line += " " + c.name + " |"
		rule += "---|"
	}
	out.printf("%s\n%s\n", line, rule)
}

// row measures all contenders, in turn, and prints a line of the table.
func (o options) row(out *printer, name string, measure func(c contender, dir string) (float64, error)) error {
	values := map[string][]float64{}
	for range o.rounds {
		for _, c := range contenders() {
			dir, err := os.MkdirTemp(o.dir, c.name)
			if err != nil {
				return err
			}
			value, err := measure(c, dir)
			if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
				return fmt.Errorf("%s, %s: %w", name, c.name, err)
			}
			values[c.name] = append(values[c.name], value)
		}
	}
	out.printf("| %s |", name)
	first := median(values[contenders()[0].name])
	for i, c := range contenders() {
		m := median(values[c.name])
		out.printf(" %.0f", m)
		if i > 0 {
			out.printf(" (%.1f ×)", first/m)
		}
		out.printf(" |")
	}
	out.printf("\n")
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// hashOf is what is recorded as the hash of an item's input.
func hashOf(item int) uint64 { return uint64(item)*0x9e3779b97f4a7c15 + 1 }

// rate records items for some time and returns how many a second, having made sure that they are all on record.
func rate(c contender, dir string, p policy, callers int, length time.Duration) (float64, error) {
	s, err := c.open(dir, p, callers)
	if err != nil {
		return 0, err
	}
	var next atomic.Int64
	begin := time.Now()
	err = recordAll(s, callers, func() (int, bool) { return int(next.Add(1) - 1), time.Since(begin) < length })
	took := time.Since(begin)
	if err = errors.Join(err, s.close()); err != nil {
		return 0, err
	}
	all, err := c.load(dir)
	if err != nil {
		return 0, err
	}
	for item, s := range all {
		if want := (status{2, hashOf(item), 1}); s != want {
			return 0, fmt.Errorf("item %d is %v, and not %v", item, s, want)
		}
	}
	if recorded := int(next.Load()) - callers; len(all) != recorded { // each caller draws one in vain
		return 0, fmt.Errorf("%d items were recorded and %d are there", recorded, len(all))
	}
	return float64(len(all)) / took.Seconds(), nil
}

// recordAll has that many callers record items, start and done, as long as next gives them one.
func recordAll(s store, callers int, next func() (item int, more bool)) error {
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for caller := range callers {
		wg.Go(func() {
			for {
				item, more := next()
				if !more {
					return
				}
				err := s.start(item, hashOf(item))
				if err == nil {
					err = s.done(item)
				}
				if err != nil {
					errs[caller] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fill records items as fast as can be, for resuming.
func fill(c contender, dir string, items int) error {
	const callers = 256 // so that those who batch have something to batch
	s, err := c.open(dir, off, callers)
	if err != nil {
		return err
	}
	var next atomic.Int64
	err = recordAll(s, callers, func() (int, bool) {
		item := int(next.Add(1) - 1)
		return item, item < items
	})
	return errors.Join(err, s.close())
}

// resumed returns how many items a second are resumed.
func resumed(c contender, dir string, items int) (float64, error) {
	if err := fill(c, dir, items); err != nil {
		return 0, err
	}
	begin := time.Now()
	done, err := c.resume(dir)
	took := time.Since(begin)
	if err == nil && done != items {
		err = fmt.Errorf("%d of %d items are done", done, items)
	}
	return float64(items) / took.Seconds(), err
}
