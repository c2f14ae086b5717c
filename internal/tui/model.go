package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// framesPerSecond is the highest rate of screen updates.
const framesPerSecond = 10

// model is the state of the screen. bubbletea calls its methods from one goroutine.
type model struct {
	screen  BenchScreen
	palette *Palette
	keys    keys
	grid    Grid // of the last frame, for reuse
	width   int
	height  int
	help    bool

	stage   Stage         // the current stage; without a Run before the first
	snap    load.Snapshot // of its run, without points
	history history
	preset  string // the preset of the policy
	altered bool   // the policy was changed since the preset was set
	kept    bool   // the run is among the results
	lab     *lab   // nil for a single run

	stopped     bool // a key has stopped everything
	skipped     bool // a key has stopped this run
	interrupted bool
	note        string // why the last key had no effect
}

func newModel(screen BenchScreen) *model {
	return &model{screen: screen, palette: NewPalette(screen.Color), keys: newKeys()}
}

// show switches to another run.
func (m *model) show(stage Stage) {
	m.stage, m.preset = stage, stage.Preset
	m.history, m.kept, m.skipped, m.altered, m.note = history{}, false, false, false, ""
	m.refresh()
	m.keys.suit(&m.snap)
}

// refresh takes a new snapshot of the run.
func (m *model) refresh() { m.snap = m.history.take(m.stage.Run) }

// picture returns the data for the run's panels.
func (m *model) picture() *picture {
	return pictureOf(&m.snap, &m.history, m.stage.Triggers)
}

// frame is the message to draw the next frame.
type frame struct{}

func nextFrame() tea.Cmd {
	return tea.Tick(time.Second/framesPerSecond, func(time.Time) tea.Msg { return frame{} })
}

// The result of a live change.
type (
	refused struct{ err error }
	changed struct {
		preset  string // the preset that was set
		altered bool   // a part of the policy was changed
	}
)

// Init schedules the first frame.
func (m *model) Init() tea.Cmd { return nextFrame() }

// Update handles a key, a new size, a frame, or a message of a lab.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m, m.pressAll(msg)
	case refused:
		m.note = msg.err.Error()
	case changed:
		if msg.preset != "" {
			m.preset, m.altered = msg.preset, false
		}
		m.altered = m.altered || msg.altered
	case frame:
		return m, m.tick()
	case Stage, noted, concluded, worked:
		return m, m.hear(msg)
	}
	return m, nil
}

// tick updates the state for the next frame.
func (m *model) tick() tea.Cmd {
	if m.stage.Run == nil || m.kept {
		return nextFrame()
	}
	m.refresh()
	if m.snap.Phase != load.Finished {
		return nextFrame()
	}
	if m.lab == nil {
		return tea.Quit
	}
	m.keep()
	return nextFrame()
}
