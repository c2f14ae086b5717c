package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui/taptree"
	reported "github.com/msctl/msctl/runtime/tap"
)

const kindHandle = reported.Handle

func tapDuration(d time.Duration) string { return term.Duration(d) }

// draw draws the header, the list and the details, or one of them, and the footer.
func (m *tapModel) draw(a Area) {
	if a.width < leastWidth || a.height < leastHeight {
		a.Write(0, 0, Plain, "msctl tap")
		a.Write(0, 1, Plain, fmt.Sprintf("the terminal is too small (%d×%d): msctl needs %d×%d", a.width, a.height, leastWidth, leastHeight))
		a.Write(0, 2, Plain, "q: quit")
		return
	}
	m.drawTitle(a)
	m.drawFooter(a.Row(a.height - 1))
	body := a.Sub(0, 2, a.width, a.height-3)
	switch {
	case m.help:
		m.drawHelp(body)
	case m.detail.open:
		m.drawDetail(body, true)
	case a.width >= 120 && a.height >= 30:
		below := body.height * 45 / 100
		m.drawList(body.Sub(0, 0, body.width, body.height-below))
		m.drawDetail(body.Sub(0, body.height-below, body.width, below), false)
	default:
		m.drawList(body)
	}
	if m.popup != nil {
		m.popup.Draw(body)
	}
}

// drawTitle draws what is shown, and the filter.
func (m *tapModel) drawTitle(a Area) {
	state := Span{Good, "● live"}
	paused, waiting := m.list.Paused()
	switch {
	case m.over:
		state = Span{Dim, "ended"}
	case paused:
		state = Span{Warn, fmt.Sprintf("‖ paused, %d new", waiting)}
	case m.ended:
		state = Span{Dim, "○ the run has ended"}
	case !m.list.Following():
		state = Span{Good, "● live, not following"}
	}
	right := []Span{state, {Plain, " "}}
	left := []Span{{Bold, " msctl tap"}, {Plain, "  " + visible.Line(m.screen.Title)}, {Dim, "  " + term.Count(m.list.Messages, "record") + ", " + m.counts()}}
	left = append(left, m.missing()...)
	a.Ends(0, left, right)
	if text := filterText(m.list.Filter()); text != "" {
		a.Spans(1, 1, Span{Warn, "only "}, Span{Plain, text}, Span{Dim, "  (x: show all)"})
	}
}

// counts describes how many trees there are, and how many are shown.
func (m *tapModel) counts() string {
	trees, shown := len(m.list.Trees().Roots()), m.list.Shown()
	if shown != trees {
		return fmt.Sprintf("%d of %s", shown, term.Count(trees, "tree"))
	}
	return term.Count(trees, "tree")
}

// missing describes the messages that are not shown because there were too many.
func (m *tapModel) missing() []Span {
	if missing := m.list.Trees().Dropped + m.list.LeftOut; missing > 0 {
		return []Span{{Warn, fmt.Sprintf("  %d missing", missing)}}
	}
	return nil
}

// filterText describes a filter.
func filterText(f tap.Filter) string {
	var parts []string
	if f.Errors {
		parts = append(parts, "errors")
	}
	for _, p := range [][2]string{{"service", f.Service}, {"pattern", f.Pattern}, {"ID", f.Trace}, {"text", f.Text}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+visible.Line(p[1]))
		}
	}
	if f.Slower > 0 {
		parts = append(parts, "slower than "+term.Duration(f.Slower))
	}
	return strings.Join(parts, ", ")
}

// drawFooter draws the prompt, a note, or the keys.
func (m *tapModel) drawFooter(a Area) {
	switch {
	case m.over:
	case m.prompt != nil:
		m.prompt.Draw(a)
	case m.note != "":
		look := Warn
		if m.bad {
			look = Bad
		}
		a.Write(1, 0, look, m.note)
	default:
		a.Write(1, 0, Dim, m.hints(a.width-2))
	}
}

// hints returns as many of the available keys as there is room for, and always those for help and quit.
func (m *tapModel) hints(room int) string {
	parts := []string{"↑↓ select", "Enter details", "/ search", "e errors", "s service", "p pattern", "space pause", "c copy", "r resend", "w save"}
	if m.detail.open {
		parts = []string{"Esc close", "↑↓ scroll", "/ find", "n next", "c copy", "r resend", "w save"}
	}
	for {
		text := strings.Join(append(parts[:len(parts):len(parts)], "? help", "q quit"), "  ·  ")
		if Width(text) <= room || len(parts) == 0 {
			return text
		}
		parts = parts[:len(parts)-1]
	}
}

// columns are the widths of the columns of the list.
type columns struct{ time, outcome, took, bar, main int }

func columnsOf(width int) columns {
	c := columns{time: 8, outcome: 9, took: 7, bar: width / 5}
	if width >= 100 {
		c.time, c.outcome = 12, 11
	}
	c.main = width - 2 - c.time - c.outcome - c.took - c.bar - 5
	return c
}

// drawList draws the rows that are visible.
func (m *tapModel) drawList(a Area) {
	m.page = a.height
	lines := m.list.Window(a.height)
	if len(lines) == 0 {
		text := "no messages yet: send a request to a service, or to the gateway"
		if len(m.list.Trees().Roots()) > 0 {
			text = "no message has everything that the filter requires: x removes it"
		}
		a.Write(1, a.height/2, Dim, text)
		return
	}
	c := columnsOf(a.width)
	for y, line := range lines {
		drawRow(a.Row(y), line, c)
	}
}

// drawRow draws one row.
func drawRow(a Area, line taptree.Line, c columns) {
	row, s := line.Row, line.Row.Span
	emphasis := Plain
	if line.Selected {
		a.Set(0, 0, '›', Accent)
		emphasis = Bold
	}
	if line.Match {
		a.Set(1, 0, '*', Warn)
	}
	drawTime(a.Sub(2, 0, c.time, 1), line, c)
	x := 2 + c.time + 1
	main := a.Sub(x, 0, c.main, 1)
	branch := Span{Dim, row.Branch()}
	switch row.Kind {
	case outline.Failure:
		a.Sub(x, 0, a.width-x, 1).Spans(0, 0, branch, Span{Bad, "✖ " + outline.ErrorText(row)})
		return
	case outline.More:
		main.Spans(0, 0, branch, Span{Dim, "… the rest is not shown"})
		return
	case outline.Late:
		by, handler := outline.LateBy(s)
		main.Spans(0, 0, branch, Span{Warn, "↩ " + handler + " " + term.Duration(by) + " too late"})
		drawBar(a.Sub(a.width-c.bar, 0, c.bar, 1), line.Tree, row.Handler, nil, Warn)
		return
	case outline.Message:
	}
	main.Spans(0, 0, append([]Span{branch}, rowText(row, emphasis)...)...)
	x += c.main + 1
	outcome, look := outline.OutcomeOf(s), outcomeLook(s)
	text := outcome.Text
	if row.Origin {
		text = "✖ " + text
	}
	a.Sub(x, 0, c.outcome, 1).Write(0, 0, look, text)
	x += c.outcome + 1
	took := term.Duration(s.Duration())
	a.Sub(x, 0, c.took, 1).Write(max(c.took-Width(took), 0), 0, emphasis, took)
	drawBar(a.Sub(a.width-c.bar, 0, c.bar, 1), line.Tree, s, row.Handler, look)
}

// drawTime draws the time of a tree or, below its root, the time since its start.
func drawTime(a Area, line taptree.Line, c columns) {
	if line.Row.Depth == 0 {
		if line.Row.Kind == outline.Message {
			layout := "15:04:05.000"
			a.Write(0, 0, Plain, line.Row.Span.Begin().Format(layout[:min(c.time, len(layout))]))
		}
		return
	}
	if line.Row.Kind == outline.Message {
		after := "+" + term.Duration(max(time.Duration(line.Row.Span.Start-line.Tree.Start), 0))
		a.Write(max(a.width-Width(after), 0), 0, Dim, after)
	}
}

// rowText returns the parties of a message, the number of the attempt, and the pattern.
func rowText(row *outline.Row, emphasis Look) []Span {
	from, arrow, to := row.Parties()
	var text []Span
	if row.Attempts > 1 {
		text = append(text, Span{Warn, fmt.Sprintf("↻%d/%d ", row.Attempt, row.Attempts)})
	} else if row.Span.Attempt > 1 {
		text = append(text, Span{Warn, fmt.Sprintf("↻%d ", row.Span.Attempt)})
	}
	if from != "" {
		text = append(text, Span{emphasis, from})
		if arrow != "" {
			text = append(text, Span{Plain, " "})
		}
	}
	if arrow != "" {
		text = append(text, Span{Dim, arrow + " "}, Span{emphasis, to})
	}
	return append(text, Span{Plain, "  "}, Span{Accent, outline.PatternOf(row.Span)})
}

func outcomeLook(s *tap.Span) Look {
	o := outline.OutcomeOf(s)
	switch {
	case s.Open:
		return Dim
	case o.Bad:
		return Bad
	case o.Warn:
		return Warn
	}
	return Good
}

// drawBar draws when a message was sent and ended, on the scale of its tree: thin for its sender, and
// thick while its handler was at work.
func drawBar(a Area, tree *outline.Tree, s, handler *tap.Span, l Look) {
	total := float64(max(tree.End-tree.Start, 1))
	draw := func(s *tap.Span, r rune) {
		from := int(float64(s.Start-tree.Start) / total * float64(a.width))
		to := int(math.Ceil(float64(s.Start+s.Took-tree.Start) / total * float64(a.width)))
		from = min(max(from, 0), a.width-1)
		a.Fill(from, 0, max(min(to, a.width)-from, 1), r, l)
	}
	if handler == nil {
		draw(s, '━')
		return
	}
	draw(s, '─')
	inner := *handler
	inner.Took = max(min(inner.Start+inner.Took, s.Start+s.Took)-inner.Start, 0) // what is late has a row of its own
	draw(&inner, '━')
}

// drawHelp draws the keys and the signs.
func (m *tapModel) drawHelp(a Area) {
	all := append(m.keys.listed(), m.keys.quit)
	inner := box(a, "help", nil)
	inner = inner.Sub(1, 0, inner.width-2, inner.height)
	y := DrawKeys(inner, all)
	for i, w := range [][2]string{
		{"→ ⇢", "a request, an event; ? if no program reported that it handled it"},
		{"✖", "where the error of the tree arose, and its text"},
		{"↻2/3", "the second of three attempts of a request"},
		{"↩", "a reply that came after its sender had given up"},
		{"━ ─", "when it was handled; when it was sent, on its way, or waiting"},
		{"+1.2ms", "when it was sent, since the start of the tree"},
	} {
		inner.Write(0, y+1+i, Accent, w[0])
		inner.Write(8, y+1+i, Plain, w[1])
	}
}
