package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"

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
func (m *tapModel) draw(a area) {
	if a.width < leastWidth || a.height < leastHeight {
		a.write(0, 0, plain, "msctl tap")
		a.write(0, 1, plain, fmt.Sprintf("the terminal is too small (%d×%d): msctl needs %d×%d", a.width, a.height, leastWidth, leastHeight))
		a.write(0, 2, plain, "q: quit")
		return
	}
	m.drawTitle(a)
	m.drawFooter(a.row(a.height - 1))
	body := a.sub(0, 2, a.width, a.height-3)
	switch {
	case m.help:
		m.drawHelp(body)
	case m.detail.open:
		m.drawDetail(body, true)
	case a.width >= 120 && a.height >= 30:
		below := body.height * 45 / 100
		m.drawList(body.sub(0, 0, body.width, body.height-below))
		m.drawDetail(body.sub(0, body.height-below, body.width, below), false)
	default:
		m.drawList(body)
	}
	if m.popup != nil {
		m.drawPopup(body)
	}
}

// drawTitle draws what is shown, and the filter.
func (m *tapModel) drawTitle(a area) {
	state := span{good, "● live"}
	paused, waiting := m.list.Paused()
	switch {
	case m.over:
		state = span{dim, "ended"}
	case paused:
		state = span{warn, fmt.Sprintf("‖ paused, %d new", waiting)}
	case m.ended:
		state = span{dim, "○ the run has ended"}
	case !m.list.Following():
		state = span{good, "● live, not following"}
	}
	right := []span{state, {plain, " "}}
	trees, shown := len(m.list.Trees().Roots()), m.list.Shown()
	counts := plural(trees, "tree")
	if shown != trees {
		counts = fmt.Sprintf("%d of %s", shown, counts)
	}
	left := []span{{bold, " msctl tap"}, {plain, "  " + visible.Line(m.screen.Title)}, {dim, "  " + plural(m.list.Messages, "record") + ", " + counts}}
	if missing := m.list.Trees().Dropped + m.list.LeftOut; missing > 0 {
		left = append(left, span{warn, fmt.Sprintf("  %d missing", missing)})
	}
	a.ends(0, left, right)
	if text := filterText(m.list.Filter()); text != "" {
		a.spans(1, 1, span{warn, "only "}, span{plain, text}, span{dim, "  (x: show all)"})
	}
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
func (m *tapModel) drawFooter(a area) {
	switch {
	case m.over:
	case m.prompt != nil:
		text := visible.Line(m.prompt.text)
		head := m.prompt.label + ": "
		for width(head)+width(text)+4 > a.width && text != "" { // the end is what is edited
			_, text, _ = strings.Cut(text, string([]rune(text)[0]))
		}
		x := a.spans(1, 0, span{accent, head}, span{plain, text}, span{plain, "▏"})
		if len(m.prompt.choices) > 0 {
			a.sub(x+1, 0, a.width-x-1, 1).write(0, 0, dim, " tab: "+visible.Line(strings.Join(m.prompt.choices, ", ")))
		}
	case m.note != "":
		look := warn
		if m.bad {
			look = bad
		}
		a.write(1, 0, look, m.note)
	default:
		a.write(1, 0, dim, m.hints(a.width-2))
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
		if width(text) <= room || len(parts) == 0 {
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
func (m *tapModel) drawList(a area) {
	m.page = a.height
	lines := m.list.Window(a.height)
	if len(lines) == 0 {
		text := "no messages yet: send a request to a service, or to the gateway"
		if len(m.list.Trees().Roots()) > 0 {
			text = "no message has everything that the filter requires: x removes it"
		}
		a.write(1, a.height/2, dim, text)
		return
	}
	c := columnsOf(a.width)
	for y, line := range lines {
		drawRow(a.row(y), line, c)
	}
}

// drawRow draws one row.
func drawRow(a area, line taptree.Line, c columns) {
	row, s := line.Row, line.Row.Span
	emphasis := plain
	if line.Selected {
		a.set(0, 0, '›', accent)
		emphasis = bold
	}
	if line.Match {
		a.set(1, 0, '*', warn)
	}
	drawTime(a.sub(2, 0, c.time, 1), line, c)
	x := 2 + c.time + 1
	main := a.sub(x, 0, c.main, 1)
	branch := span{dim, row.Branch()}
	switch row.Kind {
	case outline.Failure:
		a.sub(x, 0, a.width-x, 1).spans(0, 0, branch, span{bad, "✖ " + outline.ErrorText(row)})
		return
	case outline.More:
		main.spans(0, 0, branch, span{dim, "… the rest is not shown"})
		return
	case outline.Late:
		by, handler := outline.LateBy(s)
		main.spans(0, 0, branch, span{warn, "↩ " + handler + " " + term.Duration(by) + " too late"})
		drawBar(a.sub(a.width-c.bar, 0, c.bar, 1), line.Tree, row.Handler, nil, warn)
		return
	case outline.Message:
	}
	main.spans(0, 0, append([]span{branch}, rowText(row, emphasis)...)...)
	x += c.main + 1
	outcome, look := outline.OutcomeOf(s), outcomeLook(s)
	text := outcome.Text
	if row.Origin {
		text = "✖ " + text
	}
	a.sub(x, 0, c.outcome, 1).write(0, 0, look, text)
	x += c.outcome + 1
	took := term.Duration(s.Duration())
	a.sub(x, 0, c.took, 1).write(max(c.took-width(took), 0), 0, emphasis, took)
	drawBar(a.sub(a.width-c.bar, 0, c.bar, 1), line.Tree, s, row.Handler, look)
}

// drawTime draws the time of a tree or, below its root, the time since its start.
func drawTime(a area, line taptree.Line, c columns) {
	if line.Row.Depth == 0 {
		if line.Row.Kind == outline.Message {
			layout := "15:04:05.000"
			a.write(0, 0, plain, line.Row.Span.Begin().Format(layout[:min(c.time, len(layout))]))
		}
		return
	}
	if line.Row.Kind == outline.Message {
		after := "+" + term.Duration(max(time.Duration(line.Row.Span.Start-line.Tree.Start), 0))
		a.write(max(a.width-width(after), 0), 0, dim, after)
	}
}

// rowText returns the parties of a message, the number of the attempt, and the pattern.
func rowText(row *outline.Row, emphasis look) []span {
	from, arrow, to := row.Parties()
	var text []span
	if row.Attempts > 1 {
		text = append(text, span{warn, fmt.Sprintf("↻%d/%d ", row.Attempt, row.Attempts)})
	} else if row.Span.Attempt > 1 {
		text = append(text, span{warn, fmt.Sprintf("↻%d ", row.Span.Attempt)})
	}
	if from != "" {
		text = append(text, span{emphasis, from})
		if arrow != "" {
			text = append(text, span{plain, " "})
		}
	}
	if arrow != "" {
		text = append(text, span{dim, arrow + " "}, span{emphasis, to})
	}
	return append(text, span{plain, "  "}, span{accent, outline.PatternOf(row.Span)})
}

func outcomeLook(s *tap.Span) look {
	o := outline.OutcomeOf(s)
	switch {
	case s.Open:
		return dim
	case o.Bad:
		return bad
	case o.Warn:
		return warn
	}
	return good
}

// drawBar draws when a message was sent and ended, on the scale of its tree: thin for its sender, and
// thick while its handler was at work.
func drawBar(a area, tree *outline.Tree, s, handler *tap.Span, l look) {
	total := float64(max(tree.End-tree.Start, 1))
	draw := func(s *tap.Span, r rune) {
		from := int(float64(s.Start-tree.Start) / total * float64(a.width))
		to := int(math.Ceil(float64(s.Start+s.Took-tree.Start) / total * float64(a.width)))
		from = min(max(from, 0), a.width-1)
		a.fill(from, 0, max(min(to, a.width)-from, 1), r, l)
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

// drawPopup draws text over the screen.
func (m *tapModel) drawPopup(a area) {
	room := a.width - 6
	var lines []string
	for _, l := range m.popup.lines {
		lines = append(lines, wrapped(l, room)...)
	}
	height := min(len(lines)+2, a.height)
	over := a.sub(1, (a.height-height)/2, a.width-2, height)
	for y := range over.height {
		over.fill(0, y, over.width, ' ', plain)
	}
	inner := box(over, m.popup.title, nil)
	for y, l := range lines {
		if y == inner.height-1 && len(lines) > inner.height {
			l = fmt.Sprintf("… %d more lines", len(lines)-y)
		}
		inner.write(1, y, plain, l)
	}
}

// wrapped cuts a text into lines of a width.
func wrapped(text string, room int) (lines []string) {
	for room > 0 && width(text) > room {
		n, end := 0, 0
		for i, r := range text {
			if n += runeWidth(r); n > room {
				end = i
				break
			}
		}
		if end == 0 {
			break
		}
		lines, text = append(lines, text[:end]), text[end:]
	}
	return append(lines, text)
}

// drawHelp draws the keys and the signs.
func (m *tapModel) drawHelp(a area) {
	k := &m.keys
	all := []key.Binding{
		k.up, k.down, k.pageUp, k.pageDown, k.home, k.end, k.open, k.pause, k.search, k.next, k.errors, k.service,
		k.pattern, k.slower, k.trace, k.clear, k.copy, k.resend, k.save, k.quit,
	}
	inner := box(a, "help", nil)
	inner = inner.sub(1, 0, inner.width-2, inner.height)
	y := drawKeys(inner, all)
	for i, w := range [][2]string{
		{"→ ⇢", "a request, an event; ? if no program reported that it handled it"},
		{"✖", "where the error of the tree arose, and its text"},
		{"↻2/3", "the second of three attempts of a request"},
		{"↩", "a reply that came after its sender had given up"},
		{"━ ─", "when it was handled; when it was sent, on its way, or waiting"},
		{"+1.2ms", "when it was sent, since the start of the tree"},
	} {
		inner.write(0, y+1+i, accent, w[0])
		inner.write(8, y+1+i, plain, w[1])
	}
}
