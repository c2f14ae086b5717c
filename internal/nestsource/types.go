package nestsource

import (
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Type is the type of a handler's data.
type Type struct {
	// Name is the type in the source, such as "CreateItemDto" or "string".
	Name string `json:"name"`
	// Array reports whether the data is an array of Fields.
	Array bool `json:"array,omitempty"`
	// Fields are the members of an object. They are nil for another type.
	Fields []Field `json:"fields,omitempty"`
}

// Field is a member of an object type.
type Field struct {
	Name string `json:"name"`
	// Type is the type in the source, such as "string" or "AddressDto[]".
	Type string `json:"type,omitempty"`
	// Optional is set for a field with a question mark, a default, or @IsOptional().
	Optional bool `json:"optional,omitempty"`
	// Rules are the decorators of class-validator, in order, such as "IsInt" and "Min(1)".
	Rules []string `json:"rules,omitempty"`
	// Array reports whether the value is an array of Fields, and Fields are the members of
	// an object, as in [Type].
	Array  bool    `json:"array,omitempty"`
	Fields []Field `json:"fields,omitempty"`
}

// maxNesting limits the levels of fields in fields.
const maxNesting = 4

// declaredType is a class, an interface, or a type alias.
type declaredType struct {
	node   typescript.Node
	module *evaluate.Module
}

// typeReader reads the fields of types.
type typeReader struct {
	*Project
	within []typescript.Node // the declarations that are being read
}

// describe returns the description of a type.
func (p *Project) describe(t typescript.Type, m *evaluate.Module) *Type {
	if t == nil {
		return nil
	}
	r := &typeReader{Project: p}
	fields, array := r.fields(t, m)
	return &Type{Name: m.File.Text(t), Array: array, Fields: fields}
}

// fields returns the members of a type, and whether it is an array of objects.
func (r *typeReader) fields(t typescript.Type, m *evaluate.Module) (fields []Field, array bool) {
	switch t := t.(type) {
	case *typescript.ArrayType:
		fields, _ = r.fields(t.Elem, m)
		return fields, true
	case *typescript.Operator:
		return r.fields(t.X, m)
	case *typescript.Intersection:
		for _, part := range t.Types {
			more, _ := r.fields(part, m)
			fields = merged(fields, more)
		}
	case *typescript.Union:
		var types []typescript.Type
		for _, part := range t.Types {
			if text := m.File.Text(part); text != "null" && text != "undefined" {
				types = append(types, part)
			}
		}
		if len(types) == 1 {
			return r.fields(types[0], m)
		}
	case *typescript.ObjectType:
		return r.members(t.Members, m), false
	case *typescript.TypeRef:
		return r.named(t, m)
	}
	return fields, false
}

// named returns the members of a named type.
func (r *typeReader) named(t *typescript.TypeRef, m *evaluate.Module) ([]Field, bool) {
	if len(t.Args) > 0 {
		switch t.Name {
		case "Array", "ReadonlyArray", "Set":
			fields, _ := r.fields(t.Args[0], m)
			return fields, true
		case "Partial", "Required", "Readonly", "NonNullable", "Awaited", "Promise", "Observable":
			fields, array := r.fields(t.Args[0], m)
			if t.Name == "Partial" || t.Name == "Required" {
				fields = withOptional(fields, t.Name == "Partial")
			}
			return fields, array
		case "Pick", "Omit":
			if len(t.Args) == 2 {
				fields, _ := r.fields(t.Args[0], m)
				return selected(fields, literals(t.Args[1]), t.Name == "Pick"), false
			}
		}
	}
	d, ok := r.findType(strings.Split(t.Name, "."), m)
	if !ok || slices.Contains(r.within, d.node) || len(r.within) >= maxNesting {
		return nil, false
	}
	r.within = append(r.within, d.node)
	defer func() { r.within = r.within[:len(r.within)-1] }()
	switch node := d.node.(type) {
	case *typescript.Class:
		return r.class(node, d.module), false
	case *typescript.Interface:
		var fields []Field
		for _, base := range node.Extends {
			more, _ := r.fields(base, d.module)
			fields = merged(fields, more)
		}
		return merged(fields, r.members(node.Members, d.module)), false
	case *typescript.TypeAlias:
		return r.fields(node.Type, d.module)
	}
	return nil, false
}

// literals returns the strings of a union of string types.
func literals(t typescript.Type) (out []string) {
	switch t := t.(type) {
	case *typescript.LiteralType:
		if text, ok := t.Value.(string); ok {
			return []string{text}
		}
	case *typescript.Union:
		for _, part := range t.Types {
			out = append(out, literals(part)...)
		}
	}
	return out
}

// merged adds fields to others, which they replace.
func merged(fields, more []Field) []Field {
	out := slices.Clone(fields)
	for _, f := range more {
		if i := slices.IndexFunc(out, func(old Field) bool { return old.Name == f.Name }); i >= 0 {
			out[i] = f
		} else {
			out = append(out, f)
		}
	}
	return out
}

func withOptional(fields []Field, optional bool) []Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Optional = optional
	}
	return out
}

// selected returns the fields with a name in the list, or the others.
func selected(fields []Field, names []string, in bool) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return slices.Contains(names, f.Name) != in })
}

// members returns the fields of an object type.
func (r *typeReader) members(members []*typescript.TypeMember, m *evaluate.Module) []Field {
	var out []Field
	for _, member := range members {
		if member.Name.Text == "" || member.Method {
			continue
		}
		f := Field{Name: member.Name.Text, Optional: member.Optional}
		r.fieldType(&f, member.Type, m)
		out = append(out, f)
	}
	return out
}

func (r *typeReader) fieldType(f *Field, t typescript.Type, m *evaluate.Module) {
	if t == nil {
		return
	}
	f.Type = m.File.Text(t)
	fields, array := r.fields(t, m)
	if len(fields) > 0 {
		f.Fields, f.Array = fields, array
	}
}

// class returns the properties of a class and of its bases, with their rules.
func (r *typeReader) class(c *typescript.Class, m *evaluate.Module) []Field {
	var fields []Field
	if c.Extends != nil {
		fields = r.base(c.Extends, m)
	}
	var own []Field
	for _, member := range c.Members {
		if member.Kind == typescript.MemberConstructor {
			for _, p := range member.Func.Params {
				if id, ok := p.Target.(*typescript.Ident); ok && p.Property {
					f := Field{Name: id.Name, Optional: p.Optional || p.Default != nil}
					r.fieldType(&f, p.Type, m)
					own = append(own, f)
				}
			}
		}
		if member.Kind != typescript.MemberProperty || member.Static || member.Key.Text == "" || strings.HasPrefix(member.Key.Text, "#") {
			continue
		}
		f := Field{Name: member.Key.Text, Optional: member.Optional || member.Value != nil, Rules: r.rules(member, m)}
		r.fieldType(&f, member.Type, m)
		if f.Type == "" && member.Value != nil {
			f.Type = literalType(r.eval.Eval(member.Value, m.Scope))
		}
		if slices.Contains(f.Rules, "IsOptional") {
			f.Optional = true
		}
		own = append(own, f)
	}
	return merged(fields, own)
}

func literalType(v evaluate.Value) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return ""
}

// base returns the fields of a base class, which may be a mapped type of NestJS.
func (r *typeReader) base(x typescript.Expr, m *evaluate.Module) []Field {
	call, ok := x.(*typescript.Call)
	if !ok {
		if c, ok := r.eval.Eval(x, m.Scope).(*evaluate.Class); ok && !slices.Contains(r.within, typescript.Node(c.Node)) && len(r.within) < 2*maxNesting {
			r.within = append(r.within, c.Node)
			defer func() { r.within = r.within[:len(r.within)-1] }()
			return r.class(c.Node, c.Scope.Module)
		}
		return nil
	}
	external, ok := r.eval.Eval(call.Callee, m.Scope).(*evaluate.External)
	if !ok || len(call.Args) == 0 || !strings.HasPrefix(external.Module, "@nestjs/") {
		return nil
	}
	fields := r.base(call.Args[0], m)
	switch external.Name {
	case "PartialType":
		return withOptional(fields, true)
	case "PickType", "OmitType":
		var names []string
		if len(call.Args) > 1 {
			if list, ok := r.eval.Eval(call.Args[1], m.Scope).(*evaluate.Array); ok {
				for _, item := range list.Items {
					if name, ok := item.(string); ok {
						names = append(names, name)
					}
				}
			}
		}
		return selected(fields, names, external.Name == "PickType")
	case "IntersectionType":
		for _, arg := range call.Args[1:] {
			fields = merged(fields, r.base(arg, m))
		}
	}
	return fields
}

// rules returns the decorators of class-validator that a property has, also those that
// functions of the sources compose.
func (r *typeReader) rules(member *typescript.ClassMember, m *evaluate.Module) []string {
	r.nest.rules = nil
	for _, d := range member.Decorators {
		v := r.eval.Eval(d, m.Scope)
		r.eval.Call(v, evaluate.Call{Args: []evaluate.Value{evaluate.NewObject(), member.Key.Text}, Scope: m.Scope, Node: d})
	}
	return r.nest.rules
}

// rule returns a decorator of class-validator, which records itself.
func (n *nest) rule(name string) evaluate.Value {
	return &evaluate.Native{Name: name, Call: func(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
		text := name
		if len(c.Args) > 0 {
			text += "(" + strings.Join(ruleArgs(c), ", ") + ")"
		}
		return &evaluate.Native{Name: name, Call: func(*evaluate.Evaluator, evaluate.Call) evaluate.Value {
			n.rules = append(n.rules, text)
			return evaluate.Undefined{}
		}}
	}}
}

// ruleArgs returns the arguments of a decorator: JSON, or the source of what is not data.
func ruleArgs(c evaluate.Call) []string {
	var out []string
	call, _ := c.Node.(*typescript.Call)
	for i, arg := range c.Args {
		text, ok := evaluate.JSON(arg)
		if !ok && call != nil && c.Scope != nil && len(call.Args) == len(c.Args) {
			text = shorten(c.Scope.Module.File.Text(call.Args[i]))
		}
		out = append(out, text)
	}
	return out
}

// findType finds the declaration of a dotted name in a module or in what it imports.
func (p *Project) findType(name []string, m *evaluate.Module) (declaredType, bool) {
	return p.typeIn(m, m.File.Body, name, 0)
}

// maxHops limits the re-exports between a name and its declaration.
const maxHops = 20

func (p *Project) typeIn(m *evaluate.Module, body []typescript.Stmt, name []string, hops int) (declaredType, bool) {
	if hops > maxHops {
		return declaredType{}, false
	}
	for _, stmt := range body {
		node := stmt
		if e, ok := stmt.(*typescript.Export); ok && e.Decl != nil {
			node = e.Decl
		}
		switch d := node.(type) {
		case *typescript.Class:
			if d.Name == name[0] && len(name) == 1 {
				return declaredType{d, m}, true
			}
		case *typescript.Interface:
			if d.Name == name[0] && len(name) == 1 {
				return declaredType{d, m}, true
			}
		case *typescript.TypeAlias:
			if d.Name == name[0] && len(name) == 1 {
				return declaredType{d, m}, true
			}
		case *typescript.Namespace:
			if d.Name == name[0] && len(name) > 1 {
				return p.typeIn(m, d.Body, name[1:], hops+1)
			}
		case *typescript.Import:
			if found, ok := p.importedType(m, d, name, hops); ok {
				return found, true
			}
		}
	}
	return declaredType{}, false
}

func (p *Project) importedType(m *evaluate.Module, d *typescript.Import, name []string, hops int) (declaredType, bool) {
	exported := ""
	switch {
	case d.Default == name[0]:
		exported = "default"
	case d.Namespace == name[0] && len(name) > 1:
		exported, name = name[1], name[1:]
	}
	for _, n := range d.Names {
		if n.As == name[0] && exported == "" {
			exported = n.Name
		}
	}
	if exported == "" || d.From == "" || isFramework(d.From) {
		return declaredType{}, false
	}
	target := p.load(p.resolver.Resolve(m.Path, d.From))
	if target == nil {
		return declaredType{}, false
	}
	return p.exportedType(target, append([]string{exported}, name[1:]...), hops+1)
}

// exportedType finds the declaration of a name that a module exports.
func (p *Project) exportedType(m *evaluate.Module, name []string, hops int) (declaredType, bool) {
	if hops > maxHops {
		return declaredType{}, false
	}
	for _, stmt := range m.File.Body {
		e, ok := stmt.(*typescript.Export)
		if !ok {
			continue
		}
		if name[0] == "default" && e.DefaultDecl {
			return declaredType{e.Decl, m}, true
		}
		if id, ok := e.Default.(*typescript.Ident); ok && name[0] == "default" {
			return p.typeIn(m, m.File.Body, []string{id.Name}, hops+1)
		}
		for _, n := range e.Names {
			if n.As != name[0] {
				continue
			}
			next := append([]string{n.Name}, name[1:]...)
			if e.From == "" {
				return p.typeIn(m, m.File.Body, next, hops+1)
			}
			if target := p.load(p.resolver.Resolve(m.Path, e.From)); target != nil {
				return p.exportedType(target, next, hops+1)
			}
		}
	}
	if found, ok := p.typeIn(m, m.File.Body, name, hops+1); ok {
		return found, true
	}
	for _, stmt := range m.File.Body {
		if e, ok := stmt.(*typescript.Export); ok && e.Star && e.As == "" {
			if target := p.load(p.resolver.Resolve(m.Path, e.From)); target != nil {
				if found, ok := p.exportedType(target, name, hops+1); ok {
					return found, true
				}
			}
		}
	}
	return declaredType{}, false
}
