package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// book is all that a repository says about its rules. It is immutable once read.
type book struct {
	root      string
	rules     []rule
	citations citations
	patches   []patch
	faults    []string // patches that cannot be read, one line each
}

func readBook(root string) (*book, error) {
	file, err := os.Open(filepath.Join(root, semanticsFile))
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	b := &book{root: root}
	if b.rules, err = readRules(file); err != nil {
		return nil, err
	}
	if b.citations, err = readCitations(root); err != nil {
		return nil, err
	}
	b.patches, b.faults, err = readPatches(filepath.Join(root, plantedDir))
	return b, err
}

// rule returns the rule of that id, and whether there is one.
func (b *book) rule(id string) (rule, bool) {
	i := slices.IndexFunc(b.rules, func(r rule) bool { return r.id == id })
	if i < 0 {
		return rule{}, false
	}
	return b.rules[i], true
}

// patchesOf returns the planted bugs of one rule.
func (b *book) patchesOf(id string) []patch {
	return slices.DeleteFunc(slices.Clone(b.patches), func(p patch) bool { return p.rule != id })
}

// missing says what stands between the repository and its rules, one line each: rules without a test or a bug, bugs whose
// test does not cite the rule, names of rules that there are not. It plants nothing.
func (b *book) missing() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, r := range b.rules {
		if exempt[r.id] != "" && !r.notYet {
			add("%s: exempt as %q, but %s does not say \"Not yet\"", r.id, exempt[r.id], semanticsFile)
		}
		if !r.owes() {
			continue
		}
		if len(b.citations[r.id]) == 0 {
			add("%s: no test cites it: %s", r.id, r.title)
		}
		if len(b.patchesOf(r.id)) == 0 {
			add("%s: no planted bug: %s", r.id, r.title)
		}
	}
	for _, p := range b.patches {
		if r, known := b.rule(p.rule); !known || !r.owes() {
			add("%s.patch: %s is not a rule that owes a bug", p.name, p.rule)
		} else if !slices.ContainsFunc(b.citations[p.rule], func(t test) bool { return t.covers(p.test) }) {
			add("%s.patch: its test, %v, does not cite %s, or is none", p.name, p.test, p.rule)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.citations), compareIDs) {
		if _, known := b.rule(id); !known {
			add("%s: there is no such rule, but %v cites it", id, b.citations[id][0])
		}
	}
	return append(lines, b.faults...)
}

// check prints what is missing, the table included, and returns an error if anything is.
func check(b *book, out io.Writer) error {
	lines := b.missing()
	written, err := os.ReadFile(filepath.Join(b.root, tableFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(written, b.table()) {
		lines = append(lines, tableFile+": out of date; go run ./bench/rules -write")
	}
	if len(lines) > 0 {
		for _, line := range lines {
			say(out, "%s\n", line)
		}
		return fmt.Errorf("%d missing or wrong", len(lines))
	}
	owed := 0
	for _, r := range b.rules {
		if r.owes() {
			owed++
		}
	}
	say(out, "%d rules, each cited by a test; %d planted bugs, each with a test that cites its rule\n", owed, len(b.patches))
	return nil
}
