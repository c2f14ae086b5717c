package tui

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/test/golden"
)

func TestMain(m *testing.M) {
	// In tests, its renderer does not query the terminal, and its input reader ends with
	// the program.
	goleak.VerifyTestMain(m)
}

func testScreen() BenchScreen {
	return BenchScreen{
		Pattern: `{"cmd":"findAllItems"}`, Target: "items", Out: io.Discard,
		Presets: []string{"none", "nest", "naive", "recommended"},
	}
}

// screen returns the model of a single run at a size, without colors.
func screen(snap load.Snapshot, width, height int) *model {
	m := newModel(testScreen())
	m.show(Stage{Run: &still{snap: snap, fault: "stall 4s"}, Triggers: []load.Trigger{storyTrigger()}})
	m.width, m.height = width, height
	return m
}

// TestBenchView compares each screen, in all common sizes, with a golden file.
func TestBenchView(t *testing.T) {
	users := loading()
	users.Rate, users.Users, users.Requests, users.Planned = 0, 50, 10_000, 0
	help := func(m *model) { m.help = true }
	cases := []struct {
		name   string
		snap   load.Snapshot
		change func(*model)
	}{
		{"loading", loading(), nil},
		{"trigger", triggered(), nil},
		{"coming back", comingBack(), nil},
		{"recovered", recovered(), nil},
		{"collapsed", collapsed(), nil},
		{"users", users, nil},
		{"help", loading(), help},
	}
	for _, c := range cases {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
			t.Run(fmt.Sprintf("%s %dx%d", c.name, size[0], size[1]), func(t *testing.T) {
				m := screen(c.snap, size[0], size[1])
				if c.change != nil {
					c.change(m)
				}
				checkView(t, m, fmt.Sprintf("%s_%dx%d", strings.ReplaceAll(c.name, " ", "_"), size[0], size[1]))
			})
		}
	}
}

// TestOddViews compares rare screens with golden files.
func TestOddViews(t *testing.T) {
	long := story(naive(), 30*time.Second, 0)
	long.Elapsed, long.Planned = 20*time.Minute, time.Hour
	for i := range long.Recent {
		long.Recent[i].At += 19*time.Minute + 30*time.Second
	}
	again := triggered()
	fired := load.Recovery{Verdict: load.Pending, Trigger: load.Trigger{At: 12500 * time.Millisecond, Length: 4 * time.Second, Text: "stall 4s"}}
	again.Recoveries = append(again.Recoveries, fired)
	again.Elapsed = 13 * time.Second
	endless := triggered()
	endless.Recoveries[0].Trigger.Length = 0
	doubtful := loading()
	doubtful.Last.Lag = 23 * time.Millisecond
	strange := loading()
	strange.Errors = []load.ErrorCount{{Outcome: load.Error, Status: 500, Text: "日本語 \x1b[31mred\x07 text", Count: 3}}
	cases := []struct {
		name          string
		snap          load.Snapshot
		width, height int
	}{
		{"small", loading(), 40, 10},
		{"least", triggered(), 60, 16},
		{"long", long, 80, 24},
		{"again", again, 80, 24},
		{"endless", endless, 80, 24},
		{"doubtful", doubtful, 120, 40},
		{"strange", strange, 120, 40},
		{"empty", load.Snapshot{Planned: time.Second, Recent: []load.Point{{}}, Step: storyStep, Rate: 10}, 80, 24},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkView(t, screen(c.snap, c.width, c.height), c.name) })
	}
}

// checkView compares what a model draws with a golden file, and checks that it fits the
// terminal.
func checkView(t *testing.T, m *model, name string) {
	t.Helper()
	got := m.View()
	if again := m.View(); again != got {
		t.Error("a second View differs from the first")
	}
	checkSize(t, got, m.width, m.height)
	if strings.Contains(got, "\x1b") {
		t.Error("escape codes without colors")
	}
	golden.Check(t, filepath.Join("testdata", name+".txt"), got+"\n")
}

func checkSize(t *testing.T, view string, width, height int) {
	t.Helper()
	lines := strings.Split(view, "\n")
	if len(lines) > height {
		t.Errorf("%d×%d: %d lines", width, height, len(lines))
	}
	for i, l := range lines {
		if w := lipgloss.Width(l); w > width {
			t.Errorf("%d×%d: line %d is %d columns wide", width, height, i+1, w)
		}
	}
}

// TestEverySize checks that the screen fits terminals of any size.
func TestEverySize(t *testing.T) {
	single, several := screen(triggered(), 0, 0), labScreen(0, 0)
	summary := labScreen(0, 0)
	summary.hear(worked{})
	for _, m := range []*model{single, several, summary} {
		if m.View() != "" {
			t.Error("something is drawn before the size is known")
		}
		for width := 1; width <= 250; width += 23 {
			for height := 1; height <= 80; height += 7 {
				m.Update(tea.WindowSizeMsg{Width: width, Height: height})
				checkSize(t, m.View(), width, height)
			}
		}
	}
}

// TestColors checks that the screen has the same text with and without colors.
func TestColors(t *testing.T) {
	for _, snap := range []load.Snapshot{triggered(), collapsed()} {
		m := screen(snap, 120, 40)
		without := m.View()
		m.palette = NewPalette(true)
		with := m.View()
		if !strings.Contains(with, "\x1b[") {
			t.Fatal("no colors")
		}
		var lines []string
		for l := range strings.Lines(stripped(with)) {
			lines = append(lines, strings.TrimRight(l, " \n"))
		}
		if diff := cmp.Diff(without, strings.Join(lines, "\n")); diff != "" {
			t.Errorf("-without +with colors\n%s", diff)
		}
	}
}

// TestStatuses checks that the statuses of HTTP are shown.
func TestStatuses(t *testing.T) {
	s := loading()
	s.Statuses = []load.StatusCount{{Status: 200, Count: 1234}, {Status: 404, Count: 7}}
	view := stripped(screen(s, 120, 60).View())
	for _, want := range []string{"statuses", "200           1,234", "404               7"} {
		if !strings.Contains(view, want) {
			t.Errorf("the screen does not show %q:\n%s", want, view)
		}
	}
}
