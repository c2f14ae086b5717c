package tui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/msctl/msctl/internal/load"
)

// BenchRun is the load test that is shown: a *load.Run.
type BenchRun interface {
	Snapshot(recent int) load.Snapshot
	Stop()
	SetRate(perSecond float64) error
	SetUsers(n int) error
	SetTimeout(d time.Duration) error
	SetRetries(n int) error
}

// BenchScreen says what to draw and where.
type BenchScreen struct {
	// Pattern and Target are the title.
	Pattern, Target string
	// In is where keys come from, Out what is drawn on.
	In  io.Reader
	Out io.Writer
	// Color tells whether to use colours.
	Color bool
}

// Bench draws the run until it has finished, and leaves the last screen behind.
// q or Ctrl-C stop the run; interrupted tells of the latter.
func Bench(run BenchRun, screen BenchScreen) (interrupted bool, err error) {
	m := newBenchModel(run, screen)
	program := tea.NewProgram(m, tea.WithInput(screen.In), tea.WithOutput(screen.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	final, err := program.Run()
	if err != nil {
		return false, fmt.Errorf("draw the run: %w", err)
	}
	m = final.(*benchModel)
	fmt.Fprintln(screen.Out, m.View())
	return m.interrupted, nil
}

// framesPerSecond is how often the screen changes at most.
const framesPerSecond = 10

// benchModel is the screen's state. bubbletea calls it from one goroutine.
type benchModel struct {
	run     BenchRun
	screen  BenchScreen
	style   styles
	keys    benchKeys
	snap    load.Snapshot
	width   int
	height  int
	help    bool
	stopped bool   // a key has stopped the run
	note    string // what the last key came to, when it came to nothing

	interrupted bool
}

func newBenchModel(run BenchRun, screen BenchScreen) *benchModel {
	m := &benchModel{run: run, screen: screen, style: newStyles(screen.Out, screen.Color), keys: newBenchKeys()}
	m.snap = run.Snapshot(0)
	m.keys.suit(m.snap)
	return m
}

// frame is a moment to draw.
type frame struct{}

func nextFrame() tea.Cmd {
	return tea.Tick(time.Second/framesPerSecond, func(time.Time) tea.Msg { return frame{} })
}

// failed is what a change that was refused says.
type failed struct{ err error }

// Init asks for the first frame.
func (m *benchModel) Init() tea.Cmd { return nextFrame() }

// Update takes a key, a new size or the moment of a frame.
func (m *benchModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m, m.press(msg)
	case failed:
		m.note = msg.err.Error()
	case frame:
		m.snap = m.run.Snapshot(0)
		if m.snap.Phase == load.Finished {
			return m, tea.Quit
		}
		return m, nextFrame()
	}
	return m, nil
}

// press does what a key is for.
func (m *benchModel) press(msg tea.KeyMsg) tea.Cmd {
	m.note = ""
	k := &m.keys
	switch {
	case key.Matches(msg, k.interrupt):
		m.interrupted, m.stopped = true, true
		m.run.Stop()
	case key.Matches(msg, k.quit):
		m.stopped = true
		m.run.Stop()
	case key.Matches(msg, k.help):
		m.help = !m.help
	case m.help:
		m.help = false
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
	case key.Matches(msg, k.fewerRetries):
		if m.snap.Policy.Retries > 0 {
			return m.changeRetries(-1)
		}
	}
	return nil
}

// changeLoad changes the rate of an open model, or the users of a closed one.
func (m *benchModel) changeLoad(more bool) tea.Cmd {
	if m.snap.Users == 0 {
		rate := step(m.snap.Rate, more)
		return m.try(func() error { return m.run.SetRate(rate) })
	}
	users := int(step(float64(m.snap.Users), more) + 0.5)
	if users == m.snap.Users {
		users++
	}
	if !more && users >= m.snap.Users {
		users = max(m.snap.Users-1, 1)
	}
	return m.try(func() error { return m.run.SetUsers(users) })
}

func (m *benchModel) changeTimeout(longer bool) tea.Cmd {
	timeout := step(m.snap.Policy.Timeout, longer)
	return m.try(func() error { return m.run.SetTimeout(timeout) })
}

func (m *benchModel) changeRetries(by int) tea.Cmd {
	retries := m.snap.Policy.Retries + by
	return m.try(func() error { return m.run.SetRetries(retries) })
}

// try makes a change away from the drawing goroutine, because the run may take
// it a moment later: change reads nothing of the model but run.
func (m *benchModel) try(change func() error) tea.Cmd {
	return func() tea.Msg {
		if err := change(); err != nil {
			return failed{err}
		}
		return frameNow{}
	}
}

// frameNow is a change that was made: the next frame shows it.
type frameNow struct{}

// number is what steps are made of.
type number interface{ ~int64 | ~float64 }

// step returns the next number up or down in a series of round ones, about a
// quarter apart: 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000.
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

// styles are the few colours, the sixteen that a terminal's theme defines, so
// that they can be read on light and dark.
type styles struct {
	ok, bad, warn, accent, dim, bold, plain lipgloss.Style
}

func newStyles(out io.Writer, color bool) styles {
	profile := termenv.Ascii
	if color {
		profile = termenv.ANSI
	}
	r := lipgloss.NewRenderer(out, termenv.WithProfile(profile))
	r.SetColorProfile(profile)
	r.SetHasDarkBackground(true) // or the terminal would be asked
	paint := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	return styles{
		ok: paint("2"), bad: paint("1"), warn: paint("3"), accent: paint("6"), dim: paint("8"),
		bold: r.NewStyle().Bold(true), plain: r.NewStyle(),
	}
}

// benchKeys are the keys of the screen.
type benchKeys struct {
	more, less, longer, shorter, moreRetries, fewerRetries, help, quit, interrupt key.Binding
}

func newBenchKeys() benchKeys {
	bind := func(help, text string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
	}
	return benchKeys{
		more:         bind("↑", "more requests a second", "up", "k"),
		less:         bind("↓", "fewer requests a second", "down", "j"),
		longer:       bind("→", "a longer attempt timeout", "right", "l"),
		shorter:      bind("←", "a shorter attempt timeout", "left", "h"),
		moreRetries:  bind("+", "one retry more", "+", "="),
		fewerRetries: bind("-", "one retry less", "-", "_"),
		help:         bind("?", "show or hide this help", "?"),
		quit:         bind("q", "stop and show the report", "q", "esc"),
		interrupt:    bind("ctrl+c", "the same, with exit code 130", "ctrl+c"),
	}
}

// suit words the keys for the model of the load.
func (k *benchKeys) suit(s load.Snapshot) {
	if s.Users > 0 {
		k.more.SetHelp("↑", "more users")
		k.less.SetHelp("↓", "fewer users")
	}
}

func (k *benchKeys) all() []key.Binding {
	return []key.Binding{k.more, k.less, k.longer, k.shorter, k.moreRetries, k.fewerRetries, k.help, k.quit, k.interrupt}
}

// footer is the line of keys at the bottom.
func (m *benchModel) footer() string {
	what := "rate"
	if m.snap.Users > 0 {
		what = "users"
	}
	parts := []string{"↑↓ " + what, "←→ timeout", "+- retries", "? help", "q stop and report"}
	text := m.style.dim.Render(" " + strings.Join(parts, "  ·  "))
	switch {
	case m.note != "":
		text = m.style.warn.Render(" " + m.note)
	case m.snap.Phase == load.Finished:
		text = m.style.dim.Render(" finished")
	case m.stopped:
		text = m.style.warn.Render(" stopping: waiting for the answers that are still out")
	}
	return text
}
