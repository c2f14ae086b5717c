package tui

import (
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/tap"
)

// tapKeys are the keys of the screen.
type tapKeys struct {
	up, down, pageUp, pageDown, home, end, open, back key.Binding
	search, next, previous, errors, service, pattern  key.Binding
	slower, trace, clear, pause, copy, resend, save   key.Binding
	help, quit, interrupt, redraw                     key.Binding
}

func newTapKeys() tapKeys {
	bind := func(help, text string, names ...string) key.Binding {
		return key.NewBinding(key.WithKeys(names...), key.WithHelp(help, text))
	}
	return tapKeys{
		up: bind("↑", "previous message", "up", "k"), down: bind("↓", "next message", "down", "j"),
		pageUp: bind("PgUp", "page up", "pgup", "ctrl+b"), pageDown: bind("PgDn", "page down", "pgdown", "ctrl+f"),
		home: bind("Home", "oldest message", "home", "g"), end: bind("End", "newest, and follow", "end", "G"),
		open: bind("Enter", "all details; Esc closes", "enter"), back: bind("Esc", "close", "esc"),
		search: bind("/", "search everywhere", "/"), next: bind("n", "next match", "n"), previous: bind("N", "previous match", "N"),
		errors: bind("e", "errors only, or all", "e"), service: bind("s", "filter by service", "s"), pattern: bind("p", "filter by pattern", "p"),
		slower: bind("t", "slower than", "t"), trace: bind("i", "filter by ID", "i"), clear: bind("x", "remove all filters", "x"),
		pause: bind("space", "pause or continue", " "), copy: bind("c", "copy as msctl send", "c"), resend: bind("r", "send it again", "r"),
		save: bind("w", "save the tree", "w"), help: bind("?", "show or hide this help", "?"), quit: bind("q", "quit", "q"),
		interrupt: bind("ctrl+c", "quit", "ctrl+c"), redraw: bind("ctrl+l", "redraw the screen", "ctrl+l"),
	}
}

// listed returns the keys that the help lists, apart from the one that quits.
func (k *tapKeys) listed() []key.Binding {
	return []key.Binding{
		k.up, k.down, k.pageUp, k.pageDown, k.home, k.end, k.open, k.pause, k.search, k.next, k.errors, k.service,
		k.pattern, k.slower, k.trace, k.clear, k.copy, k.resend, k.save,
	}
}

// pressAll handles keys that were read together. Pasted text is ignored, except in a prompt.
func (m *tapModel) pressAll(msg tea.KeyMsg) tea.Cmd {
	if msg.Type != tea.KeyRunes || len(msg.Runes) < 2 {
		return m.press(msg)
	}
	var all []tea.Cmd
	for _, r := range msg.Runes {
		if !msg.Paste || m.prompt != nil {
			all = append(all, m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
		}
	}
	return tea.Sequence(all...)
}

// press handles a key.
func (m *tapModel) press(msg tea.KeyMsg) tea.Cmd {
	k := &m.keys
	if key.Matches(msg, k.interrupt) {
		return tea.Quit
	}
	if m.prompt != nil {
		return m.edit(msg)
	}
	m.note, m.bad = "", false
	switch {
	case key.Matches(msg, k.quit):
		return tea.Quit
	case key.Matches(msg, k.redraw):
		return tea.ClearScreen
	case m.popup != nil:
		if m.popup.Press(msg) {
			m.popup = nil
		}
	case key.Matches(msg, k.help):
		m.help = !m.help
	case m.help:
		m.help = false
	case m.detail.open && m.detail.press(msg, k):
	case key.Matches(msg, k.copy):
		return m.copySelected()
	case key.Matches(msg, k.resend):
		return m.resendSelected()
	case key.Matches(msg, k.pause):
		paused, _ := m.list.Paused()
		m.list.Pause(!paused)
	default:
		if !m.move(msg) {
			m.ask(msg)
		}
	}
	return nil
}

// move handles the keys that select a row.
func (m *tapModel) move(msg tea.KeyMsg) bool {
	k := &m.keys
	switch {
	case key.Matches(msg, k.up):
		m.list.Move(-1)
	case key.Matches(msg, k.down):
		m.list.Move(1)
	case key.Matches(msg, k.pageUp):
		m.list.Move(-max(m.page-1, 1))
	case key.Matches(msg, k.pageDown):
		m.list.Move(max(m.page-1, 1))
	case key.Matches(msg, k.home):
		m.list.Home()
	case key.Matches(msg, k.end):
		m.list.End()
	case key.Matches(msg, k.open):
		if _, row := m.list.Selected(); row != nil {
			m.detail = tapDetail{open: true}
			m.list.Move(0) // the message stays selected when others come
		}
	case key.Matches(msg, k.next):
		m.find(true)
	case key.Matches(msg, k.previous):
		m.find(false)
	default:
		return false
	}
	return true
}

func (m *tapModel) find(forward bool) {
	switch {
	case m.list.Filter().Text == "":
		m.note = "nothing to search for: press /"
	case !m.list.Find(forward):
		m.note = "no more matches"
	}
}

// ask handles the keys that change the filter, or ask for something.
func (m *tapModel) ask(msg tea.KeyMsg) {
	k, f := &m.keys, m.list.Filter()
	switch {
	case key.Matches(msg, k.errors):
		f.Errors = !f.Errors
		m.list.SetFilter(f)
	case key.Matches(msg, k.clear), key.Matches(msg, k.back):
		m.list.SetFilter(tap.Filter{})
	case key.Matches(msg, k.search) && m.detail.open:
		m.prompt = &Prompt{Label: "find", Text: m.detail.text, Done: func(text string) tea.Cmd {
			m.detail.text, m.detail.jump = text, 1
			return nil
		}}
	case key.Matches(msg, k.search):
		m.askFilter("search", f.Text, func(f *tap.Filter, text string) { f.Text = text })
	case key.Matches(msg, k.service):
		m.askFilter("service", f.Service, func(f *tap.Filter, text string) { f.Service = m.serviceNamed(text) })
		m.prompt.Choices = m.list.Services()
	case key.Matches(msg, k.pattern):
		m.askFilter("pattern", f.Pattern, func(f *tap.Filter, text string) { f.Pattern = text })
	case key.Matches(msg, k.trace):
		m.askFilter("trace or correlation ID", f.Trace, func(f *tap.Filter, text string) { f.Trace = text })
	case key.Matches(msg, k.slower):
		text := ""
		if f.Slower > 0 {
			text = f.Slower.String()
		}
		m.askFilter("slower than", text, m.setSlower)
	case key.Matches(msg, k.save):
		m.prompt = &Prompt{Label: "save the tree to", Text: m.fileName(), Done: m.save}
	}
}

// askFilter asks for a part of the filter.
func (m *tapModel) askFilter(label, text string, set func(f *tap.Filter, text string)) {
	m.prompt = &Prompt{Label: label, Text: text, Done: func(text string) tea.Cmd {
		f := m.list.Filter()
		set(&f, strings.TrimSpace(text))
		m.list.SetFilter(f)
		return nil
	}}
}

// serviceNamed returns the service whose name a text is or begins.
func (m *tapModel) serviceNamed(text string) string {
	if text == "" {
		return ""
	}
	all := m.list.Services()
	if slices.Contains(all, text) {
		return text
	}
	begun := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasPrefix(name, text) })
	if len(begun) == 1 {
		return begun[0]
	}
	m.note, m.bad = "no messages of a service "+text+"; there are "+strings.Join(all, ", "), true
	return text
}

func (m *tapModel) setSlower(f *tap.Filter, text string) {
	if text == "" {
		f.Slower = 0
		return
	}
	if text[len(text)-1] >= '0' && text[len(text)-1] <= '9' {
		text += "ms"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		m.note, m.bad = "not a duration: write 100ms or 2s", true
		return
	}
	f.Slower = d
}

// fileName returns a name for the file of the selected tree.
func (m *tapModel) fileName() string {
	tree, _ := m.list.Selected()
	if tree == nil {
		return "tree.jsonl"
	}
	return "tree-" + tree.Root.Begin().Format("150405.000") + ".jsonl"
}

// edit handles a key in the prompt.
func (m *tapModel) edit(msg tea.KeyMsg) tea.Cmd {
	p := m.prompt
	over, canceled := p.Press(msg)
	if !over {
		return nil
	}
	m.prompt = nil
	if canceled {
		return nil
	}
	m.note, m.bad = "", false
	return p.Done(p.Text)
}
