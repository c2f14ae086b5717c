package runscreen

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/usage"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
)

// Run is the run that a screen shows. Its methods are called by several goroutines.
type Run interface {
	// Status returns the status of the services, without credentials.
	Status() proc.Status
	// Do does something with a service; see [proc.Supervisor.Do].
	Do(ctx context.Context, service string, a proc.Action) error
	// Stop makes the run drain and end; when it is called again, the run is killed.
	Stop()
}

// Options configure a [Screen].
type Options struct {
	// Title is displayed first, such as the name of the workspace.
	Title string
	Run   Run
	// Messages are the messages between services, and what keys do with them.
	Messages tui.TapScreen
	// Measure returns what process groups use, by their leader. One goroutine calls it at a time.
	Measure func(groups []int) map[int]usage.Usage
	// Send sends a message, given as the arguments of `msctl send`, and returns what that prints.
	Send func(ctx context.Context, arguments string) (string, error)
	// Docs returns the address of the documentation of a service, or "".
	Docs func(proc.Service) string
	// Open opens an address in a browser.
	Open func(ctx context.Context, url string) error
	// Save writes lines to a new file.
	Save func(name string, lines []string) error
	// Now returns the time.
	Now func() time.Time
	// In is the source of keys, and Out the terminal to draw on.
	In  io.Reader
	Out io.Writer
	// Color enables colors.
	Color bool
}

// Screen is the screen of a run. Create it with [New].
type Screen struct {
	options Options

	mu       sync.Mutex // guards what follows
	services services
	logs     logs
	fresh    bool // something has changed since the last frame
	over     bool // the run has ended
	stopping bool // the run is about to end
}

// New returns a screen, which is not drawn yet.
func New(o Options) *Screen { return &Screen{options: o} }

// SetServices sets the services of the run. Those that were in it before keep their history.
func (s *Screen) SetServices(list []proc.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services.set(list)
	s.fresh, s.stopping = true, false
}

// Add adds an event of the run, with the lines that describe it; their only escape codes are
// colors. It never waits for the screen.
func (s *Screen) Add(e proc.Event, lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services.note(e)
	s.stopping = s.stopping || e.Kind == proc.KindEnding || e.Kind == proc.KindKilling
	for _, text := range lines {
		for line := range strings.SplitSeq(text, "\n") {
			s.logs.add(entry{at: e.Time, service: e.Service, text: line})
		}
	}
	s.fresh = true
}

// Close reports that the run has ended, which ends Draw.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// framesPerSecond is the highest rate of screen updates.
const framesPerSecond = 10

// Draw draws the screen until Close is called, and then leaves the last state in place. If it
// returns an error, the terminal is as it was, and the screen can still be added to.
func (s *Screen) Draw(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	m := newModel(ctx, s)
	program := tea.NewProgram(m, tea.WithInput(s.options.In), tea.WithOutput(s.options.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	_, err := program.Run()
	cancel()
	m.messages.Close()
	m.work.Wait()
	if err != nil {
		return fmt.Errorf("draw the screen: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.options.Out, m.last())
	return nil
}

// pane is a part of the screen, which may have the focus.
type pane int

const (
	paneServices pane = iota
	paneLogs
	paneMessages
	panes // the number of panes
)

// model is the state of the screen that only bubbletea's goroutine uses. It locks the screen for
// everything that it does.
type model struct {
	*Screen

	ctx      context.Context //nolint:containedctx // of the program
	palette  *tui.Palette
	keys     keys
	messages *tui.Messages
	grid     tui.Grid // of the last frame, for reuse
	width    int
	height   int
	changed  bool
	frame    string // the last frame

	focus     pane
	shown     pane // the logs or the messages, if there is room for one of them
	zoomed    bool
	page      int // rows of the logs in the last frame
	help      bool
	prompt    *tui.Prompt
	popup     *tui.Popup
	sent      string // the last message that was sent
	note      string
	bad       bool // the note is an error
	measured  time.Time
	measuring bool
	work      sync.WaitGroup
}

func newModel(ctx context.Context, s *Screen) *model {
	return &model{
		Screen: s, ctx: ctx, palette: tui.NewPalette(s.options.Color), keys: newKeys(), messages: tui.NewMessages(ctx, s.options.Messages),
		focus: paneLogs, shown: paneLogs, changed: true,
	}
}

// The messages of the program.
type (
	tick     struct{}
	measured struct{ found map[int]usage.Usage }
	noted    struct{ text string }
	failed   struct{ err error }
)

func nextTick() tea.Cmd {
	return tea.Tick(time.Second/framesPerSecond, func(time.Time) tea.Msg { return tick{} })
}

// Init schedules the first frame.
func (m *model) Init() tea.Cmd { return nextTick() }

// Update handles a key, a new size, or a frame.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch msg := msg.(type) {
	case tick:
		if m.over {
			return m, tea.Quit
		}
		return m, tea.Batch(nextTick(), m.take(m.options.Now()))
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		m.changed = true
		return m, m.pressAll(msg)
	case tui.MessagesResult:
		m.messages.Update(msg)
	case measured:
		m.measuring = false
		m.services.measure(msg.found)
	case tui.Popup:
		m.popup, m.note = &msg, ""
	case noted:
		m.note, m.bad = msg.text, false
	case failed:
		m.note, m.bad = visible.Line(msg.err.Error()), true
	default:
		return m, nil
	}
	m.changed = true
	return m, nil
}

// take takes what has happened since the last frame, and measures once per second.
func (m *model) take(now time.Time) tea.Cmd {
	m.changed = m.messages.Take() || m.fresh || m.changed
	if m.fresh {
		m.services.update(m.options.Run.Status())
	}
	m.fresh = false
	if m.measuring || now.Sub(m.measured) < time.Second {
		return nil
	}
	m.measuring, m.measured = true, now
	groups := m.services.groups()
	return m.background(func() tea.Msg { return measured{m.options.Measure(groups)} })
}

// background does work that Draw waits for, even if its result is not wanted anymore.
func (m *model) background(do func() tea.Msg) tea.Cmd {
	done := make(chan tea.Msg, 1)
	m.work.Go(func() { done <- do() })
	return func() tea.Msg {
		select {
		case msg := <-done:
			return msg
		case <-m.ctx.Done():
			return nil
		}
	}
}

// View draws the screen, if it has changed.
func (m *model) View() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed || m.width == 0 {
		return m.frame
	}
	m.changed = false
	m.grid.Reset(m.width, m.height)
	m.draw(m.grid.All())
	m.frame = m.grid.Text(m.palette)
	return m.frame
}
