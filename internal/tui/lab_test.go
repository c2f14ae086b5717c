package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
)

func keyMsg(k string) tea.KeyMsg { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)} }

// labScreen returns a screen during a demo: one run has collapsed, and the second is at its
// trigger.
func labScreen(width, height int) *model {
	m := newModel(testScreen())
	m.lab = &lab{quit: func(error) {}}
	m.width, m.height = width, height
	triggers := []load.Trigger{storyTrigger()}
	m.hear(Stage{Title: "1 of 2: naive", Name: "naive", Run: &still{snap: collapsed()}, Triggers: triggers})
	caption := func(*load.Snapshot) string { return "the service stops for 4 s: requests pile up" }
	m.hear(Stage{Title: "2 of 2: recommended", Name: "recommended", Run: &still{snap: comingBack()}, Triggers: triggers, Caption: caption})
	return m
}

func TestLabView(t *testing.T) {
	before := newModel(testScreen())
	before.lab, before.width, before.height = &lab{}, 80, 24
	before.hear(noted("finding the capacity"))
	checkView(t, before, "lab_before")
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		m := labScreen(size[0], size[1])
		checkView(t, m, fmt.Sprintf("lab_%dx%d", size[0], size[1]))
		m.stage.Run.(*still).snap = recovered()
		m.hear(concluded("the same service, load and stop of 4 s: the policy alone decides"))
		m.hear(worked{})
		checkView(t, m, fmt.Sprintf("summary_%dx%d", size[0], size[1]))
	}
}

// TestSweepView checks that results are lines if there is no room for charts.
func TestSweepView(t *testing.T) {
	m := labScreen(120, 40)
	for i := range 9 {
		run := &still{snap: finished(story(naive(), storyLength, 0))}
		if i%2 == 0 {
			run.snap = recovered()
		}
		m.hear(Stage{Name: fmt.Sprintf("timeout %d00ms, %d retries", i, i%3), Run: run})
	}
	checkView(t, m, "sweep")
	m.hear(worked{})
	checkView(t, m, "sweep_summary")
}

// finishing is a run that finishes when it is stopped, like a real one.
type finishing struct {
	still
	done chan struct{}
}

func newFinishing() *finishing {
	return &finishing{still: still{snap: loading()}, done: make(chan struct{})}
}

func (f *finishing) Stop() {
	f.still.Stop()
	select {
	case <-f.done:
	default:
		close(f.done)
	}
}

// TestLab drives the program with two runs: n ends the first, and q everything.
func TestLab(t *testing.T) {
	first, second := newFinishing(), newFinishing()
	screen, typed := typedScreen()
	var cause error
	interrupted, err := Lab(t.Context(), screen, func(ctx context.Context, s *Stages) error {
		s.Note("finding the capacity")
		s.Show(Stage{Title: "1 of 2", Name: "first", Run: first})
		go typed.Write([]byte("n"))
		<-first.done
		s.Show(Stage{Title: "2 of 2", Name: "second", Run: second})
		go typed.Write([]byte("q"))
		<-ctx.Done()
		cause = context.Cause(ctx)
		<-second.done
		s.Conclude("both were stopped")
		return nil
	})
	_ = typed.Close()
	if err != nil || interrupted {
		t.Errorf("interrupted %t, error %v", interrupted, err)
	}
	if !errors.Is(cause, ErrQuit) {
		t.Errorf("the work's context ended with %v", cause)
	}
	for _, run := range []*finishing{first, second} {
		if diff := cmp.Diff([]string{"stop"}, run.calls); diff != "" {
			t.Errorf("calls -want +got\n%s", diff)
		}
	}
}

// TestLabEnds checks that Lab ends with its work.
func TestLabEnds(t *testing.T) {
	t.Run("error", func(t *testing.T) {
		screen, typed := typedScreen()
		defer typed.Close()
		broken := errors.New("broken")
		if _, err := Lab(t.Context(), screen, func(context.Context, *Stages) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("Lab returned %v, not its work's error", err)
		}
	})
	t.Run("ctrl-c", func(t *testing.T) {
		screen, typed := typedScreen()
		defer typed.Close()
		go typed.Write([]byte("\x03"))
		interrupted, err := Lab(t.Context(), screen, func(ctx context.Context, _ *Stages) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !interrupted || !errors.Is(err, context.Canceled) {
			t.Errorf("after Ctrl-C Lab returned %t and %v", interrupted, err)
		}
	})
}

// typedScreen returns a screen with the keys of a test.
func typedScreen() (BenchScreen, *io.PipeWriter) {
	keys, typed := io.Pipe()
	screen := testScreen()
	screen.In = keys
	return screen, typed
}
