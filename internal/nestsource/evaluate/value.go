// Package evaluate computes the values of TypeScript expressions without running them in
// JavaScript: constants, enums, objects, template literals, calls of functions in the
// sources, and everything else that the sources alone determine. What they do not determine,
// such as the environment, becomes an [Unknown] with its source text and, where the
// expression has one, its default.
package evaluate

import (
	"encoding/json"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Value is a value of JavaScript: [Undefined], [Null], bool, float64, string, *[Array],
// *[Object], *[Function], *[Class], *[Native], *[External], *[Namespace], *[Regexp], or
// *[Unknown].
type Value any

// Undefined is the value undefined.
type Undefined struct{}

// Null is the value null.
type Null struct{}

// Array is an array.
type Array struct{ Items []Value }

// Object is an object with its members in order, an enum, or an instance of a class.
type Object struct {
	keys    []string
	members map[string]Value
	// Class is the class of an instance.
	Class *Class
	// Host belongs to the package that created the object.
	Host any

	open   *Unknown // set if the object may have more members
	base   Value    // has the members that the object does not; nil for none
	unmade bool     // `this` of a class that is only read
}

// accessor is a member that a function computes.
type accessor struct{ get *Function }

// Function is a function of the sources.
type Function struct {
	Node  *typescript.Function
	scope *Scope
	this  Value
	props *Namespace // the namespace with the same name
}

// Identity returns a comparable value that is the same for every reference to the method of
// a class, and different for the classes that one class expression makes.
func (f *Function) Identity() any {
	return [2]any{f.Node, f.scope}
}

// Module returns the module that declares a function.
func (f *Function) Module() *Module { return f.scope.Module }

// Text returns the source of a function.
func (f *Function) Text() string { return f.scope.Module.File.Text(f.Node) }

// Class is a class of the sources.
type Class struct {
	Node    *typescript.Class
	Scope   *Scope // where it is declared
	statics *Object
	props   *Namespace // the namespace with the same name
	ran     bool       // whether its static blocks have run
	parent  Value      // the evaluated base class; nil before it is needed
}

// Name returns the name of a class, or "" for an anonymous one.
func (c *Class) Name() string { return c.Node.Name }

// Native is a function that is implemented in Go.
type Native struct {
	Name string
	Call func(e *Evaluator, c Call) Value
	// Props are its members, such as those of Object.
	Props map[string]Value
}

// Call is one call of a function.
type Call struct {
	This Value
	Args []Value
	// Node is the call in the source, and Scope where it is; nil if a function of Go calls.
	Node  typescript.Node
	Scope *Scope
}

// Arg returns an argument, or undefined.
func (c Call) Arg(i int) Value {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return Undefined{}
}

// External is a value that a package outside of the sources exports, and its members.
type External struct {
	Module string
	Name   string // dotted; "*" for the module itself
}

// Namespace is a module or a namespace of the sources as a value.
type Namespace struct {
	module *Module  // nil for a namespace
	scopes []*Scope // the bodies of a namespace
}

// Regexp is a regular expression.
type Regexp struct{ Source, Flags string }

// Unknown is a value that the sources do not determine.
type Unknown struct {
	// Text is the expression in the source.
	Text string
	// File and Line are its place. File is absolute.
	File string
	Line int
	// Reason states why the value is unknown.
	Reason string
	// Env is the name of the environment variable or configuration key that determines the
	// value, if one does.
	Env string
	// More are the names of other variables that contribute to the value.
	More []string
	// Default is the value if Env is not set, or the known value of Env; nil if the
	// expression has neither.
	Default Value
}

// NewObject returns an empty object.
func NewObject() *Object { return &Object{members: map[string]Value{}} }

// Keys returns the names of the members in the order of JavaScript: array indexes first.
func (o *Object) Keys() []string {
	var indexes, rest []string
	for _, k := range o.keys {
		if isIndex(k) {
			indexes = append(indexes, k)
		} else {
			rest = append(rest, k)
		}
	}
	sortIndexes(indexes)
	return append(indexes, rest...)
}

// Get returns a member of the object itself.
func (o *Object) Get(key string) (Value, bool) {
	v, ok := o.members[key]
	return v, ok
}

// Set adds or replaces a member.
func (o *Object) Set(key string, v Value) {
	if _, ok := o.members[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.members[key] = v
}

// Delete removes a member.
func (o *Object) Delete(key string) {
	delete(o.members, key)
	for i, k := range o.keys {
		if k == key {
			o.keys = append(o.keys[:i:i], o.keys[i+1:]...)
			return
		}
	}
}

// maxDepth limits the nesting of values that are walked. Objects may contain themselves.
const maxDepth = 50

// JSON returns a value as JSON.stringify does. ok is false if a part of it is unknown or
// not data.
func JSON(v Value) (text string, ok bool) {
	var b strings.Builder
	ok = writeJSON(&b, v, 0)
	return b.String(), ok
}

func writeJSON(b *strings.Builder, v Value, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v := v.(type) {
	case Null:
		b.WriteString("null")
	case bool:
		if v {
			b.WriteString("true")
		} else {
			b.WriteString("false")
		}
	case float64:
		b.WriteString(jsonNumber(v))
	case string:
		b.WriteString(Quote(v))
	case *Array:
		return writeList(b, v.Items, depth)
	case *Object:
		return writeMembers(b, v, depth)
	default:
		return false
	}
	return true
}

func jsonNumber(f float64) string {
	if f-f != 0 { // NaN and the infinities
		return "null"
	}
	return typescript.FormatNumber(f)
}

func writeList(b *strings.Builder, items []Value, depth int) bool {
	b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		if _, undefined := item.(Undefined); undefined {
			item = Null{}
		}
		if !writeJSON(b, item, depth+1) {
			return false
		}
	}
	b.WriteByte(']')
	return true
}

func writeMembers(b *strings.Builder, o *Object, depth int) bool {
	if o.open != nil {
		return false
	}
	b.WriteByte('{')
	first := true
	for _, k := range o.Keys() {
		v := o.members[k]
		if _, undefined := v.(Undefined); undefined {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(Quote(k))
		b.WriteByte(':')
		if !writeJSON(b, v, depth+1) {
			return false
		}
	}
	b.WriteByte('}')
	return true
}

// Quote returns a string as JSON.
func Quote(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// FindUnknown returns the first unknown part of a value, or nil. A function, a class, or
// something else that is not data counts as unknown without a place.
func FindUnknown(v Value) *Unknown { return findUnknown(v, true, 0) }

// findUnknown returns the first unknown part of a value, or nil. With data, what is not data
// counts as unknown.
func findUnknown(v Value, data bool, depth int) *Unknown {
	if depth > maxDepth {
		return &Unknown{Reason: "the value is nested too deeply"}
	}
	switch v := v.(type) {
	case *Unknown:
		return v
	case *Array:
		for _, item := range v.Items {
			if u := findUnknown(item, data, depth+1); u != nil {
				return u
			}
		}
	case *Object:
		if v.open != nil {
			return v.open
		}
		for _, k := range v.Keys() {
			if u := findUnknown(v.members[k], data, depth+1); u != nil {
				return u
			}
		}
	case *External:
		return &Unknown{Reason: v.String() + " is not in the sources"}
	case *Function, *Class, *Native, *Namespace, *Regexp, *accessor:
		if data {
			return &Unknown{Reason: "it is not data"}
		}
	}
	return nil
}

// String returns "name of module".
func (x *External) String() string {
	if x.Name == "*" {
		return x.Module
	}
	return x.Name + " of " + x.Module
}

// Defaults returns a value with every unknown part replaced by its default. ok is false if
// a part has none.
func Defaults(v Value) (_ Value, ok bool) { return defaults(v, 0) }

func defaults(v Value, depth int) (Value, bool) {
	if depth > maxDepth {
		return v, false
	}
	switch v := v.(type) {
	case *Unknown:
		return v.Default, v.Default != nil
	case *External:
		return v, false
	case *Array:
		out := &Array{}
		for _, item := range v.Items {
			d, ok := defaults(item, depth+1)
			if !ok {
				return v, false
			}
			out.Items = append(out.Items, d)
		}
		return out, true
	case *Object:
		out := NewObject()
		if v.open != nil {
			return v, false
		}
		for _, k := range v.Keys() {
			d, ok := defaults(v.members[k], depth+1)
			if !ok {
				return v, false
			}
			out.Set(k, d)
		}
		return out, true
	}
	return v, true
}

// Base returns the value that has the members that the object does not, such as
// process.env after {...process.env}. It is nil for none.
func (o *Object) Base() Value { return o.base }
