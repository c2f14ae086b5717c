package target

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// FromSources answers for a NestJS service of the workspace, which cannot list its handlers,
// with those that its sources declare. ok is false for any other target.
func FromSources(ctx context.Context, t Target) (a Answer, ok bool) {
	if !t.foreign || t.Service == "" {
		return a, false
	}
	w, err := workspace.Current()
	if err != nil || w == nil {
		return a, false
	}
	a.Target = t
	for _, s := range nestsource.Services(ctx, w, t.Service) {
		a.describeSources(s)
		a.Source = cmp.Or(relative(w.Dir, s.Dir), s.Dir)
	}
	return a, len(a.Description.Handlers)+a.Computed > 0
}

// relative returns a folder relative to the current one, or to the workspace's.
func relative(base, dir string) string {
	if here, err := os.Getwd(); err == nil {
		base = here
	}
	rel, err := filepath.Rel(base, dir)
	if err != nil {
		return ""
	}
	return rel
}

func (a *Answer) describeSources(s nestsource.Service) {
	d := &a.Description
	d.Name = s.Name
	for _, h := range s.Handlers {
		info, ok := SourceHandler(h)
		if !ok {
			a.Computed++
			if p, err := micro.ParsePattern(defaultOf(h)); err == nil {
				a.probable = append(a.probable, p.Route())
			}
			continue
		}
		d.Handlers = append(d.Handlers, info)
	}
}

// SourceHandler describes a handler of NestJS sources as a service describes its own. ok is
// false if its pattern is not known.
func SourceHandler(h nestsource.Handler) (info micro.HandlerInfo, ok bool) {
	p, err := micro.ParsePattern(h.Pattern)
	if h.Computed != nil || err != nil {
		return info, false
	}
	info = micro.HandlerInfo{Pattern: json.RawMessage(h.Pattern), Route: p.Route(), Kind: h.Kind(), Data: typeSchema(h.Payload), Reply: typeSchema(h.Reply)}
	if h.Event {
		info.Reply = nil
	}
	return info, true
}

func defaultOf(h nestsource.Handler) string {
	if h.Computed == nil {
		return ""
	}
	return h.Computed.Default
}

func typeSchema(t *nestsource.Type) *micro.Schema {
	if t == nil {
		return nil
	}
	return schemaOf(t.Name, t.Fields, t.Array)
}

// schemaOf returns the JSON Schema of a TypeScript type. A type without an equivalent
// accepts anything.
func schemaOf(name string, fields []nestsource.Field, array bool) *micro.Schema {
	name = withoutMissing(name)
	if element, ok := strings.CutSuffix(name, "[]"); ok || array {
		return &micro.Schema{Type: "array", Items: schemaOf(element, fields, false)}
	}
	if len(fields) > 0 {
		s := &micro.Schema{Type: "object"}
		if !strings.HasPrefix(name, "{") {
			s.Title = name
		}
		for _, f := range fields {
			s.Properties = append(s.Properties, micro.Property{Name: f.Name, Schema: fieldSchema(f)})
			if !f.Optional {
				s.Required = append(s.Required, f.Name)
			}
		}
		return s
	}
	switch name {
	case "":
		return nil
	case "string", "number", "boolean":
		return &micro.Schema{Type: name}
	}
	if values := literalTypes(name); values != nil {
		return &micro.Schema{Enum: values}
	}
	return &micro.Schema{}
}

// withoutMissing removes null and undefined from a union that has one other type.
func withoutMissing(name string) string {
	rest := strings.Split(name, " | ")
	rest = slices.DeleteFunc(rest, func(part string) bool { return part == "null" || part == "undefined" })
	if len(rest) == 1 {
		return rest[0]
	}
	return name
}

// literalTypes returns the values of a union of strings: 'a' | 'b'.
func literalTypes(name string) (values []string) {
	for part := range strings.SplitSeq(name, "|") {
		part = strings.TrimSpace(part)
		if len(part) < 2 || part[0] != '\'' && part[0] != '"' || part[len(part)-1] != part[0] || strings.Contains(part, `\`) {
			return nil
		}
		values = append(values, part[1:len(part)-1])
	}
	return values
}

// fieldSchema returns the schema of a field, with the rules that JSON Schema has too.
func fieldSchema(f nestsource.Field) *micro.Schema {
	s := cmp.Or(schemaOf(f.Type, f.Fields, f.Array), &micro.Schema{})
	for _, rule := range f.Rules {
		name, args, _ := strings.Cut(strings.TrimSuffix(rule, ")"), "(")
		first, second, _ := strings.Cut(args, ", ")
		switch name {
		case "IsInt":
			s.Type = "integer"
		case "Min":
			s.Minimum = parsed(first)
		case "Max":
			s.Maximum = parsed(first)
		case "MinLength", "Length":
			s.MinLength = parsedInt(first)
			if name == "Length" {
				s.MaxLength = parsedInt(second)
			}
		case "MaxLength":
			s.MaxLength = parsedInt(first)
		case "IsEnum", "IsIn":
			s.Enum = enumOf(args)
		case "IsEmail":
			s.Format = "email"
		case "IsUUID":
			s.Format = "uuid"
		}
	}
	return s
}

// enumOf returns the strings of an enum or an array in JSON. Other values have no place in
// the schema.
func enumOf(text string) []string {
	var list []string
	if json.Unmarshal([]byte(text), &list) == nil {
		return list
	}
	var members map[string]string
	if json.Unmarshal([]byte(text), &members) != nil {
		return nil
	}
	return slices.Sorted(maps.Values(members))
}

func parsed(text string) *float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return &f
}

func parsedInt(text string) *int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	return &n
}
