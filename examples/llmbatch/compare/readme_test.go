package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table of the repository's README is of the run that RESULTS.md is of, as far as it goes.
func TestReadme(t *testing.T) {
	results, readme := rowsOf(t, "RESULTS.md"), rowsOf(t, "../../../README.md")
	const command = "`go run ./examples/llmbatch/compare`"
	if text, err := os.ReadFile("../../../README.md"); err != nil || !strings.Contains(string(text), command) {
		t.Errorf("the README does not say %s: %v", command, err)
	}
	found := 0
	for name, cells := range readme {
		full := results[name]
		if full == nil {
			continue // of another table
		}
		found++
		// lines right, billed, in vain, requests, 429, time, × ideal
		if want := []string{full[0], full[1], full[3], full[5], full[6]}; !slices.Equal(cells, want) {
			t.Errorf("README: %s: %v, but in RESULTS.md %v", name, cells, want)
		}
	}
	for _, c := range contenders(&scenario{}, "") {
		if results[c.name] == nil {
			t.Errorf("RESULTS.md does not have %s", c.name)
		}
	}
	if found < 3 {
		t.Errorf("%d rows of the README are in RESULTS.md", found)
	}
}

// rowsOf returns the cells of the rows with figures in a file of Markdown, by what stands in the first.
func rowsOf(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if name, ok := strings.CutPrefix(cells[0], "| "); ok && len(cells) > 5 {
			cells[len(cells)-1] = strings.TrimSuffix(cells[len(cells)-1], " |")
			rows[name] = cells[1:]
		}
	}
	return rows
}
