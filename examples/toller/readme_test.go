package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The code of the page is that of the examples, which compile and run: the blocks line by line and in order, and what the tables
// have in their second column.
func TestReadme(t *testing.T) {
	page, examples := read(t, "README.md"), read(t, "example_test.go")
	inOneLine := strings.Join(strings.Fields(examples), " ")
	blocks, snippets := 0, 0
	for block := range strings.SplitSeq(page, "```go\n") {
		if blocks++; blocks == 1 {
			continue // what stands before the first
		}
		code, _, _ := strings.Cut(block, "```")
		rest, found := examples, false
		for line := range strings.Lines(code) {
			if _, rest, found = strings.Cut(rest, "\n\t"+line); !found {
				t.Errorf("not in the examples, or not in this order: %s", line)
				break
			}
			rest = "\n" + rest
		}
	}
	for line := range strings.Lines(page) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 {
			continue
		}
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			snippets++
			if !strings.Contains(inOneLine, code[1]) {
				t.Errorf("not in the examples: %s", code[1])
			}
		}
	}
	if blocks != 3 || snippets < 30 {
		t.Errorf("found %d blocks and %d snippets", blocks-1, snippets)
	}
}

// The tests that the page names exist.
func TestReadmeNamesTests(t *testing.T) {
	functions := map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				functions[fn.Name.Name] = true
			}
		}
	}
	names := regexp.MustCompile("`((?:Test|Example_)\\w+)`").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(names) < 15 {
		t.Errorf("found %d names", len(names))
	}
	for _, name := range names {
		if !functions[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
}
