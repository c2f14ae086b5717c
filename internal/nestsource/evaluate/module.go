package evaluate

import (
	"path/filepath"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Module is a file as a module.
type Module struct {
	// Path is its absolute path.
	Path string
	// File is its syntax tree.
	File *typescript.File
	// Scope contains what it declares.
	Scope *Scope

	exports map[string]export
	stars   []string // modules whose exports it exports
	equals  typescript.Expr
	mutated map[string][]mutated
	ran     map[typescript.Stmt]bool // the statements that were executed
	common  bool                     // a CommonJS module: its exports are assigned
}

// export is an exported name: a name of the module, a name of another one, or a value.
type export struct {
	local string
	from  *imported
	value typescript.Expr
	decl  typescript.Node
}

// mutated is a statement of the module that changes a variable.
type mutated struct {
	stmt typescript.Stmt
	mutation
}

// NewModule returns the module of a parsed file.
func NewModule(path string, file *typescript.File) *Module {
	m := &Module{Path: path, File: file, exports: map[string]export{}}
	m.Scope = &Scope{Module: m}
	m.Scope.declare(file.Body)
	esm := false
	for _, stmt := range file.Body {
		switch s := stmt.(type) {
		case *typescript.Export:
			esm = true
			m.export(s)
		case *typescript.Import:
			esm = esm || s.From != ""
		case *typescript.Namespace:
			if s.Global { // declare module 'x' {…} in a declaration file
				m.Scope.declare(s.Body)
			}
		}
	}
	m.common = !esm && strings.Contains(filepath.Ext(path), "js") && filepath.Ext(path) != ".json"
	if m.common {
		exports, module := NewObject(), NewObject()
		module.Set("exports", exports)
		m.Scope.set("exports", exports, false)
		m.Scope.set("module", module, false)
	}
	return m
}

func (m *Module) export(s *typescript.Export) {
	switch {
	case s.Star && s.As == "":
		m.stars = append(m.stars, s.From)
	case s.Star:
		m.exports[s.As] = export{from: &imported{s.From, "*"}}
	case s.Equals != nil:
		m.equals = s.Equals
	case s.Default != nil:
		m.exports["default"] = export{value: s.Default}
	case s.DefaultDecl:
		m.exports["default"] = export{decl: s.Decl, local: declaredName(s.Decl)}
	case s.Decl != nil:
		inner := &Scope{}
		inner.declareOne(s.Decl, true)
		for name := range inner.vars {
			m.exports[name] = export{local: name}
		}
	}
	for _, n := range s.Names {
		if s.From != "" {
			m.exports[n.As] = export{from: &imported{s.From, n.Name}}
		} else {
			m.exports[n.As] = export{local: n.Name}
		}
	}
}

func declaredName(d typescript.Node) string {
	switch d := d.(type) {
	case *typescript.Class:
		return d.Name
	case *typescript.FuncDecl:
		return d.Func.Name
	case *typescript.Enum:
		return d.Name
	}
	return ""
}

// mutations returns the statements of the module that change a variable of the module.
func (m *Module) mutations(name string) []mutated {
	if m.mutated == nil {
		m.mutated = map[string][]mutated{}
		for _, stmt := range m.File.Body {
			for _, mut := range mutations(stmt) {
				m.mutated[mut.name] = append(m.mutated[mut.name], mutated{stmt, mut})
			}
		}
	}
	return m.mutated[name]
}
