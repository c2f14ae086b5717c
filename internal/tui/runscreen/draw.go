package runscreen

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"

	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
)

// The smallest terminal that the screen fits on.
const (
	leastWidth  = 60
	leastHeight = 16
)

// draw draws the title, the panes, and the footer.
func (m *model) draw(a tui.Area) {
	width, height := a.Size()
	if width < leastWidth || height < leastHeight {
		a.Write(0, 0, tui.Plain, "msctl run")
		a.Write(0, 1, tui.Plain, fmt.Sprintf("the terminal is too small (%d×%d): msctl needs %d×%d", width, height, leastWidth, leastHeight))
		a.Write(0, 2, tui.Plain, "q: stop all services and quit")
		return
	}
	m.drawTitle(a)
	m.drawFooter(a.Row(height - 1))
	body := a.Sub(0, 1, width, height-2)
	if m.help {
		m.drawHelp(body)
	} else {
		m.drawPanes(body)
	}
	if m.popup != nil {
		m.popup.Draw(body)
	}
}

// drawTitle draws what is running, and how it is.
func (m *model) drawTitle(a tui.Area) {
	ready, of := m.services.ready()
	look := tui.Good
	if ready < of {
		look = tui.Warn
	}
	state := tui.Span{Look: look, Text: fmt.Sprintf("● %d of %d ready", ready, of)}
	if m.stopping {
		state = tui.Span{Look: tui.Warn, Text: "◌ stopping; q again kills"}
	}
	left := []tui.Span{{Look: tui.Bold, Text: " msctl run"}, {Text: "  " + visible.Line(m.options.Title)}}
	for _, s := range m.services.all {
		if url := m.options.Docs(s.Service); url != "" {
			left = append(left, tui.Span{Look: tui.Dim, Text: "  docs " + visible.Line(url)})
			break
		}
	}
	a.Ends(0, left, []tui.Span{state, {Text: " "}})
}

// drawPanes draws the panes that there is room for. The one with the focus is the largest of the
// logs and the messages.
func (m *model) drawPanes(a tui.Area) {
	width, height := a.Size()
	if m.zoomed {
		m.drawPane(a, m.focus)
		return
	}
	top := min(len(m.services.all)+3, max(height*2/5, 5))
	m.drawServices(a.Sub(0, 0, width, top))
	rest := a.Sub(0, top, width, height-top)
	switch _, below := rest.Size(); {
	case width >= 200:
		m.drawLogs(rest.Sub(0, 0, width/2, below))
		m.drawMessages(rest.Sub(width/2, 0, width-width/2, below))
	case below >= 24:
		upper := below * 3 / 5
		if m.shown == paneMessages {
			upper = below * 2 / 5
		}
		m.drawLogs(rest.Sub(0, 0, width, upper))
		m.drawMessages(rest.Sub(0, upper, width, below-upper))
	default:
		m.drawPane(rest, m.shown)
	}
}

func (m *model) drawPane(a tui.Area, p pane) {
	switch p {
	case paneServices:
		m.drawServices(a)
	case paneMessages:
		m.drawMessages(a)
	default:
		m.drawLogs(a)
	}
}

// head returns the border and the title of a pane.
func (m *model) head(p pane, name string) (border tui.Look, title []tui.Span) {
	number := tui.Span{Look: tui.Dim, Text: fmt.Sprintf("%d ", p+1)}
	if m.focus == p && !m.over {
		return tui.Accent, []tui.Span{number, {Look: tui.Bold, Text: name}}
	}
	return tui.Dim, []tui.Span{number, {Text: name}}
}

// columns are the widths of the columns of the services. What does not fit is 0.
type columns struct{ name, state, since, cpu, memory, restarts, build, where int }

func columnsOf(services []*service, width int) columns {
	c := columns{name: 8, state: 10, cpu: 7, memory: 7, restarts: 8, build: 18}
	for _, s := range services {
		c.name = max(c.name, min(tui.Width(s.Name), 20))
	}
	left := width - 2 - (c.name + c.state + c.cpu + c.memory + c.restarts + c.build + 5*2)
	if left >= 8+2 {
		c.since = 6
		left -= c.since + 2
	}
	if left >= 12+2 {
		c.where = left - 2
	}
	return c
}

// drawServices draws the services.
func (m *model) drawServices(a tui.Area) {
	border, title := m.head(paneServices, "services")
	inner := tui.Frame(a, border, title, nil)
	width, height := inner.Size()
	c := columnsOf(m.services.all, width)
	drawCells(inner.Row(0), c, tui.Dim, []tui.Span{
		{Text: "service"}, {Text: "state"}, {Text: "since"}, {Text: "cpu"}, {Text: "memory"}, {Text: "restarts"}, {Text: "last build"}, {Text: "address"},
	})
	rows := height - 1
	from := min(max(m.services.selected-rows+1, 0), max(len(m.services.all)-rows, 0))
	now := m.now()
	for y, s := range m.services.all[from:min(from+max(rows, 0), len(m.services.all))] {
		line := inner.Row(y + 1)
		name := tui.Span{Look: tui.ServiceLook(m.services.number[s.Name]), Text: visible.Line(s.Name)}
		drawCells(line, c, tui.Plain, []tui.Span{
			name, s.stateSpan(), {Text: s.since(now)}, {Text: s.cpu()}, {Text: s.memory()}, s.restarts(), s.buildSpan(), s.where(),
		})
		if from+y == m.services.selected && !m.over {
			line.Set(0, 0, '›', tui.Accent)
		}
	}
}

// now returns the time.
func (m *model) now() time.Time { return m.options.Now() }

// drawCells draws the columns of a line. A look of a cell takes precedence.
func drawCells(a tui.Area, c columns, l tui.Look, cells []tui.Span) {
	x := 2
	for i, w := range []int{c.name, c.state, c.since, c.cpu, c.memory, c.restarts, c.build, c.where} {
		if w == 0 {
			continue
		}
		cell := cells[i]
		if cell.Look == tui.Plain {
			cell.Look = l
		}
		at := 0
		if numeric := i >= 2 && i <= 5; numeric { // to the right
			at = max(w-tui.Width(cell.Text), 0)
		}
		a.Sub(x, 0, w, 1).Write(at, 0, cell.Look, cell.Text)
		x += w
		if x++; i != 0 {
			x++
		}
	}
}

func (m *model) drawMessages(a tui.Area) {
	border, title := m.head(paneMessages, "messages")
	m.messages.Draw(a, border, title)
}

// drawFooter draws the prompt, a note, or the keys.
func (m *model) drawFooter(a tui.Area) {
	width, _ := a.Size()
	switch {
	case m.prompt != nil:
		m.prompt.Draw(a)
	case m.messages.Asks():
		m.messages.DrawFooter(a)
	case m.note != "":
		look := tui.Warn
		if m.bad {
			look = tui.Bad
		}
		a.Write(1, 0, look, m.note)
	case m.focus == paneMessages && (m.messages.Opened() || m.messages.Noted()):
		m.messages.DrawFooter(a)
	default:
		a.Write(1, 0, tui.Dim, m.hints(width-2))
	}
}

// hints returns as many of the available keys as there is room for, and always those for the panes,
// help, and quit.
func (m *model) hints(room int) string {
	var parts []string
	switch m.focus {
	case paneServices:
		parts = []string{"↑↓ select", "r restart", "s stop", "b build", "Enter logs", "o docs", "m send"}
		if s := m.services.current(); s != nil && s.halted() {
			parts[2] = "s start"
		}
	case paneMessages:
		parts = []string{"↑↓ select", "Enter details", "/ search", "I follow the ID", "e errors", "c copy", "r resend", "M send"}
	default:
		parts = []string{"↑↓ select", "/ search", "I follow the ID", "s service", "l wrap", "c copy", "w save", "R restart", "M send"}
	}
	for {
		text := strings.Join(append(parts[:len(parts):len(parts)], "tab panes", "? help", "q quit"), "  ·  ")
		if tui.Width(text) <= room || len(parts) == 0 {
			return text
		}
		parts = parts[:len(parts)-1]
	}
}

// drawHelp draws the keys: those that work everywhere, and those of the pane.
func (m *model) drawHelp(a tui.Area) {
	k := &m.keys
	inner := tui.Box(a, "help")
	width, height := inner.Size()
	inner = inner.Sub(1, 0, width-2, height)
	y := tui.DrawKeys(inner, []key.Binding{
		k.next, k.previous, k.one, k.zoom, k.restart, k.stop, k.rebuild, k.docs, k.send, k.follow, k.help, k.redraw, k.quit, k.interrupt,
	})
	name, list := "services", []key.Binding{k.up, k.down, k.openLogs, k.clear}
	switch m.focus {
	case paneLogs:
		name, list = "logs", []key.Binding{
			k.up, k.down, k.pageUp, k.pageDown, k.home, k.end, k.left, k.right, k.search, k.match, k.matchBack, k.service, k.id, k.clear, k.wrap, k.open, k.copy, k.save,
		}
	case paneMessages:
		name, list = "messages", m.messages.Keys()
	}
	inner.Write(0, y+1, tui.Bold, name)
	tui.DrawKeys(inner.Sub(0, y+2, width-2, height-y-2), list)
}

// lastLines limits how many lines of the logs stay when the screen has ended.
const lastLines = 20

// last returns what stays on the terminal: the services, and the last lines of all logs.
func (m *model) last() string {
	m.logs.filter("", "")
	m.logs.end()
	m.logs.find, m.logs.wraps, m.logs.left = "", false, 0
	m.services.update(m.options.Run.Status())
	width := max(m.width, leastWidth)
	services := len(m.services.all) + 3
	room := max(m.height-services-4, 5) // for the border, and the prompt of the shell
	lines := min(len(m.logs.shown), lastLines, room) + 2
	m.grid.Reset(width, services+lines)
	m.drawServices(m.grid.All().Sub(0, 0, width, services))
	m.drawLogs(m.grid.All().Sub(0, services, width, lines))
	return m.grid.Text(m.palette)
}
