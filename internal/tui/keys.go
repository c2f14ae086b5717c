package tui

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// keys are the keys of the screen.
type keys struct {
	more, less, longer, shorter, moreRetries, fewerRetries key.Binding
	preset, presetBack, fire, next, help, quit, interrupt  key.Binding
	redraw, closes                                         key.Binding // not listed in the help
}

func newKeys() keys {
	bind := func(help, text string, names ...string) key.Binding {
		return key.NewBinding(key.WithKeys(names...), key.WithHelp(help, text))
	}
	return keys{
		more:         bind("↑", "increase the rate", "up", "k"),
		less:         bind("↓", "decrease the rate", "down", "j"),
		longer:       bind("→", "increase the attempt timeout", "right", "l"),
		shorter:      bind("←", "decrease the attempt timeout", "left", "h"),
		moreRetries:  bind("+", "one more retry", "+", "="),
		fewerRetries: bind("-", "one retry fewer", "-", "_"),
		preset:       bind("p", "next policy", "p"),
		presetBack:   bind("P", "previous policy", "P"),
		fire:         bind("f", "inject the fault", "f"),
		next:         bind("n", "skip to the next run", "n"),
		help:         bind("?", "show or hide this help", "?"),
		quit:         bind("q", "stop and report", "q"),
		interrupt:    bind("ctrl+c", "stop, exit code 130", "ctrl+c"),
		redraw:       bind("ctrl+l", "redraw the screen", "ctrl+l"),
		closes:       bind("esc", "close this help", "esc"),
	}
}

// suit adapts the help of the keys to an open or a closed load.
func (k *keys) suit(s *load.Snapshot) {
	more, less := "increase the rate", "decrease the rate"
	if s.Users > 0 {
		more, less = "add users", "remove users"
	}
	k.more.SetHelp("↑", more)
	k.less.SetHelp("↓", less)
}

// pressAll handles keys that were read together. Pasted text is ignored.
func (m *model) pressAll(msg tea.KeyMsg) tea.Cmd {
	if msg.Type != tea.KeyRunes || len(msg.Runes) < 2 {
		return m.press(msg)
	}
	var all []tea.Cmd
	for _, r := range msg.Runes {
		if !msg.Paste {
			all = append(all, m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
		}
	}
	return tea.Sequence(all...)
}

// press handles a key.
func (m *model) press(msg tea.KeyMsg) tea.Cmd {
	m.note = ""
	k := &m.keys
	switch {
	case key.Matches(msg, k.interrupt):
		m.interrupted = true
		m.stop()
	case key.Matches(msg, k.quit):
		m.stop()
	case key.Matches(msg, k.redraw):
		return tea.ClearScreen
	case key.Matches(msg, k.help):
		m.help = !m.help
	case m.help:
		m.help = false
	case key.Matches(msg, k.closes): // nothing is open
		m.note = "q stops the run and prints the report"
	case m.stage.Run == nil || m.kept:
	case key.Matches(msg, k.next) && m.lab != nil:
		m.skipped = true
		m.stage.Run.Stop()
	default:
		return m.adjust(msg)
	}
	return nil
}

// stop stops the run, and the work of a lab.
func (m *model) stop() {
	m.stopped = true
	if m.stage.Run != nil {
		m.stage.Run.Stop()
	}
	if m.lab != nil {
		m.lab.quit(ErrQuit)
	}
}

// adjust changes the current run.
func (m *model) adjust(msg tea.KeyMsg) tea.Cmd {
	k := &m.keys
	switch {
	case key.Matches(msg, k.more):
		return m.changeLoad(true)
	case key.Matches(msg, k.less):
		return m.changeLoad(false)
	case key.Matches(msg, k.longer):
		return m.changeTimeout(true)
	case key.Matches(msg, k.shorter):
		return m.changeTimeout(false)
	case key.Matches(msg, k.moreRetries):
		return m.changeRetries(1)
	case key.Matches(msg, k.fewerRetries) && m.snap.Policy.Retries > 0:
		return m.changeRetries(-1)
	case key.Matches(msg, k.preset):
		return m.changePreset(1)
	case key.Matches(msg, k.presetBack):
		return m.changePreset(-1)
	case key.Matches(msg, k.fire):
		return m.fireFault()
	}
	return nil
}

// changeLoad changes the rate of an open load, or the users of a closed one.
func (m *model) changeLoad(more bool) tea.Cmd {
	run := m.stage.Run
	if m.snap.Users == 0 {
		rate := step(m.snap.Rate, more)
		return try(changed{}, func() error { return run.SetRate(rate) })
	}
	users := int(step(float64(m.snap.Users), more) + 0.5)
	if users == m.snap.Users {
		users++
	}
	if !more && users >= m.snap.Users {
		users = max(m.snap.Users-1, 1)
	}
	return try(changed{}, func() error { return run.SetUsers(users) })
}

func (m *model) changeTimeout(longer bool) tea.Cmd {
	run, now := m.stage.Run, m.snap.Policy.Timeout
	if now == 0 {
		now = max(m.snap.Policy.Deadline, time.Millisecond)
	}
	timeout := step(now, longer)
	return try(changed{altered: true}, func() error { return run.SetTimeout(timeout) })
}

func (m *model) changeRetries(by int) tea.Cmd {
	run, retries := m.stage.Run, m.snap.Policy.Retries+by
	return try(changed{altered: true}, func() error { return run.SetRetries(retries) })
}

// changePreset cycles through the screen's policies.
func (m *model) changePreset(by int) tea.Cmd {
	run, can := m.stage.Run.(PresetRun)
	names := m.screen.Presets
	if !can || len(names) == 0 {
		m.note = "the policy of this run cannot be replaced"
		return nil
	}
	i := slices.Index(names, m.preset)
	if i < 0 && by < 0 {
		i = 0
	}
	name := names[(i+by+len(names))%len(names)]
	return try(changed{preset: name}, func() error { return run.SetPreset(name) })
}

// errNothingToFire is the error of the key f in a run without a fault.
var errNothingToFire = errors.New("this run has no fault: start it with --fault")

func (m *model) fireFault() tea.Cmd {
	run, can := m.stage.Run.(FaultRun)
	if !can {
		m.note = errNothingToFire.Error()
		return nil
	}
	return try(changed{}, func() error {
		if run.CanFire() == "" {
			return errNothingToFire
		}
		if err := run.Fire(); err != nil {
			return fmt.Errorf("inject the fault: %w", err)
		}
		return nil
	})
}

// try makes a change outside the drawing goroutine, because the run may take a moment to
// apply it, and returns the result as a message.
func try(made changed, change func() error) tea.Cmd {
	return func() tea.Msg {
		if err := change(); err != nil {
			return refused{err}
		}
		return made
	}
}

// number is the type of a value that keys change.
type number interface{ ~int64 | ~float64 }

// step returns the next higher or lower round number, about a quarter apart: 100, 120,
// 150, 200, 250, 300, 400, 500, 600, 800, 1000.
func step[T number](v T, up bool) T {
	round := []float64{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10}
	power := 1.0
	for float64(v) >= power*10*0.9999 {
		power *= 10
	}
	for float64(v) < power*0.9999 && power > 1e-3 {
		power /= 10
	}
	if up {
		for _, r := range round {
			if r*power > float64(v)*1.0001 {
				return T(r * power)
			}
		}
		return T(12 * power)
	}
	for i := len(round) - 1; i >= 0; i-- {
		if round[i]*power < float64(v)*0.9999 {
			return T(round[i] * power)
		}
	}
	return T(0.8 * power)
}
