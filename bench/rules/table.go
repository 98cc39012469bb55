package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tableFile is what -write writes.
const tableFile = "scheduler/RULES.md"

// shownTests is how many tests of one package a row names; the rest is counted.
const shownTests = 3

const tableHead = `# Rules, their tests, and the bugs they kill

Written by ` + "`go run ./bench/rules -write`" + `; not to be edited. The rules are those of [SEMANTICS.md](SEMANTICS.md), save
for its last section. Each is cited by tests, and for each [a bug is kept](planted/README.md), a small patch that such a test kills:
` + "`go run ./bench/rules -plant`" + ` plants them one at a time and sees the test fail.

| rule | what | tests that cite it | planted bug, and the test that kills it |
|---|---|---|---|
`

// table returns RULES.md as it should be.
func (b *book) table() []byte {
	var out bytes.Buffer
	out.WriteString(tableHead)
	for _, r := range b.rules {
		if !strings.Contains(owing, r.id[2:3]) {
			continue
		}
		cells := []string{r.id, r.title, testCell(b.citations[r.id]), bugCell(b.patchesOf(r.id))}
		if reason := exempt[r.id]; reason != "" {
			cells[2], cells[3] = reason, ""
		}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | "))
	}
	return out.Bytes()
}

// testCell lists tests by package, the first few of each.
func testCell(tests []test) string {
	var groups []string
	for _, pkg := range packages {
		var names []string
		for _, t := range tests {
			if t.pkg == pkg {
				names = append(names, t.name)
			}
		}
		if len(names) == 0 {
			continue
		}
		more := ""
		if hidden := len(names) - shownTests; hidden > 1 { // one more takes no more room than its count
			names, more = names[:shownTests], fmt.Sprintf(" + %d more", hidden)
		}
		groups = append(groups, pkg+": "+strings.Join(names, ", ")+more)
	}
	if len(groups) == 0 {
		return "none"
	}
	return strings.Join(groups, "<br>")
}

func bugCell(patches []patch) string {
	if len(patches) == 0 {
		return "none"
	}
	var bugs []string
	for _, p := range patches {
		bugs = append(bugs, fmt.Sprintf("[%s](planted/%s.patch): %s; %s in %s", p.name, p.name, p.bug, p.test.name, p.test.pkg))
	}
	return strings.Join(bugs, "<br>")
}

func (b *book) write(out io.Writer) error {
	if err := os.WriteFile(filepath.Join(b.root, tableFile), b.table(), 0o644); err != nil {
		return err
	}
	say(out, "wrote %s\n", tableFile)
	return nil
}
