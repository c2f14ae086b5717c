package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// writeDescription prints one service and its handlers.
func writeDescription(s *term.IO, a target.Answer, verbose bool) {
	p, d := s.OutPalette(), a.Description
	title := p.Bold(d.Name)
	if d.Name == "" {
		title = p.Bold(a.Target.Name())
	}
	if d.Version != "" {
		title += " " + d.Version
	}
	up := ""
	if !d.Started.IsZero() {
		up = ", up " + duration(max(time.Since(d.Started), 0))
	}
	fmt.Fprintf(s.Out, "%s  %s\n", title, p.Dim(a.Target.String()+up))
	if len(d.Handlers) == 0 {
		fmt.Fprintln(s.Out, "no handlers")
		return
	}
	t := &table{right: map[int]bool{2: true, 3: true, 4: true, 5: true}}
	t.row("PATTERN", "KIND", "CALLS", "ERRORS", "P50", "P99", "DATA", "REPLY")
	for _, h := range d.Handlers {
		p50, p99 := "-", "-"
		if h.Calls > 0 {
			p50, p99 = shortMillis(h.P50), shortMillis(h.P99)
		}
		t.row(string(h.Pattern), h.Kind, strconv.FormatUint(h.Calls, 10), strconv.FormatUint(h.Errors, 10), p50, p99, typeName(h.Data), typeName(h.Reply))
	}
	t.write(s.Out, p)
	if verbose {
		writeTypes(s, d)
	}
}

func shortMillis(ms float64) string { return duration(time.Duration(ms * float64(time.Millisecond))) }

// writeTypes prints the named types of a service, and what its handlers are for.
func writeTypes(s *term.IO, d micro.Description) {
	p := s.OutPalette()
	for _, h := range d.Handlers {
		if h.Doc != "" {
			fmt.Fprintf(s.Out, "\n%s  %s", p.Accent(string(h.Pattern)), h.Doc)
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

// typeName writes a JSON Schema as a TypeScript programmer writes the type: its
// name where it has one.
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
		return "{}"
	case schema.Type == "":
		return "any"
	}
	return schema.Type
}

// members writes the members of an object type.
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

// table lays out columns; the first row is the heading.
type table struct {
	rows  [][]string
	right map[int]bool // the columns that are numbers
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, p term.Palette) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case n == 0:
				cell = p.Dim(cell)
			case i == 0:
				cell = p.Accent(cell)
			}
			switch {
			case t.right[i]:
				cell = space + cell
			case i < len(row)-1:
				cell += space
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		fmt.Fprintln(w, line.String())
	}
}
