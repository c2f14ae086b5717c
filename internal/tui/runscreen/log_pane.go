package runscreen

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
)

// moveLogs handles the keys that select a line, and reports whether the key is one.
func (m *model) moveLogs(msg tea.KeyMsg) bool {
	k, l := &m.keys, &m.logs
	switch {
	case key.Matches(msg, k.up):
		l.move(-1)
	case key.Matches(msg, k.down):
		l.move(1)
	case key.Matches(msg, k.pageUp):
		l.move(-max(m.page-1, 1))
	case key.Matches(msg, k.pageDown):
		l.move(max(m.page-1, 1))
	case key.Matches(msg, k.home):
		l.home()
	case key.Matches(msg, k.end):
		l.end()
	case key.Matches(msg, k.left):
		l.left = max(l.left-20, 0)
	case key.Matches(msg, k.right):
		l.left = min(l.left+20, maxLine)
	case key.Matches(msg, k.match):
		m.find(true)
	case key.Matches(msg, k.matchBack):
		m.find(false)
	default:
		return false
	}
	return true
}

func (m *model) find(below bool) {
	switch {
	case m.logs.find == "":
		m.note = "nothing to search for: press /"
	case !m.logs.next(below):
		m.note = "no more matches"
	}
}

// pressLogs handles the other keys of the logs.
func (m *model) pressLogs(msg tea.KeyMsg) tea.Cmd {
	k, l := &m.keys, &m.logs
	switch {
	case key.Matches(msg, k.search):
		m.prompt = &tui.Prompt{Label: "search the logs", Text: l.find, Done: m.search}
	case key.Matches(msg, k.service):
		m.prompt = &tui.Prompt{Label: "only service", Text: l.service, Choices: m.names(), Done: m.onlyService}
	case key.Matches(msg, k.id):
		text := l.id
		if e := l.current(); e != nil && text == "" {
			text = idOf(e.plain())
		}
		m.prompt = &tui.Prompt{Label: "only lines with the ID", Text: text, Done: func(text string) tea.Cmd {
			m.setID(strings.TrimSpace(text))
			return nil
		}}
	case key.Matches(msg, k.wrap):
		l.wraps, l.left = !l.wraps, 0
	case key.Matches(msg, k.clear):
		m.clear()
	case key.Matches(msg, k.copy):
		return m.copyLine()
	case key.Matches(msg, k.save):
		m.prompt = &tui.Prompt{Label: "save the lines to", Text: "run-" + m.options.Now().Format("150405") + ".log", Done: m.save}
	case key.Matches(msg, k.open):
		if e := l.current(); e != nil {
			l.move(0) // it stays selected when others come
			m.popup = &tui.Popup{Title: strings.TrimSpace(e.service + "  " + e.at.Format("15:04:05.000")), Lines: []string{tui.Colored(e.text).String()}}
		}
	}
	return nil
}

// clear shows all lines, and removes the mark of matches.
func (m *model) clear() {
	if m.logs.id != "" {
		m.messages.SetTrace("")
	}
	m.logs.filter("", "")
	m.logs.find = ""
}

func (m *model) search(text string) tea.Cmd {
	if !m.logs.search(text) && text != "" {
		m.note, m.bad = "no line contains "+visible.Line(text), true
	}
	return nil
}

// names returns the names of the services.
func (m *model) names() (all []string) {
	for _, s := range m.services.all {
		all = append(all, s.Name)
	}
	return all
}

// onlyService shows only the lines of the service whose name a text is or begins.
func (m *model) onlyService(text string) tea.Cmd {
	var begun []string
	for _, name := range m.names() {
		if name == text {
			begun = []string{name}
			break
		}
		if strings.HasPrefix(name, text) {
			begun = append(begun, name)
		}
	}
	switch {
	case text == "":
		m.logs.filter("", m.logs.id)
	case len(begun) == 1:
		m.logs.filter(begun[0], m.logs.id)
	default:
		m.note, m.bad = "no service "+visible.Line(text)+"; there are "+strings.Join(m.names(), ", "), true
	}
	return nil
}

// copyLine copies the selected line through the terminal (OSC 52).
func (m *model) copyLine() tea.Cmd {
	e := m.logs.current()
	if e == nil {
		return nil
	}
	out, text := m.options.Out, e.plain()
	return func() tea.Msg {
		// The renderer writes a frame by one call, so this is not in the middle of one.
		fmt.Fprintf(out, "\x1b]52;c;%s\x07", base64.StdEncoding.EncodeToString([]byte(text)))
		return noted{"copied, if the terminal permits it; w saves lines to a file"}
	}
}

// save writes the lines that are shown to a file.
func (m *model) save(name string) tea.Cmd {
	lines := make([]string, len(m.logs.shown))
	for i, number := range m.logs.shown {
		e := m.logs.entry(number)
		lines[i] = e.at.Format("2006-01-02 15:04:05.000 ") + e.service + " | " + e.plain()
	}
	return m.background(func() tea.Msg {
		if err := m.options.Save(name, lines); err != nil {
			return failed{err}
		}
		return noted{fmt.Sprintf("saved %d lines to %s", len(lines), visible.Line(name))}
	})
}

// drawLogs draws the lines of the logs that are visible.
func (m *model) drawLogs(a tui.Area) {
	l := &m.logs
	border, title := m.head(paneLogs, "logs")
	inner := tui.Frame(a, border, title, m.logStatus())
	width, height := inner.Size()
	m.page = height
	names := 0
	if l.service == "" {
		for _, s := range m.services.all {
			names = max(names, min(tui.Width(s.Name), 20))
		}
		names = max(names, len(own))
	}
	room := width - 2
	if names > 0 {
		room -= names + 3
	}
	rows := l.window(room, height)
	if len(rows) == 0 {
		text := "no lines yet"
		if len(l.entries) > 0 {
			text = "no line has everything that the filter requires: x removes it"
		}
		inner.Write(2, height/2, tui.Dim, text)
	}
	for y, r := range rows {
		m.drawLogRow(inner.Row(y), r, names)
	}
}

// own is the name of lines about all services.
const own = "msctl"

func (m *model) drawLogRow(a tui.Area, r row, names int) {
	width, _ := a.Size()
	x := 2
	if r.selected && r.begins && !m.over {
		a.Set(0, 0, '›', tui.Accent)
	}
	if names > 0 {
		if r.begins {
			name, look := own, tui.Bold
			if r.entry.service != "" {
				name, look = visible.Line(r.entry.service), tui.ServiceLook(m.services.number[r.entry.service])
			}
			a.Sub(x, 0, names, 1).Write(0, 0, look, name)
		}
		a.Write(x+names, 0, tui.Dim, " │ ")
		x += names + 3
	}
	text := a.Sub(x, 0, width-x, 1)
	text.Spans(0, 0, r.line...)
	text.Mark(r.line.String(), m.logs.find)
	text.Mark(r.line.String(), m.logs.id)
}

// logStatus describes what is shown of the logs.
func (m *model) logStatus() []tui.Span {
	l := &m.logs
	counts := fmt.Sprintf("%d lines", len(l.entries))
	if len(l.shown) < len(l.entries) {
		counts = fmt.Sprintf("%d of %s", len(l.shown), counts)
	}
	status := []tui.Span{{Look: tui.Dim, Text: counts}}
	var only []string
	if l.service != "" {
		only = append(only, visible.Line(l.service))
	}
	if l.id != "" {
		only = append(only, "ID "+visible.Line(l.id))
	}
	if len(only) > 0 {
		status = append(status, tui.Span{Look: tui.Warn, Text: "  only "}, tui.Span{Text: strings.Join(only, ", ")})
	}
	if l.find != "" {
		status = append(status, tui.Span{Look: tui.Warn, Text: "  /" + visible.Line(l.find)})
	}
	if l.stays {
		status = append(status, tui.Span{Look: tui.Dim, Text: "  not following"})
	}
	return status
}
