package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// suite is the package whose scenarios run over every transport.
const suite = "conformance"

// tests are the tests of all packages, by the last element of the package's folder.
type tests map[string]*found

// found is what a package contains.
type found struct {
	tests []string // their names
	texts []string // which may be names of subtests, or of scenarios of the suite
}

// findTests parses the tests below a folder, and the scenarios of the suite.
func findTests(root string) (tests, error) {
	all := tests{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"node_modules", "testdata"}, d.Name()) || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case strings.HasSuffix(file, "_test.go"), file == filepath.Join(root, "internal", "test", suite, suite+".go"):
			return all.parse(file)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find tests: %w", err)
	}
	return all, nil
}

func (t tests) parse(file string) error {
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	folder := filepath.Base(filepath.Dir(file))
	p := t[folder]
	if p == nil {
		p = &found{}
		t[folder] = p
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				p.texts = append(p.texts, text)
			}
		}
		return true
	})
	for _, d := range syntax.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
			p.tests = append(p.tests, f.Name.Name)
		}
	}
	return nil
}

// has reports whether a test exists: "TestX" and "TestX/case" in the folder, "micro.TestX"
// in another one, and "conformance/scenario" in the suite.
func (t tests) has(folder, name string) bool {
	if scenario, ok := strings.CutPrefix(name, suite+"/"); ok {
		return t[suite] != nil && slices.Contains(t[suite].texts, scenario)
	}
	name, sub, isSub := strings.Cut(name, "/")
	if other, rest, ok := strings.Cut(name, "."); ok {
		folder, name = other, rest
	}
	p := t[folder]
	return p != nil && slices.Contains(p.tests, name) && (!isSub || slices.Contains(p.texts, sub))
}
