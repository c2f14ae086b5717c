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
	"strings"
)

// goFile is a parsed Go file of the workspace.
type goFile struct {
	name string // relative to the workspace, with slashes
	text []byte
	set  *token.FileSet
	tree *ast.File
}

// goFiles parses the Go files of a folder, without tests.
func (d *Dir) goFiles(dir string) ([]goFile, error) {
	entries, err := os.ReadDir(filepath.Join(d.Root, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []goFile
	for _, entry := range entries {
		if entry.IsDir() || path.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		f := goFile{name: path.Join(dir, entry.Name()), set: token.NewFileSet()}
		if f.text, err = d.read(f.name); err != nil {
			return nil, err
		}
		if f.tree, err = parser.ParseFile(f.set, f.name, f.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return nil, fmt.Errorf("read Go code: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

// declared returns the names that a package declares, methods among them.
func (d *Dir) declared(dir string) (map[string]bool, error) {
	files, err := d.goFiles(dir)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, f := range files {
		for _, decl := range f.tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				names[decl.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						names[spec.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names, nil
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

// imports reports whether the file imports a package under its own name.
func (f goFile) imports(importPath string) bool {
	for _, spec := range f.tree.Imports {
		if strings.Trim(spec.Path.Value, `"`) == importPath && spec.Name == nil {
			return true
		}
	}
	return false
}

// append returns the file with a statement at the end of a function. A gofmt'd file
// remains gofmt'd; in any other file, only the statement is added.
func (f goFile) append(fn *ast.FuncDecl, statement string) []byte {
	brace := f.set.Position(fn.Body.Rbrace).Offset
	end := len(bytes.TrimRight(f.text[:brace], " \t\r\n"))
	var out bytes.Buffer
	out.Write(f.text[:end])
	out.WriteString("\n\t" + statement)
	rest := f.text[end:]
	if !bytes.Contains(f.text[end:brace], []byte("\n")) {
		out.WriteString("\n")
	}
	out.Write(rest)
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

// param returns the name and the type, as written, of a function's parameter or
// receiver.
func (f goFile) param(list *ast.FieldList, index int) (name, typ string) {
	if list == nil || len(list.List) <= index || len(list.List[index].Names) != 1 {
		return "", ""
	}
	field := list.List[index]
	start, end := f.set.Position(field.Type.Pos()).Offset, f.set.Position(field.Type.End()).Offset
	return field.Names[0].Name, string(f.text[start:end])
}
