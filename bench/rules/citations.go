package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// packages are the directories of the root module, from the leaves up. Rules are kept and tested in these.
var packages = []string{"job", "policy", "scheduler", "dispatcher"}

// test names one that the go command can run by itself.
type test struct {
	pkg  string // one of packages
	name string // TestName, or TestName/case
}

func (t test) String() string { return "./" + t.pkg + " " + t.name }

// covers reports whether running t runs other as well: they are the same, or other is a case of t.
func (t test) covers(other test) bool {
	return t.pkg == other.pkg && (t.name == other.name || strings.HasPrefix(other.name, t.name+"/"))
}

// citations has, for each rule's id, the tests that cite it: each once, by package and then by name.
type citations map[string][]test

func (c citations) add(id string, t test) {
	if !slices.Contains(c[id], t) {
		c[id] = append(c[id], t)
	}
}

// readCitations looks through the tests of all packages, and through the transcripts.
func readCitations(root string) (citations, error) {
	found := make(citations)
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := found.addGo(pkg, file); err != nil {
				return nil, err
			}
		}
	}
	transcripts, err := filepath.Glob(filepath.Join(root, "scheduler", "testdata", "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, file := range transcripts {
		if err := found.addTranscript(file); err != nil {
			return nil, err
		}
	}
	for _, tests := range found {
		slices.SortFunc(tests, compareTests)
	}
	return found, nil
}

func compareTests(x, y test) int {
	return cmp.Or(slices.Index(packages, x.pkg)-slices.Index(packages, y.pkg), strings.Compare(x.name, y.name))
}

// addGo adds what the tests of one file cite. A citation belongs to the test whose doc comment or body it stands in; what
// helpers and comments between functions cite is nobody's.
func (c citations) addGo(pkg, file string) error {
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, declared := range syntax.Decls {
		function, ok := declared.(*ast.FuncDecl)
		if !ok || !isTest(function) {
			continue
		}
		for _, id := range citedBy(function, syntax.Comments) {
			c.add(id, test{pkg: pkg, name: function.Name.Name})
		}
	}
	return nil
}

// isTest goes by the name, and by having a body to run.
func isTest(f *ast.FuncDecl) bool {
	name := f.Name.Name
	return f.Recv == nil && f.Body != nil && name != "TestMain" &&
		(strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz"))
}

// citedBy returns the rules that f names in comments and in strings: the latter are names of cases and messages.
func citedBy(f *ast.FuncDecl, comments []*ast.CommentGroup) []string {
	var ids []string
	begin := f.Pos()
	if f.Doc != nil {
		begin = f.Doc.Pos()
	}
	for _, comment := range comments {
		if begin <= comment.Pos() && comment.End() <= f.End() {
			ids = append(ids, citedIn(comment.Text())...)
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
			ids = append(ids, citedIn(text.Value)...)
		}
		return true
	})
	return ids
}

// addTranscript adds what the remarks of one transcript cite; TestTranscripts plays each file as a case named after it.
func (c citations) addTranscript(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t := test{pkg: "scheduler", name: "TestTranscripts/" + strings.TrimSuffix(filepath.Base(file), ".txt")}
	for line := range bytes.Lines(text) {
		if remark, ok := bytes.CutPrefix(line, []byte("#")); ok {
			for _, id := range citedIn(string(remark)) {
				c.add(id, t)
			}
		}
	}
	return nil
}

var cited = regexp.MustCompile(`\bS-([A-Z])([0-9]+)(?:\s+to\s+S-([A-Z])([0-9]+))?\b`)

// citedIn returns the rules that a text names: "S-B3", and "S-B1 to S-B4" for all four.
func citedIn(text string) []string {
	var ids []string
	for _, found := range cited.FindAllStringSubmatch(text, -1) {
		section, last := found[1], found[2]
		if found[3] != "" && found[3] != section { // no range: two rules
			ids = append(ids, "S-"+found[3]+found[4])
		} else if found[3] != "" {
			last = found[4]
		}
		from, err1 := strconv.Atoi(found[2])
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || to-from > 99 {
			continue // a number that no rule has
		}
		for n := from; n <= to; n++ {
			ids = append(ids, fmt.Sprintf("S-%s%d", section, n))
		}
	}
	return ids
}
