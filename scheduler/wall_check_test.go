package scheduler_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/toller-go/toller/"

// A room is one package and those below it, with what its non-test files may do.
type room struct {
	name string            // directory below the module's root, such as "scheduler"
	may  func(string) bool // whether an import path is allowed; the room itself and those below it always are
	pure bool              // no goroutine, no channel, no variable that outlives a call

	only  map[string]*regexp.Regexp // import path: the names that may be used; a path that is absent: all
	never map[string]*regexp.Regexp // import path: the names that may not be used
}

// A breach is one place where a room does what it may not.
type breach struct {
	at   token.Position
	what string
}

func (b breach) String() string { return fmt.Sprintf("%s:%d: %s", b.at.Filename, b.at.Line, b.what) }

// A source is one file of a package.
type source struct {
	name string
	text []byte
}

// checkTree checks every non-test file of the room, whatever its build tags. A tree without any is an error: a wall
// around nothing must not pass for one that stands.
func checkTree(tree fs.FS, r room) ([]breach, error) {
	packages := map[string][]source{} // by directory
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skipDir(tree, name)
		case skipFile(entry.Name()):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		dir := path.Dir(name)
		packages[dir] = append(packages[dir], source{path.Join(r.name, name), text})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("%s holds no Go file to check", r.name)
	}
	var found []breach
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		more, err := checkPackage(r, packages[dir]...)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// skipDir returns fs.SkipDir for what the go command takes for no package of this module.
func skipDir(tree fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base[0] == '_' || base[0] == '.' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func skipFile(base string) bool {
	return !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") || base[0] == '_' || base[0] == '.'
}

// checkPackage returns the breaches of one package's files. It looks mostly at syntax, so a local variable that hides a
// package's name counts as the package: such a name is better changed.
func checkPackage(r room, sources ...source) ([]breach, error) {
	c := &checker{room: r, fset: token.NewFileSet(), sorted: map[*ast.CallExpr]bool{}}
	files := make([]*ast.File, len(sources))
	for i, src := range sources {
		file, err := parser.ParseFile(c.fset, src.name, src.text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files[i] = file
	}
	c.types = localTypes(c.fset, files)
	for _, file := range files {
		c.file(file)
	}
	return c.found, nil
}

// localTypes finds the types of expressions as far as the package alone tells them. Nothing is known of what it imports,
// so errors abound; they are the compiler's business.
func localTypes(fset *token.FileSet, files []*ast.File) map[ast.Expr]types.TypeAndValue {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Error: func(error) {}, Importer: emptyImporter{}}
	_, _ = config.Check("checked", fset, files, info)
	return info.Types
}

type emptyImporter struct{}

func (emptyImporter) Import(target string) (*types.Package, error) {
	pkg := types.NewPackage(target, lastElement(target))
	pkg.MarkComplete()
	return pkg, nil
}

type checker struct {
	room
	fset    *token.FileSet
	types   map[ast.Expr]types.TypeAndValue
	imports map[string]string      // name in this file: import path
	sorted  map[*ast.CallExpr]bool // calls whose result is sorted at once
	found   []breach
}

func (c *checker) file(file *ast.File) {
	c.imports = map[string]string{}
	for _, spec := range file.Imports {
		c.importSpec(spec)
	}
	if c.pure {
		for _, decl := range file.Decls {
			c.packageVars(decl)
		}
	}
	ast.Inspect(file, c.node)
}

func (c *checker) report(n ast.Node, format string, args ...any) {
	c.found = append(c.found, breach{at: c.fset.Position(n.Pos()), what: fmt.Sprintf(format, args...)})
}

func (c *checker) importSpec(spec *ast.ImportSpec) {
	target, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		c.report(spec, "import path %s: %v", spec.Path.Value, err)
		return
	}
	switch {
	case within(target, module+"dispatcher"):
		c.report(spec, "%s imports %s: the arrow points the other way", c.name, target)
	case !within(target, module+c.name) && !c.may(target):
		c.report(spec, "%s may not import %s", c.name, target)
	}
	switch local := localName(spec, target); local {
	case "_":
	case ".":
		c.report(spec, "import of %s with a dot hides whose names are used", target)
	default:
		c.imports[local] = target
	}
}

// localName is the name by which a file knows an import.
func localName(spec *ast.ImportSpec, target string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return lastElement(target)
}

// lastElement is the package's name in the standard library and in this module: a path's last element that is no version.
func lastElement(target string) string {
	base := path.Base(target)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(target))
	}
	return base
}

func (c *checker) node(n ast.Node) bool {
	if sel, ok := n.(*ast.SelectorExpr); ok {
		c.selector(sel)
	}
	if !c.pure {
		return true
	}
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "%s starts a goroutine", c.name)
	case *ast.ChanType:
		c.report(n, "%s names a channel type", c.name)
	case *ast.SendStmt:
		c.report(n, "%s sends on a channel", c.name)
	case *ast.SelectStmt:
		c.report(n, "%s selects over channels", c.name)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "%s receives from a channel", c.name)
		}
	case *ast.RangeStmt:
		if t := c.types[n.X].Type; t != nil {
			if _, ok := t.Underlying().(*types.Map); ok {
				c.report(n, "%s ranges over a map, whose order differs from run to run", c.name)
			}
		}
	case *ast.CallExpr:
		c.mapOrder(n)
	}
	return true
}

// mapOrder reports iterators over maps, unless they are sorted at once: slices.Sorted(maps.Keys(m)).
func (c *checker) mapOrder(call *ast.CallExpr) {
	switch name := c.qualified(call.Fun); {
	case strings.HasPrefix(name, "slices.Sorted") && len(call.Args) > 0:
		if inner, ok := call.Args[0].(*ast.CallExpr); ok {
			c.sorted[inner] = true
		}
	case (name == "maps.All" || name == "maps.Keys" || name == "maps.Values") && !c.sorted[call]:
		c.report(call, "%s takes %s unsorted, whose order differs from run to run", c.name, name)
	}
}

// qualified is an expression such as time.Now with the import path for the package's name; otherwise empty.
func (c *checker) qualified(expr ast.Expr) string {
	if sel, ok := expr.(*ast.SelectorExpr); ok {
		if id, ok := sel.X.(*ast.Ident); ok && c.imports[id.Name] != "" {
			return c.imports[id.Name] + "." + sel.Sel.Name
		}
	}
	return ""
}

func (c *checker) selector(sel *ast.SelectorExpr) {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return
	}
	target := c.imports[id.Name]
	if target == "" {
		return
	}
	if only := c.only[target]; only != nil && !only.MatchString(sel.Sel.Name) {
		c.report(sel, "%s may not use %s.%s", c.name, target, sel.Sel.Name)
	}
	if never := c.never[target]; never != nil && never.MatchString(sel.Sel.Name) {
		c.report(sel, "%s may not use %s.%s", c.name, target, sel.Sel.Name)
	}
}

// packageVars reports variables that could carry state from one call to another. Kept are errors, assertions on the
// blank name, and tables: composite literals that already hold all they will ever hold.
func (c *checker) packageVars(decl ast.Decl) {
	gen, ok := decl.(*ast.GenDecl)
	if !ok || gen.Tok != token.VAR {
		return
	}
	for _, spec := range gen.Specs {
		spec, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range spec.Names {
			var value ast.Expr
			if i < len(spec.Values) {
				value = spec.Values[i]
			}
			if name.Name != "_" && !c.isError(name.Name, value) && !isTable(value) {
				c.report(name, "%s keeps the package variable %s", c.name, name.Name)
			}
		}
	}
}

func (c *checker) isError(name string, value ast.Expr) bool {
	if value == nil {
		return false
	}
	if strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err") {
		return true
	}
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	made := c.qualified(call.Fun)
	return made == "errors.New" || made == "fmt.Errorf"
}

func isTable(value ast.Expr) bool {
	lit, ok := value.(*ast.CompositeLit)
	return ok && len(lit.Elts) > 0
}

// within reports whether target is root or a package below it.
func within(target, root string) bool {
	return target == root || strings.HasPrefix(target, root+"/")
}

// std reports whether an import path is the standard library's: its first element is no host name, and it is not cgo.
func std(target string) bool {
	first, _, _ := strings.Cut(target, "/")
	return target != "C" && !strings.Contains(first, ".")
}
