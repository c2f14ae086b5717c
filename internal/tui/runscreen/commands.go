package runscreen

import (
	"context"
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
