package message

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// writeDescription prints one service and its handlers.
func writeDescription(s *term.IO, a target.Answer, verbose bool) {
	p, d := s.OutPalette(), a.Description
	visible.Strings(&d, visible.Line)
	title := p.Bold(d.Name)
	if d.Name == "" {
		title = p.Bold(a.Target.Name())
	}
	if d.Version != "" {
		title += " " + d.Version
	}
	up := ""
	if !d.Started.IsZero() {
		up = ", up " + term.Duration(max(time.Since(d.Started), 0))
	}
	if a.Source != "" {
		up = ", handlers from the sources in " + a.Source
	}
	fmt.Fprintf(s.Out, "%s  %s\n", title, p.Dim(a.Target.String()+up))
	if len(d.Handlers)+a.Computed == 0 {
		fmt.Fprintln(s.Out, "no handlers")
		return
	}
	if a.Source != "" {
		writeSourceHandlers(s, a, verbose)
		return
	}
	t := &term.Table{Right: map[int]bool{2: true, 3: true, 4: true, 5: true}}
	t.Row("PATTERN", "KIND", "CALLS", "ERRORS", "P50", "P99", "DATA", "REPLY")
	for _, h := range d.Handlers {
		p50, p99 := "-", "-"
		if h.Calls > 0 {
			p50, p99 = shortMillis(h.P50), shortMillis(h.P99)
		}
		t.Row(shorthand.FormatPattern(h.Pattern), h.Kind, strconv.FormatUint(h.Calls, 10), strconv.FormatUint(h.Errors, 10), p50, p99, typeName(h.Data), typeName(h.Reply))
	}
	t.Write(s.Out, p)
	if verbose {
		writeTypes(s, d)
	}
}

// writeSourceHandlers prints the handlers of a service that did not describe itself.
func writeSourceHandlers(s *term.IO, a target.Answer, verbose bool) {
	t := &term.Table{}
	t.Row("PATTERN", "KIND", "DATA", "REPLY")
	for _, h := range a.Description.Handlers {
		t.Row(shorthand.FormatPattern(h.Pattern), h.Kind, typeName(h.Data), typeName(h.Reply))
	}
	t.Write(s.Out, s.OutPalette())
	if verbose {
		writeTypes(s, a.Description)
	}
	noteComputed(s, a)
}

// noteComputed reports that some patterns of a service are not known.
func noteComputed(s *term.IO, a target.Answer) {
	if a.Computed > 0 {
		s.Notef("%s", s.ErrPalette().Dim(fmt.Sprintf("%s: %s computed at run time; `msctl ls --source %s` lists them", a.Target.Service, term.Count(a.Computed, "pattern"), a.Source)))
	}
}

func shortMillis(ms float64) string {
	return term.Duration(time.Duration(ms * float64(time.Millisecond)))
}

// writeTypes prints the documentation of the handlers and the named types.
func writeTypes(s *term.IO, d micro.Description) {
	p := s.OutPalette()
	for _, h := range d.Handlers {
		if h.Doc != "" {
			fmt.Fprintf(s.Out, "\n%s  %s", p.Accent(visible.Line(shorthand.FormatPattern(h.Pattern))), h.Doc)
		}
	}
	seen := map[string]bool{}
	var visit func(schema *micro.Schema)
	visit = func(schema *micro.Schema) {
		if schema == nil {
			return
		}
		if schema.Title != "" && len(schema.Properties) > 0 && !seen[schema.Title] {
			seen[schema.Title] = true
			fmt.Fprintf(s.Out, "\n%s %s", p.Accent(schema.Title), members(schema))
		}
		for _, property := range schema.Properties {
			visit(property.Schema)
		}
		visit(schema.Items)
		visit(schema.AdditionalProperties)
	}
	for _, h := range d.Handlers {
		visit(h.Data)
		visit(h.Reply)
	}
	fmt.Fprintln(s.Out)
}

// typeName returns the TypeScript type for a JSON Schema, or its name if it has one.
func typeName(schema *micro.Schema) string {
	switch {
	case schema == nil:
		return "-"
	case schema.Title != "" && len(schema.Properties) > 0:
		return schema.Title
	case len(schema.Enum) > 0:
		return `"` + strings.Join(schema.Enum, `" | "`) + `"`
	case schema.Type == "array" && schema.Items != nil:
		return typeName(schema.Items) + "[]"
	case schema.Type == "object" && schema.AdditionalProperties != nil:
		return "Record<string, " + typeName(schema.AdditionalProperties) + ">"
	case schema.Type == "object" && len(schema.Properties) > 0:
		return members(schema)
	case schema.Type == "object":
		return cmp.Or(schema.Title, "{}") // a type that contains itself has no members the second time
	case schema.Type == "":
		return "any"
	}
	return schema.Type
}

// members returns the members of an object type.
func members(schema *micro.Schema) string {
	required := map[string]bool{}
	for _, name := range schema.Required {
		required[name] = true
	}
	parts := make([]string, len(schema.Properties))
	for i, property := range schema.Properties {
		optional := "?"
		if required[property.Name] {
			optional = ""
		}
		parts[i] = property.Name + optional + ": " + typeName(property.Schema)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
