package runscreen

import (
	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
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
