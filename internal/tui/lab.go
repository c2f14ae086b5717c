package tui

import (
	"context"
	"errors"
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// ErrQuit is why the context of a Lab's work has ended: a person had enough.
var ErrQuit = errors.New("stopped by a key")

// Stage is one run of several that are shown one after the other.
type Stage struct {
	// Title stands in the header: "2 of 5: recommended".
	Title string
	// Name is what the run is called among the results: "recommended". A run
	// without a name is none of them: the search for a capacity.
	Name string
	// Run is what is shown. It has been started.
	Run BenchRun
	// Triggers are those that are planned.
	Triggers []load.Trigger
	// Preset is the name of the policy at the start, if it has one.
	Preset string
	// Caption, when set, says in plain words what happens at the moment of a
	// snapshot, which is without its Recent points. It is asked for each frame.
	Caption func(*load.Snapshot) string
}

// Stages is where a Lab's work says what to show. Its methods are for the work
// alone; they wait for the screen for a moment, and do nothing once it is gone.
type Stages struct{ send func(tea.Msg) }

// Show shows a run from now on. The run before must have finished: its verdict
// stays visible as a line.
func (s *Stages) Show(stage Stage) { s.send(stage) }

// Note says what goes on beside the runs, in a line until the next run is
// shown: "waiting for the queue to drain".
func (s *Stages) Note(text string) { s.send(noted(text)) }

// Conclude gives the heading of the summary that is shown at the end: what the
// results have in common and where they differ.
func (s *Stages) Conclude(text string) { s.send(concluded(text)) }

// What the work says to the screen, beside a Stage.
type (
	noted     string
	concluded string
	worked    struct{}
)

// lab is what a screen keeps of several runs.
type lab struct {
	quit       context.CancelCauseFunc // of the work
	results    []result
	note       string
	conclusion string
	over       bool // the work has ended
}

// Lab draws the runs that work makes, one after the other, and when work has
// ended leaves a summary of all behind. The key n stops the run that is shown, so
// that work goes on with the next; q and Ctrl-C stop it, too, and end the
// context of work with the cause ErrQuit: interrupted tells of the latter. Lab
// returns when work has, with its error.
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
	cancel(ErrQuit) // where the screen is what failed
	if err := <-done; err != nil {
		return m.interrupted, err
	}
	if drawn != nil {
		return m.interrupted, fmt.Errorf("draw the runs: %w", drawn)
	}
	return m.interrupted, nil
}

// hear takes what the work says.
func (m *model) hear(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case Stage:
		m.keep()
		m.lab.note = ""
		m.show(msg)
		return tea.ClearScreen // whatever the run before may have left there
	case noted:
		m.lab.note = string(msg)
	case concluded:
		m.lab.conclusion = string(msg)
	case worked:
		m.keep()
		m.lab.over = true
		m.stage.Title = "" // what is left is about all of them
		return tea.Quit
	}
	return nil
}

// keep makes a result of the run that is shown, once.
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
