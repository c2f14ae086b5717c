package tui

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui/taptree"
)

// TapScreen configures what to draw of the messages between services, and what keys do.
type TapScreen struct {
	// Title is displayed first, such as the name of the workspace.
	Title string
	// Filter selects the trees that are shown first.
	Filter tap.Filter
	// Messages are the messages to show. When it is closed, the screen stays until it is quit.
	Messages <-chan tap.Message
	// Notes are sentences for the user, such as that a connection was lost; nil if there are none.
	Notes <-chan string
	// Ended returns why Messages was closed; "" if the run has ended.
	Ended func() string
	// Command returns the command that sends a message again to a service, which may be "". Its
	// error, and that of Resend, is displayed.
	Command func(m tap.Message, to string) (string, error)
	// Resend sends a message again, and returns the reply as text.
	Resend func(ctx context.Context, m tap.Message, to string) (string, error)
	// Save writes messages to a new file.
	Save func(name string, messages []tap.Message) error
	// In is the source of keys, and Out the terminal to draw on.
	In  io.Reader
	Out io.Writer
	// Color enables colors.
	Color bool
}

// Tap draws call trees until a key ends it or ctx is canceled, and leaves the last screen in place. It
// returns all trees.
func Tap(ctx context.Context, screen TapScreen) (*tap.Trees, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := newTapModel(ctx, screen)
	program := tea.NewProgram(m, tea.WithInput(screen.In), tea.WithOutput(screen.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	_, err := program.Run()
	cancel()
	m.work.Wait()
	if err != nil {
		return m.list.Trees(), fmt.Errorf("draw the messages: %w", err)
	}
	m.over, m.changed = true, true
	fmt.Fprintln(screen.Out, m.View())
	return m.list.Trees(), nil
}

// tapModel is the state of the screen. bubbletea calls its methods from one goroutine.
type tapModel struct {
	ctx     context.Context //nolint:containedctx // of the program
	screen  TapScreen
	palette *Palette
	keys    tapKeys
	grid    Grid // of the last frame, for reuse
	width   int
	height  int
	changed bool   // since the last frame
	frame   string // the last frame

	list   taptree.List
	page   int // rows of the list in the last frame
	detail tapDetail
	help   bool
	prompt *Prompt
	popup  *Popup
	note   string
	bad    bool // the note is an error
	ended  bool // no more messages will come
	over   bool // the program has ended
	work   sync.WaitGroup
}

func newTapModel(ctx context.Context, screen TapScreen) *tapModel {
	m := &tapModel{ctx: ctx, screen: screen, palette: NewPalette(screen.Color), keys: newTapKeys(), changed: true}
	m.list.SetFilter(screen.Filter)
	return m
}

// Init schedules the first frame.
func (m *tapModel) Init() tea.Cmd { return nextFrame() }

// The results of keys that take a moment.
type (
	tapNoted  struct{ text string }
	tapFailed struct{ err error }
)

// Update handles a key, a new size, or a frame.
func (m *tapModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case frame:
		if m.ctx.Err() != nil {
			return m, tea.Quit
		}
		m.take()
		return m, nextFrame()
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		m.changed = true
		return m, m.pressAll(msg)
	case Popup:
		m.popup, m.note = &msg, ""
	case tapNoted:
		m.note, m.bad = msg.text, false
	case tapFailed:
		m.note, m.bad = visible.Line(msg.err.Error()), true
	default:
		return m, nil
	}
	m.changed = true
	return m, nil
}

// perFrame limits how many messages a frame takes, so that keys are never waiting for long.
const perFrame = 10_000

// take takes the messages and the notes that have arrived.
func (m *tapModel) take() {
	select {
	case note := <-m.screen.Notes:
		m.note, m.bad, m.changed = visible.Line(note), false, true
	default:
	}
	for range min(len(m.screen.Messages), perFrame) {
		message, ok := <-m.screen.Messages
		if !ok {
			break
		}
		m.list.Add(message)
		m.changed = true
	}
	if m.ended || len(m.screen.Messages) > 0 {
		return
	}
	select {
	case message, ok := <-m.screen.Messages:
		m.changed = true
		if ok {
			m.list.Add(message)
			return
		}
		m.ended = true
		if why := m.screen.Ended(); why != "" {
			m.note, m.bad = visible.Line(why), true
		}
	default:
	}
}

// View draws the screen, if it has changed.
func (m *tapModel) View() string {
	if !m.changed || m.width == 0 {
		return m.frame
	}
	m.changed = false
	m.grid.Reset(m.width, m.height)
	m.draw(m.grid.All())
	m.frame = m.grid.Text(m.palette)
	return m.frame
}

// selected returns the selected message and the service that handles it, if both are known.
func (m *tapModel) selected() (message tap.Message, to string, ok bool) {
	_, row := m.list.Selected()
	if row == nil {
		return message, "", false
	}
	message = row.Span.Message
	switch {
	case row.Handler != nil:
		to = row.Handler.Service
	case message.Kind == kindHandle:
		to = message.Service
	}
	return message, to, true
}

var errNoMessage = errors.New("select a message first")

// copySelected copies the selected message as a command, through the terminal (OSC 52), and shows it.
func (m *tapModel) copySelected() tea.Cmd {
	message, to, ok := m.selected()
	if !ok {
		return failWith(errNoMessage)
	}
	command, err := m.screen.Command(message, to)
	if err != nil {
		return failWith(err)
	}
	out := m.screen.Out
	return func() tea.Msg {
		// The renderer writes a frame by one call, so this is not in the middle of one.
		fmt.Fprintf(out, "\x1b]52;c;%s\x07", base64.StdEncoding.EncodeToString([]byte(command)))
		return Popup{Title: "copied, if the terminal permits it", Lines: strings.Split(command, "\n")}
	}
}

// resendSelected sends the selected message again.
func (m *tapModel) resendSelected() tea.Cmd {
	message, to, ok := m.selected()
	if !ok {
		return failWith(errNoMessage)
	}
	m.note, m.bad = "sending", false
	return m.background(func() tea.Msg {
		start := time.Now()
		reply, err := m.screen.Resend(m.ctx, message, to)
		if err != nil {
			return tapFailed{err}
		}
		title := "sent again: " + tapDuration(time.Since(start))
		return Popup{Title: title, Lines: strings.Split(strings.TrimRight(visible.Text(reply), "\n"), "\n")}
	})
}

// background does work that Tap waits for, even if its result is not wanted anymore.
func (m *tapModel) background(do func() tea.Msg) tea.Cmd {
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

// save writes the messages of the selected tree to a file.
func (m *tapModel) save(name string) tea.Cmd {
	tree, _ := m.list.Selected()
	if tree == nil {
		return failWith(errNoMessage)
	}
	var messages []tap.Message
	tree.Root.Walk(func(s *tap.Span, _ int) bool {
		messages = append(messages, s.Message)
		return true
	})
	return m.background(func() tea.Msg {
		if err := m.screen.Save(name, messages); err != nil {
			return tapFailed{err}
		}
		return tapNoted{fmt.Sprintf("saved %s to %s", term.Count(len(messages), "record"), visible.Line(name))}
	})
}

func failWith(err error) tea.Cmd { return func() tea.Msg { return tapFailed{err} } }
