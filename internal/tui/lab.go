package tui

import (
	"context"
	"errors"
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// ErrQuit is the cause of the context of a Lab's work if the user has quit.
var ErrQuit = errors.New("stopped by a key")

// Stage is one of several runs that are shown in turn.
type Stage struct {
	// Title is displayed in the header: "2 of 5: recommended".
	Title string
	// Name is the name of the run among the results: "recommended". A run without a name
	// is not a result, such as one of the search for the capacity.
	Name string
	// Run is the run, which has been started.
	Run BenchRun
	// Triggers are the planned triggers.
	Triggers []load.Trigger
	// Preset is the name of the initial policy, if it has one.
	Preset string
	// Caption, if set, explains a snapshot in plain words. The snapshot has no Recent
	// points. Caption is called for each frame.
	Caption func(*load.Snapshot) string
}

// Stages lets a Lab's work control the screen. Only the work may call its methods. They
// wait briefly for the screen, and do nothing after it has ended.
type Stages struct{ send func(tea.Msg) }

// Show shows the next run. The previous one must have finished; its verdict stays visible
// in one line.
func (s *Stages) Show(stage Stage) { s.send(stage) }

// Note shows what happens between runs, until the next one is shown: "waiting for the queue
// to drain".
func (s *Stages) Note(text string) { s.send(noted(text)) }

// Conclude sets the heading of the summary at the end.
func (s *Stages) Conclude(text string) { s.send(concluded(text)) }

// Messages of the work, in addition to a Stage.
type (
	noted     string
	concluded string
	worked    struct{}
)

// lab is the state of a screen with several runs.
type lab struct {
	quit       context.CancelCauseFunc // of the work
	results    []result
	note       string
	conclusion string
	over       bool // the work has ended
}

// Lab draws the runs of work in turn, and leaves a summary of all runs in place when work
// has ended. The key n stops the current run, so that work continues with the next one.
// The keys q and Ctrl-C also end the context of work with the cause ErrQuit; interrupted is
// set for Ctrl-C. Lab returns when work has returned, with its error.
func Lab(ctx context.Context, screen BenchScreen, work func(context.Context, *Stages) error) (interrupted bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := newModel(screen)
	m.lab = &lab{quit: cancel}
	program := m.program()
	done := make(chan error, 1)
	go func() {
		done <- work(ctx, &Stages{program.Send})
		program.Send(worked{})
	}()
	drawn := m.draw(program)
	cancel(ErrQuit) // in case the screen has failed
	if err := <-done; err != nil {
		return m.interrupted, err
	}
	if drawn != nil {
		return m.interrupted, fmt.Errorf("draw the runs: %w", drawn)
	}
	return m.interrupted, nil
}

// hear handles a message of the work.
func (m *model) hear(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case Stage:
		m.keep()
		m.lab.note = ""
		m.show(msg)
		return tea.ClearScreen // the previous run may have left something there
	case noted:
		m.lab.note = string(msg)
	case concluded:
		m.lab.conclusion = string(msg)
	case worked:
		m.keep()
		m.lab.over = true
		m.stage.Title = "" // the summary is about all runs
		return tea.Quit
	}
	return nil
}

// keep adds the current run to the results, once.
func (m *model) keep() {
	if m.lab == nil || m.kept || m.stage.Run == nil {
		return
	}
	m.kept = true
	m.refresh()
	if m.stage.Name != "" {
		m.lab.results = append(m.lab.results, resultOf(m.stage.Name, m.picture()))
	}
}
