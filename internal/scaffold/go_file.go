package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// goFile is a parsed Go file of the workspace.
type goFile struct {
	name string // relative to the workspace, with slashes
	text []byte
	set  *token.FileSet
	tree *ast.File
}

// goPackage is a package of the workspace.
type goPackage struct {
	dir  string // relative to the workspace, with slashes
	path string // for imports
	name string
}

// The files that goFiles parses.
const (
	noTests   = false
	withTests = true
)

// goFiles parses the Go files of a folder. A folder that does not exist has none.
func (d *Dir) goFiles(dir string, tests bool) ([]goFile, error) {
	entries, err := os.ReadDir(filepath.Join(d.Root, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []goFile
	for _, entry := range entries {
		if entry.IsDir() || path.Ext(entry.Name()) != ".go" || !tests && strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		name := path.Join(dir, entry.Name())
		text, err := d.read(name)
		if err != nil {
			return nil, err
		}
		f, err := parseGo(name, text)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func parseGo(name string, text []byte) (goFile, error) {
	f := goFile{name: name, text: text, set: token.NewFileSet()}
	var err error
	if f.tree, err = parser.ParseFile(f.set, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return f, fmt.Errorf("read Go code: %w", err)
	}
	return f, nil
}

// declared returns the names that files of one package declare, without fields and methods,
// and the file of each.
func declared(files []goFile) map[string]string {
	names := map[string]string{}
	for _, f := range files {
		for _, decl := range f.tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					names[decl.Name.Name] = f.name
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					for _, name := range specNames(spec) {
						names[name] = f.name
					}
				}
			}
		}
	}
	return names
}

func specNames(spec ast.Spec) (names []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		names = append(names, spec.Name.Name)
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			names = append(names, n.Name)
		}
	}
	return names
}

// members returns the names of the fields and methods of a struct type, and the file of
// each.
func members(files []goFile, typ string) map[string]string {
	names := map[string]string{}
	for _, f := range files {
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && typeName(n.Recv.List[0].Type) == typ {
					names[n.Name.Name] = f.name
				}
				return false
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && n.Name.Name == typ {
					for _, field := range s.Fields.List {
						for _, name := range fieldNames(field) {
							names[name] = f.name
						}
					}
				}
				return false
			}
			return true
		})
	}
	return names
}

// fieldNames returns the names of a field. An embedded field has the name of its type.
func fieldNames(field *ast.Field) (names []string) {
	for _, name := range field.Names {
		names = append(names, name.Name)
	}
	if field.Names == nil {
		names = append(names, typeName(field.Type))
	}
	return names
}

// typeName returns the name of a type, without its pointer, package, and parameters.
func typeName(typ ast.Expr) string {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name
	case *ast.StarExpr:
		return typeName(typ.X)
	case *ast.SelectorExpr:
		return typ.Sel.Name
	case *ast.IndexExpr:
		return typeName(typ.X)
	}
	return ""
}

// find returns the function of that name and its file, or nil.
func find(files []goFile, name string) (goFile, *ast.FuncDecl) {
	for _, f := range files {
		for _, decl := range f.tree.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name == name && fn.Body != nil {
				return f, fn
			}
		}
	}
	return goFile{}, nil
}

// imported returns the name under which the file imports a package, or "".
func (f goFile) imported(p goPackage) string {
	for _, spec := range f.tree.Imports {
		switch {
		case importPath(spec) != p.path:
		case spec.Name == nil:
			return p.name
		case spec.Name.Name != "_" && spec.Name.Name != ".":
			return spec.Name.Name
		}
	}
	return ""
}

func importPath(spec *ast.ImportSpec) string {
	text, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return text
}

// insert returns the file with a statement at the end of a function. The statement refers
// to a package by the given name; if the file does not import the package, the import is
// added.
func (f goFile) insert(fn *ast.FuncDecl, p goPackage, statement func(name string) string) ([]byte, error) {
	name := f.imported(p)
	edits := []insertion{}
	if name == "" {
		name = p.name
		edits = append(edits, f.importOf(p))
	}
	for i := range 2 {
		receiver, _ := f.param(fn.Recv, 0)
		parameter, _ := f.param(fn.Type.Params, i)
		if receiver == name || parameter == name {
			return nil, fmt.Errorf("%s: %s has a parameter %s, which hides the package %s: rename the parameter", f.name, fn.Name.Name, name, p.path)
		}
	}
	return f.edited(append(edits, f.atEnd(fn, statement(name)))), nil
}

// insertion is text to insert at an offset.
type insertion struct {
	at   int
	text string
}

// edited returns the file with insertions, which are in the order of their offsets. A
// gofmt'd file remains gofmt'd; in any other file, nothing else changes.
func (f goFile) edited(edits []insertion) []byte {
	var out bytes.Buffer
	last := 0
	for _, e := range edits {
		out.Write(f.text[last:e.at])
		out.WriteString(e.text)
		last = e.at
	}
	out.Write(f.text[last:])
	before, err := format.Source(f.text)
	if err != nil || !bytes.Equal(before, f.text) {
		return out.Bytes()
	}
	after, err := format.Source(out.Bytes())
	if err != nil {
		return out.Bytes()
	}
	return after
}

// atEnd returns the insertion of a statement at the end of a function.
func (f goFile) atEnd(fn *ast.FuncDecl, statement string) insertion {
	brace := f.offset(fn.Body.Rbrace)
	end := len(bytes.TrimRight(f.text[:brace], " \t\n"))
	text := "\n\t" + statement
	if !bytes.Contains(f.text[end:brace], []byte("\n")) {
		text += "\n"
	}
	return insertion{end, text}
}

// importOf returns the insertion of an import: after the last one of the same module, or
// else as a declaration of its own.
func (f goFile) importOf(p goPackage) insertion {
	module := strings.TrimSuffix(p.path, p.dir)
	for _, decl := range f.tree.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.IMPORT || !group.Lparen.IsValid() {
			continue
		}
		for i := len(group.Specs) - 1; i >= 0; i-- {
			if spec := group.Specs[i].(*ast.ImportSpec); strings.HasPrefix(importPath(spec), module) {
				return insertion{f.lineEnd(f.offset(spec.End())), "\n\t" + strconv.Quote(p.path)}
			}
		}
	}
	return insertion{f.lineEnd(f.offset(f.tree.Name.End())), "\n\nimport " + strconv.Quote(p.path)}
}

func (f goFile) offset(pos token.Pos) int { return f.set.Position(pos).Offset }

// lineEnd returns the offset of the end of a line.
func (f goFile) lineEnd(from int) int {
	if i := bytes.IndexByte(f.text[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(f.text)
}

// param returns the name and the type, as written, of a function's parameter or
// receiver.
func (f goFile) param(list *ast.FieldList, index int) (name, typ string) {
	if list == nil || len(list.List) <= index || len(list.List[index].Names) != 1 {
		return "", ""
	}
	field := list.List[index]
	return field.Names[0].Name, string(f.text[f.offset(field.Type.Pos()):f.offset(field.Type.End())])
}
