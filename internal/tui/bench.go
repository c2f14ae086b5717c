package tui

import (
	"fmt"
	"io"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// BenchRun is the load test to show, such as a *load.Run. If it is also a PresetRun or a
// FaultRun, it gets more keys.
type BenchRun interface {
	// Snapshot is called ten times per second, with few recent points.
	Snapshot(recent int) load.Snapshot
	Stop()
	SetRate(perSecond float64) error
	SetUsers(n int) error
	SetTimeout(d time.Duration) error
	SetRetries(n int) error
}

// PresetRun is a run whose policy can be changed to a preset.
type PresetRun interface {
	BenchRun
	SetPreset(name string) error
}

// FaultRun is a run with a fault that can be injected by a key.
type FaultRun interface {
	BenchRun
	// Fire injects the fault and marks it in the run. Its error is displayed.
	Fire() error
	// CanFire describes briefly what Fire would inject, "stall 4s"; "" means nothing.
	CanFire() string
}

// BenchScreen configures what to draw, and where.
type BenchScreen struct {
	// Pattern and Target are displayed as the title.
	Pattern, Target string
	// Triggers are the planned triggers, which are shown before they start.
	Triggers []load.Trigger
	// Presets are the names of the policies that the key p cycles through. Preset is the
	// initial one, or "".
	Presets []string
	Preset  string
	// In is the source of keys, and Out the terminal to draw on.
	In  io.Reader
	Out io.Writer
	// Color enables colors.
	Color bool
}

// Bench draws the run until it has finished, and leaves the last screen in place. The keys
// q and Ctrl-C stop the run; interrupted is set for Ctrl-C.
func Bench(run BenchRun, screen BenchScreen) (interrupted bool, err error) {
	m := newModel(screen)
	m.show(Stage{Run: run, Triggers: screen.Triggers, Preset: screen.Preset})
	if err := m.draw(m.program()); err != nil {
		return false, fmt.Errorf("draw the run: %w", err)
	}
	return m.interrupted, nil
}

// program returns a program that draws the model. It does not handle signals: in the
// terminal's raw mode, Ctrl-C is a key.
func (m *model) program() *tea.Program {
	return tea.NewProgram(m, tea.WithInput(m.screen.In), tea.WithOutput(m.screen.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
}

// draw runs the program and leaves the last screen in place.
func (m *model) draw(program *tea.Program) error {
	if _, err := program.Run(); err != nil {
		return err
	}
	fmt.Fprintln(m.screen.Out, m.View())
	return nil
}
