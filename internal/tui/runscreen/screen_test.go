package runscreen

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/tui"
)

// TestView compares the screens, in both common sizes, with golden files.
func TestView(t *testing.T) {
	cases := []struct {
		name string
		keys []string
	}{
		{"logs", nil},
		{"services", []string{"1", "down"}},
		{"messages", []string{"3"}},
		{"details", []string{"3", "up", "enter"}},
		{"service", []string{"1", "enter"}},
		{"found", []string{"/", "REQUEST", "enter", "N"}},
		{"id", []string{"/", id, "enter", "I"}},
		{"wrapped", []string{"z", "l"}},
		{"line", []string{"/", "escape", "enter", "enter"}},
		{"send", []string{"M", "cmd=findItem id:=7"}},
		{"reply", []string{"M", "cmd=findItem", "enter"}},
		{"none", []string{"i", "nothing", "enter"}},
		{"help", []string{"?"}},
		{"help_services", []string{"1", "?"}},
	}
	for _, c := range cases {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"80x24", 80, 24}, {"120x40", 120, 40}} {
			t.Run(c.name+" "+size.name, func(t *testing.T) {
				m, _ := modelOf(t, size.width, size.height)
				m.typed(c.keys...)
				got := m.View()
				checkSize(t, got, size.width, size.height)
				if strings.ContainsAny(got, "\x1b\t") {
					t.Error("text of a service reaches the terminal as it is")
				}
				golden.Check(t, filepath.Join("testdata", c.name+"_"+size.name+".txt"), got+"\n")
			})
		}
	}
}

// TestLast compares what stays on the terminal.
func TestLast(t *testing.T) {
	m, _ := modelOf(t, 120, 40)
	m.typed("1", "enter", "/", "request", "enter")
	m.Close()
	if _, cmd := m.Update(tick{}); cmd == nil || cmd() != tea.Quit() {
		t.Error("the screen does not end with the run")
	}
	golden.Check(t, filepath.Join("testdata", "last.txt"), m.last()+"\n")
}

// TestEverySize checks that the screen fits terminals of any size, in every state.
func TestEverySize(t *testing.T) {
	for _, keys := range [][]string{nil, {"z"}, {"l"}, {"?"}, {"3", "enter"}, {"1", "z"}, {"M"}, {"M", "x", "enter"}} {
		m, _ := modelOf(t, 0, 0)
		if m.View() != "" {
			t.Error("something is drawn before the size is known")
		}
		m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
		m.typed(keys...)
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
	m, _ := modelOf(t, 120, 40)
	m.typed("/", "request", "enter")
	without := m.View()
	m.palette, m.changed = tui.NewPalette(true), true
	with := m.View()
	if !strings.Contains(with, "\x1b[31m") {
		t.Error("the red word is not red")
	}
	var lines []string
	for l := range strings.Lines(ansi.Strip(with)) {
		lines = append(lines, strings.TrimRight(l, " \n"))
	}
	if diff := cmp.Diff(without, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("-without +with colors\n%s", diff)
	}
}

// TestKeys checks what keys do outside of the screen, and the answers.
func TestKeys(t *testing.T) {
	cases := []struct {
		name  string
		keys  []string
		calls []string
		shown string
	}{
		{"restart", []string{"R"}, []string{"restart items"}, "tab panes"},
		{"restart another one", []string{"1", "down", "r"}, []string{"restart orders"}, "tab panes"},
		{"stop", []string{"S"}, []string{"stop items"}, "tab panes"},
		{"rebuild", []string{"1", "down", "b"}, []string{"rebuild orders"}, "tab panes"},
		{"an error", []string{"1", "end", "r"}, []string{"restart gateway"}, `service gateway\x1b[2J is still being built`},
		{"docs", []string{"O"}, []string{"open http://localhost:3001/api"}, "opened http://localhost:3001/api"},
		{"send", []string{"M", "cmd=a", "enter"}, []string{"send cmd=a"}, `"ok": "\x1b[2J"`},
		{"send again", []string{"M", "cmd=a", "enter", "esc", "M", "bc", "enter"}, []string{"send cmd=a", "send cmd=abc"}, "reply after"},
		{"send nothing", []string{"M", "enter"}, nil, "tab panes"},
		{"send nothing after all", []string{"M", "cmd=a", "esc"}, nil, "tab panes"},
		{"send fails", []string{"M", "slow", "enter"}, []string{"send slow"}, "too slow"},
		{"save", []string{"w", "ctrl+u", "f", "enter"}, []string{"save 18 lines to f"}, "saved 18 lines to f"},
		{"save the lines of a service", []string{"s", "ga", "enter", "w", "ctrl+u", "f", "enter"}, []string{"save 4 lines to f"}, "saved 4 lines to f"},
		{"the name as proposed", []string{"w", "enter"}, []string{"save 18 lines to run-093312.log"}, "saved"},
		{"services", []string{"s", "tab", "tab", "enter"}, nil, "only orders"},
		{"no service", []string{"s", "xy", "enter"}, nil, "no service xy; there are items, orders, gateway"},
		{"clear", []string{"s", "items", "enter", "x"}, nil, "18 lines ─"},
		{"no match", []string{"/", "nothing", "enter"}, nil, "no line contains nothing"},
		{"no more matches", []string{"/", "shop is ready", "enter", "n"}, nil, "no more matches"},
		{"nothing to search for", []string{"n"}, nil, "nothing to search for"},
		{"an ID for both panes", []string{"/", id, "enter", "i", "enter"}, nil, "only ID " + id},
		{"the ID of a message", []string{"3", "up", "I"}, nil, "1 of 2 trees  only ID " + id},
		{"and all again", []string{"3", "up", "I", "I"}, nil, " 2 trees"},
		{"no ID", []string{"home", "I"}, nil, "what is selected has no ID"},
		{"scroll to the right", []string{"/", "escape", "enter", "right"}, nil, "│ a red word,"},
		{"page up", []string{"pgup", "pgup"}, nil, "not following"},
		{"follow again", []string{"pgup", "end"}, nil, "18 lines ─"},
		{"help closes", []string{"?", "esc"}, nil, "tab panes"},
		{"panes", []string{"tab", "tab"}, nil, "r restart"},
		{"panes back", []string{"shift+tab"}, nil, "r restart"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, f := modelOf(t, 120, 40)
			m.typed(c.keys...)
			if diff := cmp.Diff(c.calls, f.calls); diff != "" {
				t.Errorf("calls -want +got\n%s", diff)
			}
			if view := m.View(); !strings.Contains(view, c.shown) {
				t.Errorf("the screen does not show %q:\n%s", c.shown, view)
			}
		})
	}
}

// TestStart checks that a service that is stopped is started by the same key.
func TestStart(t *testing.T) {
	m, f := modelOf(t, 80, 24)
	f.status.Services[0].State, f.status.Services[0].Pid = proc.StateStopped, 0
	m.Add(proc.Event{Kind: proc.KindStopped, Service: "items"}, nil)
	m.run(m.take(m.options.Now()))
	m.typed("1", "s")
	if diff := cmp.Diff([]string{"start items"}, f.calls); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if view := m.View(); !strings.Contains(view, "○ stopped         –        –") {
		t.Errorf("usage of a service that is stopped:\n%s", view)
	}
}

// TestQuit checks that q and ctrl+c stop the run, also from a prompt, and that the screen stays until
// the run has ended.
func TestQuit(t *testing.T) {
	m, f := modelOf(t, 80, 24)
	m.typed("q")
	m.typed("M", "q", "ctrl+c")
	if f.stops != 2 {
		t.Errorf("%d stops, want 2", f.stops)
	}
	m.typed("esc")
	m.Add(proc.Event{Kind: proc.KindEnding}, []string{"stopping"})
	m.run(m.take(m.options.Now()))
	if view := m.View(); !strings.Contains(view, "◌ stopping; q again kills") {
		t.Errorf("not stopping:\n%s", view)
	}
}

// TestPaste checks that pasted text is no key, except in a prompt.
func TestPaste(t *testing.T) {
	m, f := modelOf(t, 80, 24)
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("qRS"), Paste: true})
	if len(f.calls) > 0 || f.stops > 0 {
		t.Error("what was pasted was obeyed")
	}
	m.typed("M")
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("a\nb\x1b"), Paste: true})
	if m.prompt == nil || m.prompt.Text != "ab" {
		t.Errorf("the prompt is %+v", m.prompt)
	}
}

// TestFrames checks that nothing is drawn while nothing changes.
func TestFrames(t *testing.T) {
	m, _ := modelOf(t, 80, 24)
	m.View()
	if cmd := m.take(m.options.Now()); m.changed || cmd != nil {
		t.Error("a frame without news draws the screen")
	}
}

// TestReplacedServices checks that a run with other services keeps what is known of those that stay,
// and that a broker of the run is listed.
func TestReplacedServices(t *testing.T) {
	m, f := modelOf(t, 120, 40)
	m.SetServices([]proc.Service{{Name: "gateway"}, {Name: "mail"}})
	f.status.Services = []proc.ServiceStatus{{Name: "nats", RunsBroker: true, State: proc.StateReady}, {Name: "gateway", State: proc.StateReady}, {Name: "mail", State: proc.StateWaiting, Problem: "waiting for nats"}}
	m.Add(proc.Event{Kind: proc.KindNote}, nil)
	m.run(m.take(m.options.Now()))
	view := m.View()
	for _, want := range []string{"1 of 2 ready", "nats ", "gateway  ● ready", "812ms", "waiting for nats"} {
		if !strings.Contains(view, want) {
			t.Errorf("no %q:\n%s", want, view)
		}
	}
	if strings.Contains(view, "items    ●") {
		t.Errorf("a service that is not in the run anymore:\n%s", view)
	}
}

// lockedBuffer is written like a file: by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestDraw runs the program: c copies a line, and the end of the run leaves the last state.
func TestDraw(t *testing.T) {
	s, _ := shop()
	keys, typed := io.Pipe()
	var out lockedBuffer
	s.options.In, s.options.Out = keys, &out
	copied := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("✗ build failed; still serving the previous build")) + "\a"
	go func() {
		_, _ = typed.Write([]byte("c"))
		for !strings.Contains(out.String(), copied) {
			<-time.After(10 * time.Millisecond)
		}
		s.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	context.AfterFunc(ctx, s.Close)
	if err := s.Draw(ctx); err != nil {
		t.Fatal(err)
	}
	_ = typed.Close()
	before, after, ok := strings.Cut(out.String(), "\x1b[?1049l")
	if !ok || !strings.Contains(before, copied) || !strings.Contains(after, "build failed") || !strings.Contains(after, "1 services") {
		t.Errorf("the terminal got %q", out.String())
	}
}
