package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryOptionHasAnExample checks that each option of the gateway is in an example whose output is
// checked.
func TestEveryOptionHasAnExample(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("*/example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	options, shown := map[string]bool{}, map[string]bool{}
	for _, path := range append(files, more...) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			switch {
			case !ok || f.Recv != nil:
			case !strings.HasSuffix(path, "_test.go"):
				options[f.Name.Name] = f.Name.IsExported() && returnsOption(f)
			case strings.HasPrefix(f.Name.Name, "Example") && hasOutput(file, f):
				ast.Inspect(f.Body, func(n ast.Node) bool {
					if name, ok := n.(*ast.Ident); ok {
						shown[name.Name] = true
					}
					return true
				})
			}
		}
	}
	count := 0
	for name, is := range options {
		if !is {
			continue
		}
		count++
		if !shown[name] {
			t.Errorf("no example shows %s", name)
		}
	}
	if count < 40 {
		t.Errorf("found only %d options", count)
	}
}

// returnsOption reports whether the only result of a function is an option.
func returnsOption(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	name, ok := f.Type.Results.List[0].Type.(*ast.Ident)
	return ok && strings.HasSuffix(name.Name, "Option")
}

// hasOutput reports whether the output of an example is checked.
func hasOutput(file *ast.File, f *ast.FuncDecl) bool {
	for _, comment := range file.Comments {
		if f.Body.Pos() < comment.Pos() && comment.End() <= f.Body.End() && strings.HasPrefix(comment.Text(), "Output:") {
			return true
		}
	}
	return false
}
