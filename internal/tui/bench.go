package tui

import (
	"fmt"
	"io"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// BenchRun is the load test that is shown: a *load.Run. One that is a PresetRun
// or a FaultRun, too, has keys for that.
type BenchRun interface {
	// Snapshot is asked for ten times a second, with few recent points.
	Snapshot(recent int) load.Snapshot
	Stop()
	SetRate(perSecond float64) error
	SetUsers(n int) error
	SetTimeout(d time.Duration) error
	SetRetries(n int) error
}

// PresetRun is a run whose policy can be changed to a preset while it goes on.
type PresetRun interface {
	BenchRun
	SetPreset(name string) error
}

// FaultRun is a run with a fault that can be fired while it goes on.
type FaultRun interface {
	BenchRun
	// Fire fires the fault, and marks it in the run. Its error is shown.
	Fire() error
	// CanFire says in few words what Fire would do, "stall 4s"; "" is nothing.
	CanFire() string
}

// BenchScreen says what to draw and where.
type BenchScreen struct {
	// Pattern and Target are the title.
	Pattern, Target string
	// Triggers are those that are planned: the screen shows them before they
	// begin.
	Triggers []load.Trigger
	// Presets are the names of the policies that the key p goes through, in that
	// order. Preset is the one at the start, "" when it is none of them.
	Presets []string
	Preset  string
	// In is where keys come from, Out what is drawn on.
	In  io.Reader
	Out io.Writer
	// Color tells whether to use colours.
	Color bool
}

// Bench draws the run until it has finished, and leaves the last screen behind.
// q or Ctrl-C stop the run; interrupted tells of the latter.
func Bench(run BenchRun, screen BenchScreen) (interrupted bool, err error) {
	m := newModel(screen)
	m.show(Stage{Run: run, Triggers: screen.Triggers, Preset: screen.Preset})
	if err := m.draw(m.program()); err != nil {
		return false, fmt.Errorf("draw the run: %w", err)
	}
	return m.interrupted, nil
}

// program is a program that draws the model. ctx and signals are its caller's:
// Ctrl-C is a key on the screen.
func (m *model) program() *tea.Program {
	return tea.NewProgram(m, tea.WithInput(m.screen.In), tea.WithOutput(m.screen.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
}

// draw runs the program and leaves the last screen behind.
func (m *model) draw(program *tea.Program) error {
	if _, err := program.Run(); err != nil {
		return err
	}
	fmt.Fprintln(m.screen.Out, m.View())
	return nil
}
