package nestsource

import (
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Variables returns the names of the variables that the files of the project read from the
// environment, in order: process.env.NAME, also after its validation, config.get('NAME'),
// and the keys of a schema for the environment.
func (p *Project) Variables() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, path := range p.Files {
		f := p.parsed[path]
		if f == nil || !strings.Contains(f.Source, "process.env") && !strings.Contains(strings.ToLower(f.Source), "config") {
			continue
		}
		p.visit(p.load(path), func(n typescript.Node, s *evaluate.Scope) bool {
			switch x := n.(type) {
			case *typescript.Member:
				if isVariable(x.Name) {
					add(p.variable(x, s))
				}
			case *typescript.Index:
				add(p.variable(x, s))
			case *typescript.Var:
				for _, d := range x.Decls {
					p.destructured(d, s, add)
				}
			case *typescript.Call:
				p.variablesOfCall(x, s, add)
			}
			return true
		})
	}
	return names
}

// isVariable reports whether a name is written like those of variables: in upper case.
func isVariable(name string) bool {
	return len(name) > 1 && strings.ToUpper(name) == name && name[0] >= 'A' && name[0] <= 'Z'
}

// variable returns the variable that an expression itself reads, or "".
func (p *Project) variable(x typescript.Expr, s *evaluate.Scope) string {
	u, ok := p.eval.Eval(x, s).(*evaluate.Unknown)
	if ok && u.Env != "" && u.Text == s.Module.File.Text(x) {
		return u.Env
	}
	return ""
}

// destructured adds the variables of const { NAME } = process.env.
func (p *Project) destructured(d *typescript.VarDecl, s *evaluate.Scope, add func(string)) {
	pattern, ok := d.Target.(*typescript.ObjectPattern)
	if !ok || d.Init == nil || !isEnvironment(p.eval.Eval(d.Init, s)) {
		return
	}
	for _, b := range pattern.Properties {
		if isVariable(b.Key.Text) {
			add(b.Key.Text)
		}
	}
}

func isEnvironment(v evaluate.Value) bool {
	switch v := v.(type) {
	case *evaluate.External:
		return v.Name == "env"
	case *evaluate.Object:
		return v.Base() != nil
	}
	return false
}

// variablesOfCall adds the variables of config.get('NAME') and of joi.object({NAME: …}).
func (p *Project) variablesOfCall(x *typescript.Call, s *evaluate.Scope, add func(string)) {
	m, ok := x.Callee.(*typescript.Member)
	if !ok || len(x.Args) == 0 {
		return
	}
	switch m.Name {
	case "get", "getOrThrow":
		key, ok := p.eval.Eval(x.Args[0], s).(string)
		if ok && isConfig(evaluate.Undefined{}, s.Module.File.Text(m.Object)) && isVariable(key) {
			add(key)
		}
	case "object":
		if o, ok := x.Args[0].(*typescript.Object); ok {
			for _, property := range o.Properties {
				if isVariable(property.Key.Text) {
					add(property.Key.Text)
				}
			}
		}
	}
}

// SchemaDefaults returns the defaults that schemas of joi or zod have for variables of the
// environment, as text, with their places: joi.object({PORT: joi.number().default(3000)}).
func (p *Project) SchemaDefaults(see func(name, value, file string, line int)) {
	for _, path := range p.Files {
		f := p.parsed[path]
		if f == nil || !strings.Contains(f.Source, ".default(") {
			continue
		}
		m := p.load(path)
		p.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
			o, ok := n.(*typescript.Object)
			if !ok {
				return true
			}
			for _, property := range o.Properties {
				if !isVariable(property.Key.Text) {
					continue
				}
				if value, ok := p.schemaDefault(property.Value, s); ok {
					see(property.Key.Text, value, p.rel(path), m.File.Line(property.Pos))
				}
			}
			return true
		})
	}
}

// schemaDefault returns the argument of default(…) in a chain of calls.
func (p *Project) schemaDefault(x typescript.Expr, s *evaluate.Scope) (string, bool) {
	for {
		call, ok := x.(*typescript.Call)
		if !ok {
			return "", false
		}
		m, ok := call.Callee.(*typescript.Member)
		if !ok {
			return "", false
		}
		if m.Name == "default" && len(call.Args) == 1 {
			v := Value{p.eval.Eval(call.Args[0], s), p}
			if text, ok := v.Text(); ok {
				return text, true
			}
			n, ok := v.Number()
			return typescript.FormatNumber(n), ok
		}
		x = m.Object
	}
}
