package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/load"
)

// framesPerSecond is how often the screen changes at most.
const framesPerSecond = 10

// model is the screen's state. bubbletea calls it from one goroutine.
type model struct {
	screen  BenchScreen
	palette *palette
	keys    keys
	grid    grid // of the last frame, to be used again
	width   int
	height  int
	help    bool

	stage   Stage         // what is shown; without a run before the first
	snap    load.Snapshot // of its run, without points
	history history
	preset  string // the policy that the run has or had last
	altered bool   // it is not quite that policy any more
	kept    bool   // its run is among the results
	lab     *lab   // nil for a single run

	stopped     bool // a key has ended it all
	skipped     bool // a key has ended this run
	interrupted bool
	note        string // what the last key came to, when it came to nothing
}

func newModel(screen BenchScreen) *model {
	return &model{screen: screen, palette: newPalette(screen.Color), keys: newKeys()}
}

// show shows a run from now on.
func (m *model) show(stage Stage) {
	m.stage, m.preset = stage, stage.Preset
	m.history, m.kept, m.skipped, m.altered, m.note = history{}, false, false, false, ""
	m.refresh()
	m.keys.suit(&m.snap)
}

// refresh asks the run how it stands.
func (m *model) refresh() { m.snap = m.history.take(m.stage.Run) }

// picture is what the run's panels are drawn from.
func (m *model) picture() *picture {
	return pictureOf(&m.snap, &m.history, m.stage.Triggers)
}

// frame is a moment to draw.
type frame struct{}

func nextFrame() tea.Cmd {
	return tea.Tick(time.Second/framesPerSecond, func(time.Time) tea.Msg { return frame{} })
}

// What a change of the run came to.
type (
	refused struct{ err error }
	changed struct {
		preset  string // the policy that was set as a whole
		altered bool   // the policy was changed in a part
	}
)

// Init asks for the first frame.
func (m *model) Init() tea.Cmd { return nextFrame() }

// Update takes a key, a new size, the moment of a frame or what a lab says.
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

// tick brings the screen up to date.
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
