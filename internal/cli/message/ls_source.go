package message

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// runLsSource lists the handlers of NestJS sources. It returns an error if some patterns
// are not known.
func runLsSource(ctx context.Context, s *term.IO, o lsOptions) error {
	project, err := nestsource.Open(ctx, o.source)
	if err != nil {
		return exit.WithCode(err, exit.Usage)
	}
	handlers := project.Handlers()
	if len(handlers) == 0 {
		err := fmt.Errorf("no @MessagePattern or @EventPattern in %s of %s", term.Count(len(project.Files), "TypeScript file"), o.source)
		return exit.WithHint(err, "%s", nothingHint(project.Skipped))
	}
	switch {
	case o.asyncAPI:
		err = o.printSourceAsyncAPI(s, handlers)
	case o.output == "json":
		err = printSources(s, handlers)
	default:
		writeSources(s, handlers, o.verbose)
	}
	if err != nil {
		return err
	}
	computed := 0
	for _, h := range handlers {
		if h.Computed != nil {
			computed++
		}
	}
	s.Notef("%s", s.ErrPalette().Dim(sourceSummary(project, len(handlers), computed)))
	switch {
	case computed > 0:
		return exit.Said(errors.New("some patterns are computed"))
	case len(project.Skipped.Unreadable) > 0:
		return exit.Said(errors.New("some files cannot be read"))
	}
	return nil
}

// sourceSummary is the last line of `ls --source`.
func sourceSummary(project *nestsource.Project, total, computed int) string {
	text := fmt.Sprintf("read %d of %s in %s", total-computed, term.Count(total, "pattern"), term.Count(len(project.Files), "file"))
	if computed > 0 {
		text += fmt.Sprintf("; %d computed at run time", computed)
	}
	if skipped := skippedText(project.Skipped); skipped != "" {
		text += "; " + skipped
	}
	return text
}

// skippedText names and counts what was left out, and how to include it.
func skippedText(k nestsource.Skipped) string {
	var parts []string
	add := func(names []string, thing string) {
		if len(names) > 0 {
			parts = append(parts, term.Count(len(names), thing)+" ("+term.List(names, 3)+")")
		}
	}
	add(k.Tests, "test file")
	if k.Declarations > 0 {
		parts = append(parts, term.Count(k.Declarations, "declaration file"))
	}
	add(k.Large, "large file")
	add(k.Links, "link")
	hidden := func(path string) bool { return strings.HasPrefix(path[strings.LastIndexByte(path, '/')+1:], ".") }
	add(slices.DeleteFunc(slices.Clone(k.Folders), hidden), "folder")
	if n := len(k.Folders) - len(slices.DeleteFunc(slices.Clone(k.Folders), hidden)); n > 0 {
		parts = append(parts, term.Count(n, "hidden folder"))
	}
	var text string
	if len(parts) > 0 {
		text = "skipped " + strings.Join(parts, ", ") + " (`--source PATH` reads one of them)"
	}
	if len(k.Unreadable) > 0 {
		if text != "" {
			text += "; "
		}
		text += "cannot read " + term.List(k.Unreadable, 3)
	}
	return text
}

const useSources = "use the folder with the sources of the service"

// nothingHint returns what to do if there is no handler in what was read.
func nothingHint(k nestsource.Skipped) string {
	if text := skippedText(k); text != "" {
		return "msctl " + text
	}
	if k.JavaScript > 0 {
		verb := "there are "
		if k.JavaScript == 1 {
			verb = "there is "
		}
		return verb + term.Count(k.JavaScript, "JavaScript file") + ", but msctl reads TypeScript: " + useSources
	}
	return useSources
}

// writeSources prints the handlers as a table, with the patterns as `send` reads them.
func writeSources(s *term.IO, handlers []nestsource.Handler, verbose bool) {
	t := &term.Table{}
	t.Row("PATTERN", "KIND", "DATA", "HANDLER", "FILE")
	for _, h := range handlers {
		t.Row(sourcePattern(h), h.Kind(), sourceData(h), handlerName(h), fmt.Sprintf("%s:%d", h.File, h.Line))
	}
	t.Write(s.Out, s.OutPalette())
	if verbose {
		writeSourceTypes(s, handlers)
	}
}

func sourcePattern(h nestsource.Handler) string {
	switch {
	case h.Computed != nil:
		return h.Computed.String()
	case h.Pattern == "undefined" || h.Pattern == "null":
		return "(any message without a pattern)"
	}
	return shorthand.FormatPattern(json.RawMessage(h.Pattern))
}

func sourceData(h nestsource.Handler) string {
	if h.Payload == nil {
		return "-"
	}
	return cmp.Or(h.Payload.Name, "-")
}

func handlerName(h nestsource.Handler) string {
	name := h.Class
	if h.Method != "" {
		name += "." + h.Method
	}
	if h.Transport != "" {
		name += " (" + h.Transport + ")"
	}
	if h.Unused {
		name += " (in no module)"
	}
	return name
}

// writeSourceTypes prints the reasons for computed patterns, and the types of the data.
func writeSourceTypes(s *term.IO, handlers []nestsource.Handler) {
	p := s.OutPalette()
	visible.Strings(&handlers, visible.Line)
	seen := map[string]bool{}
	for _, h := range handlers {
		if c := h.Computed; c != nil {
			fmt.Fprintf(s.Out, "\n%s %s", p.Accent(c.Text), c.Reason)
			if c.Default != "" {
				fmt.Fprintf(s.Out, "; the default is %s", c.Default)
			}
		}
		if h.Payload != nil && len(h.Payload.Fields) > 0 && !seen[h.Payload.Name] {
			seen[h.Payload.Name] = true
			fmt.Fprintf(s.Out, "\n%s", p.Accent(h.Payload.Name))
			writeFields(s, h.Payload.Fields, "  ")
		}
	}
	fmt.Fprintln(s.Out)
}

func writeFields(s *term.IO, fields []nestsource.Field, indent string) {
	for _, f := range fields {
		optional := ""
		if f.Optional {
			optional = "?"
		}
		line := fmt.Sprintf("%s%s%s: %s", indent, f.Name, optional, cmp.Or(f.Type, "any"))
		if len(f.Rules) > 0 {
			line += "  " + s.OutPalette().Dim("@"+strings.Join(f.Rules, " @"))
		}
		fmt.Fprintf(s.Out, "\n%s", line)
		writeFields(s, f.Fields, indent+"  ")
	}
}

// sourceLine is a handler as JSON.
type sourceLine struct {
	Pattern   json.RawMessage      `json:"pattern,omitempty"`
	Computed  *nestsource.Computed `json:"computed,omitempty"`
	Kind      string               `json:"kind"`
	Class     string               `json:"class,omitempty"`
	Method    string               `json:"method,omitempty"`
	File      string               `json:"file"`
	Line      int                  `json:"line"`
	Transport string               `json:"transport,omitempty"`
	Extras    json.RawMessage      `json:"extras,omitempty"`
	Data      *nestsource.Type     `json:"data,omitempty"`
	Reply     *nestsource.Type     `json:"reply,omitempty"`
	Unused    bool                 `json:"unused,omitempty"`
}

func printSources(s *term.IO, handlers []nestsource.Handler) error {
	for _, h := range handlers {
		line := sourceLine{
			Pattern: json.RawMessage(h.Pattern), Computed: h.Computed, Kind: h.Kind(), Class: h.Class, Method: h.Method, File: h.File, Line: h.Line,
			Transport: h.Transport, Extras: secret.JSON([]byte(h.Extras)), Data: h.Payload, Reply: h.Reply, Unused: h.Unused,
		}
		if h.Pattern == "undefined" {
			line.Pattern = json.RawMessage("null")
		}
		text, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("print the handlers: %w", err)
		}
		if err := s.PrintJSON(term.JSONLine, text); err != nil {
			return err
		}
	}
	return nil
}

// printSourceAnswer prints the handlers of a service that did not describe itself as JSON.
func printSourceAnswer(s *term.IO, a target.Answer) error {
	type handler struct {
		Pattern json.RawMessage `json:"pattern"`
		Route   string          `json:"route"`
		Kind    string          `json:"kind"`
		Data    *micro.Schema   `json:"data,omitempty"`
		Reply   *micro.Schema   `json:"reply,omitempty"`
	}
	line := struct {
		Target   string    `json:"target"`
		Service  string    `json:"service"`
		Name     string    `json:"name"`
		Source   string    `json:"source"`
		Computed int       `json:"computed,omitempty"`
		Handlers []handler `json:"handlers"`
	}{Target: a.Target.String(), Service: a.Target.Service, Name: a.Description.Name, Source: a.Source, Computed: a.Computed}
	for _, h := range a.Description.Handlers {
		line.Handlers = append(line.Handlers, handler{h.Pattern, h.Route, h.Kind, h.Data, h.Reply})
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("print the handlers: %w", err)
	}
	return s.PrintJSON(term.JSONAuto, text)
}
