package tui

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

// tapDetail is the state of the details of a message.
type tapDetail struct {
	open   bool
	top    int    // the first line that is visible
	height int    // of what is visible
	total  int    // lines
	text   string // to find
	jump   int    // 1: to the next match, -1: to the previous one
}

// press handles a key while the details are open, and reports whether it did.
func (d *tapDetail) press(msg tea.KeyMsg, k *tapKeys) bool {
	switch {
	case key.Matches(msg, k.back), key.Matches(msg, k.open):
		d.open = false
	case key.Matches(msg, k.up):
		d.top--
	case key.Matches(msg, k.down):
		d.top++
	case key.Matches(msg, k.pageUp):
		d.top -= max(d.height-1, 1)
	case key.Matches(msg, k.pageDown):
		d.top += max(d.height-1, 1)
	case key.Matches(msg, k.home):
		d.top = 0
	case key.Matches(msg, k.end):
		d.top = d.total
	case key.Matches(msg, k.next):
		d.jump = 1
	case key.Matches(msg, k.previous):
		d.jump = -1
	default:
		return false
	}
	return true
}

// drawDetail draws the details of the selected message, in two columns if there is room. With open, they
// can be scrolled.
func (m *tapModel) drawDetail(a Area, open bool) {
	tree, row := m.list.Selected()
	if row == nil {
		box(a, "details", nil)
		return
	}
	from, arrow, to := row.Parties()
	title := strings.TrimSpace(from+" "+arrow+" "+to) + "  " + outline.PatternOf(row.Span)
	inner := box(a, title, nil)
	inner = inner.Sub(1, 0, inner.width-2, inner.height)
	facts, data, reply := factsOf(tree, row), bodyLines("data", row.Span, row.Handler, false), bodyLines("reply", row.Span, row.Handler, true)
	rest := concat(metadataLines(row.Span, row.Handler), stackLines(row.Span, row.Handler))
	text := ""
	if open {
		text = m.detail.text
	} else {
		m.detail.top = 0
	}
	if a.width < 100 || len(data)+len(reply) == 0 {
		m.detail.draw(inner, [][]Line{concat(facts, data, reply, rest)}, text)
		return
	}
	m.detail.draw(inner, [][]Line{concat(facts, rest), concat(data, reply)}, text)
}

func concat(parts ...[]Line) (all []Line) {
	for _, p := range parts {
		if len(all) > 0 && len(p) > 0 {
			all = append(all, nil)
		}
		all = append(all, p...)
	}
	return all
}

// draw draws columns of lines, from the first visible line.
func (d *tapDetail) draw(a Area, parts [][]Line, text string) {
	gap := 2
	column := (a.width - gap*(len(parts)-1)) / len(parts)
	d.total, d.height = 0, a.height
	for i := range parts {
		parts[i] = Wrap(parts[i], column)
		d.total = max(d.total, len(parts[i]))
	}
	d.find(parts, text)
	d.top = max(min(d.top, d.total-a.height), 0)
	for i, lines := range parts {
		part := a.Sub(i*(column+gap), 0, column, a.height)
		for y := range min(a.height, max(len(lines)-d.top, 0)) {
			part.Spans(0, y, lines[d.top+y]...)
			part.Row(y).Mark(lines[d.top+y].String(), text)
		}
	}
	if below := d.total - d.top - a.height; below > 0 {
		more := fmt.Sprintf(" %d more lines ", below)
		a.Write(a.width-Width(more), a.height-1, Dim, more)
	}
}

// find scrolls to a match, if a key required that.
func (d *tapDetail) find(parts [][]Line, text string) {
	step := d.jump
	d.jump = 0
	if step == 0 || text == "" {
		return
	}
	for i := 1; i <= d.total; i++ {
		at := ((d.top+step*i)%d.total + d.total) % d.total
		for _, lines := range parts {
			if at < len(lines) && contains(lines[at].String(), text) {
				d.top = at
				return
			}
		}
	}
}

// factsOf returns what is known of a message besides its data and its reply.
func factsOf(tree *outline.Tree, row *outline.Row) (lines []Line) {
	s, h := row.Span, row.Handler
	fact := func(name string, text ...Span) {
		lines = append(lines, append(Line{{Dim, fmt.Sprintf("%-12s", name)}}, text...))
	}
	fact("pattern", Span{Accent, visible.Line(s.Pattern)})
	if s.Path != "" {
		fact("path", Span{Plain, visible.Line(s.Path)})
	}
	fact("outcome", Span{outcomeLook(s), outline.OutcomeOf(s).Text}, Span{Plain, " " + outcomeWords(s)})
	if s.Failed() && s.Error != nil {
		fact("error", Span{Bad, visible.Line(s.Error.Message)})
	}
	if origin := tree.Root.Origin(); origin != nil && origin.Error != nil && origin != s {
		fact("arose in", Span{Bold, visible.Line(origin.Service)}, Span{Bad, ": " + visible.Line(origin.Error.Message)})
	}
	fact("sent", Span{Plain, s.Begin().Format("15:04:05.000000") + ", took " + term.Duration(s.Duration())})
	if h != nil {
		fact("handled", Span{Plain, fmt.Sprintf("after %s, in %s", term.Duration(max(h.Begin().Sub(s.Begin()), 0)), term.Duration(h.Duration()))})
	}
	if by, handler := outline.LateBy(s); handler != "" {
		fact("late", Span{Warn, fmt.Sprintf("%s replied %s after the sender had given up", handler, term.Duration(by))})
	}
	if row.Attempts > 1 {
		fact("attempt", Span{Warn, fmt.Sprintf("%d of %d", row.Attempt, row.Attempts)})
	} else if s.Attempt > 1 {
		fact("attempt", Span{Warn, fmt.Sprint(s.Attempt)})
	}
	fact("size", Span{Plain, sizes(s, h)})
	fact("from", Span{Plain, program(s)})
	if h != nil {
		fact("to", Span{Plain, program(h)})
	}
	if where := strings.TrimSpace(s.Transport + " " + s.Peer); where != "" {
		fact("transport", Span{Plain, visible.Line(where)})
	}
	if id := packetID(s, h); id != "" {
		fact("packet ID", Span{Plain, id})
	}
	if s.Correlation != "" {
		fact("correlation", Span{Plain, visible.Line(s.Correlation)})
	}
	fact("trace", Span{Plain, visible.Line(s.Trace)})
	return lines
}

func outcomeWords(s *tap.Span) string {
	switch {
	case s.Open:
		return "it has not ended"
	case s.Kind == reported.HTTP || s.Outcome == reported.Failed:
		return string(s.Outcome)
	}
	return ""
}

func sizes(s, h *tap.Span) string {
	in, out, values := s.In, s.Out, s.Values
	if h != nil {
		in, out, values = max(in, h.In), max(out, h.Out), max(values, h.Values)
	}
	text := fmt.Sprintf("data %s, reply %s", term.Count(in, "byte"), term.Count(out, "byte"))
	if values > 1 {
		text += fmt.Sprintf(" in %d values", values)
	}
	return text
}

func program(s *tap.Span) string {
	text := s.Service
	if s.PID != 0 {
		text += fmt.Sprintf(", pid %d", s.PID)
	}
	if s.Runtime != "" {
		text += ", " + s.Runtime
	}
	return visible.Line(text)
}

func packetID(s, h *tap.Span) string {
	id := s.ID
	if id == nil && h != nil {
		id = h.ID
	}
	return visible.Line(string(visible.JSON(id)))
}

// metadataLines returns the metadata as it arrived or, if that is not known, as it was sent.
func metadataLines(s, h *tap.Span) (lines []Line) {
	metadata := s.Metadata
	if h != nil && len(h.Metadata) > 0 {
		metadata = h.Metadata
	}
	if len(metadata) == 0 {
		return nil
	}
	lines = append(lines, Line{{Bold, "metadata"}})
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		lines = append(lines, Line{{Accent, visible.Line(key)}, {Plain, ": " + visible.Line(metadata[key])}})
	}
	return lines
}

func stackLines(s, h *tap.Span) (lines []Line) {
	for _, s := range []*tap.Span{s, h} {
		if s == nil || s.Error == nil || s.Error.Stack == "" {
			continue
		}
		lines = append(lines, Line{{Bold, "stack"}})
		for line := range strings.Lines(s.Error.Stack) {
			lines = append(lines, Line{{Dim, strings.ReplaceAll(visible.Text(strings.TrimRight(line, "\n")), "\t", "  ")}})
		}
	}
	return lines
}

// bodyLines returns the data or the reply of a message as colored JSON.
func bodyLines(name string, s, h *tap.Span, reply bool) (lines []Line) {
	body := func(s *tap.Span) json.RawMessage {
		if reply {
			return s.Reply
		}
		return s.Data
	}
	of := s
	if len(body(s)) == 0 && h != nil {
		of = h
	}
	text := body(of)
	if len(text) == 0 {
		return nil
	}
	size := of.In
	if reply {
		size = of.Out
	}
	head := Line{{Bold, name}}
	// The text that was cut is a string with the beginning of JSON.
	cut := of.Cut && text[0] == '"' && size > len(text)
	if cut {
		head = append(head, Span{Warn, fmt.Sprintf("  only the beginning of %s", term.Count(size, "byte"))})
	} else if reply && of.Values > 1 {
		head = append(head, Span{Dim, fmt.Sprintf("  the last of %d values", of.Values)})
	}
	lines = append(lines, head)
	looks := [...]Look{outline.Punctuation: Dim, outline.Key: Accent, outline.String: Good, outline.Number: Warn, outline.Word: Bold}
	for line := range strings.SplitSeq(outline.Pretty(text, cut), "\n") {
		var now Line
		outline.Parts(line, func(role outline.Role, text string) { now = append(now, Span{looks[role], text}) })
		lines = append(lines, now)
	}
	return lines
}
