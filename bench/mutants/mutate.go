package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one small change of one file.
type mutant struct {
	file       string // relative to the root
	line       int
	text       string // of that line, trimmed
	what       string // in words
	start, end int    // offsets of what is replaced
	with       string
}

// key names a mutant in equivalent.txt: by the text of its line, since numbers move.
func (m *mutant) key() string { return m.file + " | " + m.text + " | " + m.what }

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d: %s   in: %s", m.file, m.line, m.what, m.text)
}

// apply returns the file with the change.
func (m *mutant) apply(source []byte) []byte {
	return bytes.Join([][]byte{source[:m.start], []byte(m.with), source[m.end:]}, nil)
}

// swaps are what an operator is replaced by: a boundary moved, a sense turned round, an operation undone.
var swaps = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR}, token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL}, token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL}, token.AND: {token.OR}, token.OR: {token.AND},
	token.INC: {token.DEC}, token.DEC: {token.INC},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN}, token.MUL_ASSIGN: {token.QUO_ASSIGN}, token.QUO_ASSIGN: {token.MUL_ASSIGN},
	token.OR_ASSIGN: {token.AND_ASSIGN}, token.AND_ASSIGN: {token.OR_ASSIGN},
}

// mutator finds the mutants of one file.
type mutator struct {
	name    string
	source  []byte
	set     *token.FileSet
	result  ast.Expr // of the function that is looked at, if it has exactly one
	mutants []mutant
}

// mutantsOf returns all mutants of a package's files, tests left out.
func mutantsOf(root, pkg string) (all []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "/doc.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := mutantsIn(filepath.ToSlash(filepath.Join(pkg, filepath.Base(file))), source)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no code to change in %s", pkg)
	}
	return all, nil
}

func mutantsIn(name string, source []byte) ([]mutant, error) {
	m := mutator{name: name, source: source, set: token.NewFileSet()}
	parsed, err := parser.ParseFile(m.set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range parsed.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Body == nil || decl.Name.Name == "String" {
				continue // how something is printed decides nothing
			}
			m.result = nil
			if r := decl.Type.Results; r != nil && len(r.List) == 1 && len(r.List[0].Names) < 2 {
				m.result = r.List[0].Type
			}
			ast.Inspect(decl.Body, m.visit)
		case *ast.GenDecl:
			if decl.Tok == token.CONST {
				ast.Inspect(decl, m.visit)
			}
		}
	}
	return m.mutants, nil
}

func (m *mutator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncLit:
		outer := m.result
		m.result = nil
		ast.Inspect(n.Body, m.visit)
		m.result = outer
		return false
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "panic" || name.Name == "make") {
			return false // what is said when all is lost, and how much room is made, decide nothing
		}
	case *ast.BinaryExpr:
		m.swap(n.OpPos, n.Op)
	case *ast.IncDecStmt:
		m.swap(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		m.swap(n.TokPos, n.Tok)
		if n.Tok != token.DEFINE {
			m.add(n, "", "remove the assignment")
		}
	case *ast.ExprStmt:
		m.add(n, "", "remove the call")
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			m.replace(n.OpPos, n.OpPos+1, "", "remove !")
		}
	case *ast.IfStmt:
		m.add(n.Cond, "!("+m.at(n.Cond)+")", "negate the condition")
	case *ast.BasicLit:
		if n.Kind == token.INT {
			m.count(n)
		}
	case *ast.BranchStmt:
		if n.Label == nil && n.Tok != token.FALLTHROUGH {
			m.add(n, "", "remove "+n.Tok.String())
		}
	case *ast.ReturnStmt:
		m.yield(n)
	}
	return true
}

// swap replaces an operator.
func (m *mutator) swap(pos token.Pos, op token.Token) {
	for _, other := range swaps[op] {
		m.replace(pos, pos+token.Pos(len(op.String())), other.String(), fmt.Sprintf("%v becomes %v", op, other))
	}
}

// count changes a constant by one.
func (m *mutator) count(n *ast.BasicLit) {
	value, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil {
		return
	}
	for _, by := range []int64{1, -1} {
		m.add(n, strconv.FormatInt(value+by, 10), fmt.Sprintf("%s becomes %d", n.Value, value+by))
	}
}

// yield makes a function return nothing of worth.
func (m *mutator) yield(n *ast.ReturnStmt) {
	if len(n.Results) != 1 || m.result == nil {
		return
	}
	result := n.Results[0]
	switch kind := m.result.(type) {
	case *ast.Ident:
		switch kind.Name {
		case "bool":
			m.add(result, "!("+m.at(result)+")", "return the contrary")
		case "int", "int32", "int64", "uint64", "uint32", "float64", "Time", "Amount":
			m.add(result, "0", "return 0")
		case "error":
			m.add(result, "nil", "return nil")
		}
	case *ast.SelectorExpr:
		if kind.Sel.Name == "Time" || kind.Sel.Name == "Duration" || kind.Sel.Name == "Amount" {
			m.add(result, "0", "return 0")
		}
	case *ast.StarExpr, *ast.ArrayType:
		m.add(result, "nil", "return nil")
	}
}

func (m *mutator) at(n ast.Node) string {
	return string(m.source[m.set.Position(n.Pos()).Offset:m.set.Position(n.End()).Offset])
}

func (m *mutator) add(n ast.Node, with, what string) {
	if m.at(n) != with {
		m.replace(n.Pos(), n.End(), with, what)
	}
}

func (m *mutator) replace(start, end token.Pos, with, what string) {
	at := m.set.Position(start)
	line := m.source[at.Offset-at.Column+1:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	code, _, _ := strings.Cut(string(line), " // ")
	m.mutants = append(m.mutants, mutant{
		file: m.name, line: at.Line, text: strings.TrimSpace(code), what: fmt.Sprintf("%s (column %d)", what, at.Column),
		start: at.Offset, end: m.set.Position(end).Offset, with: with,
	})
}
