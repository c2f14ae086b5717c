package runscreen

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
)

// keys are the keys of the screen. Capital letters work in every pane.
type keys struct {
	next, previous, one, two, three, zoom                 key.Binding
	restart, stop, rebuild, docs, send, follow            key.Binding
	help, quit, interrupt, redraw                         key.Binding
	up, down, pageUp, pageDown, home, end, left, right    key.Binding
	search, match, matchBack, service, id, wrap           key.Binding
	copy, save, clear, open, openLogs                     key.Binding
	restartHere, stopHere, rebuildHere, docsHere, sendAny key.Binding // in the list of services
}

func newKeys() keys {
	bind := func(help, text string, names ...string) key.Binding {
		return key.NewBinding(key.WithKeys(names...), key.WithHelp(help, text))
	}
	return keys{
		next: bind("tab", "next pane", "tab"), previous: bind("⇧tab", "previous pane", "shift+tab"),
		one: bind("1 2 3", "services, logs, messages", "1"), two: bind("2", "logs", "2"), three: bind("3", "messages", "3"),
		zoom:    bind("z", "this pane only, or all", "z"),
		restart: bind("R", "restart the selected service", "R"), stop: bind("S", "stop or start it", "S"),
		rebuild: bind("B", "build it again", "B"), docs: bind("O", "open the API docs", "O"), send: bind("M", "send a message", "M"),
		follow: bind("I", "follow the selected ID", "I"),
		help:   bind("?", "show or hide this help", "?"), quit: bind("q", "stop all services and quit", "q"),
		interrupt: bind("ctrl+c", "the same; again: kill them", "ctrl+c"), redraw: bind("ctrl+l", "redraw the screen", "ctrl+l"),
		up: bind("↑", "previous line", "up", "k"), down: bind("↓", "next line", "down", "j"),
		pageUp: bind("PgUp", "page up", "pgup", "ctrl+b"), pageDown: bind("PgDn", "page down", "pgdown", "ctrl+f"),
		home: bind("Home", "oldest line", "home", "g"), end: bind("End", "newest, and follow", "end", "G"),
		left: bind("←", "left in long lines", "left"), right: bind("→", "right in long lines", "right"),
		search: bind("/", "search", "/"), match: bind("n", "match below", "n"), matchBack: bind("N", "match above", "N"),
		service: bind("s", "only one service", "s"), id: bind("i", "only lines with an ID", "i"), wrap: bind("l", "wrap long lines", "l"),
		copy: bind("c", "copy the line", "c"), save: bind("w", "save the lines", "w"), clear: bind("x", "show all lines", "x", "esc"),
		openLogs:    bind("Enter", "logs of this service", "enter"),
		open:        bind("Enter", "show the entire line", "enter"),
		restartHere: bind("r", "", "r"), stopHere: bind("s", "", "s"), rebuildHere: bind("b", "", "b"), docsHere: bind("o", "", "o"), sendAny: bind("m", "", "m"),
	}
}

// pressAll handles keys that were read together. Pasted text is ignored, except in a prompt.
func (m *model) pressAll(msg tea.KeyMsg) tea.Cmd {
	if msg.Type != tea.KeyRunes || len(msg.Runes) < 2 {
		return m.press(msg)
	}
	var all []tea.Cmd
	for _, r := range msg.Runes {
		if !msg.Paste || m.prompt != nil || m.messages.Asks() {
			all = append(all, m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
		}
	}
	return tea.Sequence(all...)
}

// press handles a key.
func (m *model) press(msg tea.KeyMsg) tea.Cmd {
	k := &m.keys
	switch {
	case key.Matches(msg, k.interrupt):
		m.options.Run.Stop()
		return nil
	case m.prompt != nil:
		return m.edit(msg)
	case m.messages.Asks():
		return m.messages.Press(msg)
	}
	m.note, m.bad = "", false
	switch {
	case m.popup != nil:
		if m.popup.Press(msg) {
			m.popup = nil
		}
	case key.Matches(msg, k.quit):
		m.options.Run.Stop()
	case key.Matches(msg, k.redraw):
		return tea.ClearScreen
	case key.Matches(msg, k.help):
		m.help = !m.help
	case m.help:
		m.help = false
	case m.selectPane(msg):
	default:
		if cmd, ok := m.command(msg); ok {
			return cmd
		}
		return m.pressPane(msg)
	}
	return nil
}

// edit handles a key in the prompt.
func (m *model) edit(msg tea.KeyMsg) tea.Cmd {
	p := m.prompt
	over, canceled := p.Press(msg)
	if over {
		m.prompt = nil
	}
	if !over || canceled {
		return nil
	}
	m.note, m.bad = "", false
	return p.Done(p.Text)
}

// selectPane handles the keys that select a pane, and reports whether the key is one.
func (m *model) selectPane(msg tea.KeyMsg) bool {
	k := &m.keys
	switch {
	case key.Matches(msg, k.next):
		m.focus = (m.focus + 1) % panes
	case key.Matches(msg, k.previous):
		m.focus = (m.focus + panes - 1) % panes
	case key.Matches(msg, k.one):
		m.focus = paneServices
	case key.Matches(msg, k.two):
		m.focus = paneLogs
	case key.Matches(msg, k.three):
		m.focus = paneMessages
	case key.Matches(msg, k.zoom):
		m.zoomed = !m.zoomed
	default:
		return false
	}
	if m.focus != paneServices {
		m.shown = m.focus
	}
	return true
}

// command handles the keys that work in every pane, and reports whether the key is one.
func (m *model) command(msg tea.KeyMsg) (cmd tea.Cmd, ok bool) {
	k := &m.keys
	here := func(all, only key.Binding) bool {
		return key.Matches(msg, all) || m.focus == paneServices && key.Matches(msg, only)
	}
	switch {
	case here(k.restart, k.restartHere):
		return m.do(proc.Restart), true
	case here(k.stop, k.stopHere):
		if s := m.services.current(); s != nil && s.halted() {
			return m.do(proc.Start), true
		}
		return m.do(proc.Halt), true
	case here(k.rebuild, k.rebuildHere):
		return m.do(proc.Rebuild), true
	case here(k.docs, k.docsHere):
		return m.openDocs(), true
	case here(k.send, k.sendAny):
		m.prompt = &tui.Prompt{Label: "msctl send", Text: m.sent, Done: m.send}
		return nil, true
	case key.Matches(msg, k.follow):
		m.followID()
		return nil, true
	}
	return nil, false
}

// do does something with the selected service.
func (m *model) do(a proc.Action) tea.Cmd {
	s := m.services.current()
	if s == nil {
		return nil
	}
	m.note = fmt.Sprintf("%s %s", a, s.Name)
	run, name := m.options.Run, s.Name
	return m.background(func() tea.Msg {
		if err := run.Do(m.ctx, name, a); err != nil && !errors.Is(err, context.Canceled) {
			return failed{err}
		}
		return noted{""}
	})
}

var errNoDocs = errors.New("no gateway of this run serves API docs")

// openDocs opens the documentation of the selected service or, if it has none, of the first one
// that has some.
func (m *model) openDocs() tea.Cmd {
	url := ""
	if s := m.services.current(); s != nil {
		url = m.options.Docs(s.Service)
	}
	for _, s := range m.services.all {
		if url == "" {
			url = m.options.Docs(s.Service)
		}
	}
	if url == "" {
		return func() tea.Msg { return failed{errNoDocs} }
	}
	m.note = "opening " + url
	return m.background(func() tea.Msg {
		if err := m.options.Open(m.ctx, url); err != nil {
			return failed{fmt.Errorf("cannot open %s: %w", url, err)}
		}
		return noted{"opened " + url}
	})
}

// send sends a message.
func (m *model) send(arguments string) tea.Cmd {
	if strings.TrimSpace(arguments) == "" {
		return nil
	}
	m.sent, m.note = arguments, "sending"
	return m.background(func() tea.Msg {
		start := m.options.Now()
		reply, err := m.options.Send(m.ctx, arguments)
		if err != nil {
			return failed{err}
		}
		return tui.Popup{Title: "reply after " + term.Duration(m.options.Now().Sub(start)), Lines: strings.Split(strings.TrimRight(visible.Text(reply), "\n"), "\n")}
	})
}

// followID shows only the lines and the messages with the ID of what is selected, or all of them
// again.
func (m *model) followID() {
	id := ""
	if m.focus == paneMessages {
		id = m.messages.Correlation()
	} else if e := m.logs.current(); e != nil {
		id = idOf(e.plain())
	}
	switch {
	case m.logs.id != "":
		m.setID("")
	case id == "":
		m.note, m.bad = "what is selected has no ID", true
	default:
		m.setID(id)
	}
}

func (m *model) setID(id string) {
	m.logs.filter("", id)
	m.messages.SetTrace(id)
}

// pressPane handles the keys of the pane that has the focus.
func (m *model) pressPane(msg tea.KeyMsg) tea.Cmd {
	switch m.focus {
	case paneServices:
		m.pressServices(msg)
	case paneLogs:
		if !m.moveLogs(msg) {
			return m.pressLogs(msg)
		}
	case paneMessages:
		return m.messages.Press(msg)
	}
	return nil
}

func (m *model) pressServices(msg tea.KeyMsg) {
	k := &m.keys
	switch {
	case key.Matches(msg, k.up):
		m.services.move(-1)
	case key.Matches(msg, k.down):
		m.services.move(1)
	case key.Matches(msg, k.home):
		m.services.move(-len(m.services.all))
	case key.Matches(msg, k.end):
		m.services.move(len(m.services.all))
	case key.Matches(msg, k.open):
		if s := m.services.current(); s != nil {
			m.logs.filter(s.Name, "")
			m.focus, m.shown = paneLogs, paneLogs
		}
	case key.Matches(msg, k.clear):
		m.clear()
	}
}

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
