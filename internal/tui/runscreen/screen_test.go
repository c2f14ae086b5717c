package runscreen

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/usage"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/internal/workspace"
	reported "github.com/msctl/msctl/runtime/tap"
)

// begin is the start of the runs of the tests.
var begin = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// fakeRun is a run of which the test determines the status.
type fakeRun struct {
	mu     sync.Mutex // guards what follows
	status proc.Status
	calls  []string
	stops  int
}

func (f *fakeRun) Status() proc.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := f.status
	status.Services = slices.Clone(status.Services)
	return status
}

func (f *fakeRun) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fakeRun) Do(_ context.Context, service string, a proc.Action) error {
	f.note("%s %s", a, service)
	if service == "gateway" {
		return errors.New("service gateway\x1b[2J is still being built")
	}
	return nil
}

func (f *fakeRun) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops++
}

func (f *fakeRun) options() Options {
	return Options{
		Title: "shop", Run: f, Out: io.Discard, Now: func() time.Time { return begin.Add(3*time.Minute + 12*time.Second) },
		Measure: func(groups []int) map[int]usage.Usage {
			found := map[int]usage.Usage{}
			for i, id := range groups {
				found[id] = usage.Usage{CPU: 0.031 * float64(i), Memory: int64(8+20*i) << 20}
			}
			return found
		},
		Messages: tui.TapScreen{
			Messages: make(chan tap.Message, 100), Out: io.Discard, Ended: func() string { return "" },
			Command: func(tap.Message, string) (string, error) { return "msctl send", nil },
			Resend:  func(context.Context, tap.Message, string) (string, error) { return "resent", nil },
		},
		Send: func(_ context.Context, text string) (string, error) {
			f.note("send %s", text)
			if text == "slow" {
				return "", errors.New("too slow")
			}
			return "{\n  \"ok\": \"\x1b[2J\"\n}\n", nil
		},
		Docs: func(s proc.Service) string {
			if s.Kind != workspace.KindGateway {
				return ""
			}
			return "http://localhost:3001/api"
		},
		Open: func(_ context.Context, url string) error {
			f.note("open %s", url)
			return nil
		},
		Save: func(name string, lines []string) error {
			f.note("save %d lines to %s", len(lines), name)
			return nil
		},
	}
}

const id = "c0ffee0123456789"

// shop returns a screen of a run with three services that has been used for a while: one service does
// not build, and what another one logs is hostile.
func shop() (*Screen, *fakeRun) {
	f := &fakeRun{}
	s := New(f.options())
	s.SetServices([]proc.Service{
		{Name: "items", URL: "tcp://127.0.0.1:3002", Go: true},
		{Name: "orders", URL: "tcp://127.0.0.1:3003", Go: true},
		{Name: "gateway", Kind: workspace.KindGateway, URL: "http://127.0.0.1:3001", Go: true},
	})
	after := 0
	add := func(e proc.Event, lines ...string) {
		after += 700
		e.Time = begin.Add(time.Duration(after) * time.Millisecond)
		s.Add(e, lines)
	}
	for i, name := range []string{"items", "orders", "gateway"} {
		add(proc.Event{Kind: proc.KindBuilding, Service: name}, "\x1b[2mbuilding\x1b[0m")
		add(proc.Event{Kind: proc.KindBuilt, Service: name, Took: 812 * time.Millisecond}, "\x1b[2mbuilt in 812ms\x1b[0m")
		add(proc.Event{Kind: proc.KindStarting, Service: name})
		add(proc.Event{Kind: proc.KindReady, Service: name}, fmt.Sprintf("\x1b[32m✓ ready\x1b[0m in 41ms\x1b[2m, pid %d\x1b[0m", 101+i))
		f.status.Services = append(f.status.Services, proc.ServiceStatus{
			Name: name, State: proc.StateReady, Pid: 101 + i, URL: []string{"tcp://127.0.0.1:3002", "tcp://127.0.0.1:3003", "http://127.0.0.1:3001"}[i], Since: begin.Add(10 * time.Second),
		})
	}
	add(proc.Event{Kind: proc.KindAllReady}, "\x1b[32mshop is ready\x1b[0m in 2.4s")
	for _, service := range []string{"gateway", "orders", "items"} {
		add(proc.Event{Kind: proc.KindLog, Service: service}, "09:30:21.044 INFO request method=POST path=/orders status=201 took=5.7ms correlation_id="+id)
	}
	add(proc.Event{Kind: proc.KindLog, Service: "items"}, "an escape: \\x1b[2J, a \x1b[31mred\x1b[0m word,\ta tab, \u65e5\u672c\u8a9e, and a tail that is longer than the screen: "+strings.Repeat("0123456789", 20))
	add(proc.Event{Kind: proc.KindChanged, Service: "orders"}, "changed: apps/orders/main.go")
	add(proc.Event{Kind: proc.KindBuilding, Service: "orders"}, "building")
	add(proc.Event{Kind: proc.KindBuildFailed, Service: "orders"}, "apps/orders/main.go:12:2: undefined: handler", "\x1b[1;31m✗ build failed\x1b[0m; still serving the previous build")
	add(proc.Event{Kind: proc.KindStarting, Service: "items"})
	f.status.Services[0].Crashes = 1
	f.status.Services[1].BuildFailed = true
	return s, f
}

func message(service string, kind reported.Kind, pattern, span, parent string, start, took time.Duration) tap.Message {
	_, offset := begin.In(time.Local).Zone() // the screen has the times of this machine
	at := begin.Add(21*time.Second + start - time.Duration(offset)*time.Second)
	return tap.Message{Service: service, Record: reported.Record{
		Kind: kind, Pattern: pattern, Span: span, Parent: parent, Start: at.UnixNano(), Took: int64(took), Outcome: reported.OK, Correlation: id,
	}}
}

// modelOf returns the model of the shop's screen with three messages.
func modelOf(t *testing.T, width, height int) (*model, *fakeRun) {
	t.Helper()
	s, f := shop()
	messages := make(chan tap.Message, 10)
	for _, m := range []tap.Message{
		message("gateway", reported.HTTP, "POST /orders", "a", "", 0, 6*time.Millisecond),
		message("gateway", reported.Send, `{"cmd":"createOrder"}`, "b", "a", time.Millisecond, 4*time.Millisecond),
		message("orders", reported.Handle, `{"cmd":"createOrder"}`, "c", "b", 2*time.Millisecond, 2*time.Millisecond),
		message("items", reported.Handle, `"item.v1.viewed"`, "d", "", 40*time.Millisecond, time.Millisecond),
	} {
		if m.Span == "d" {
			m.Correlation = "another"
		}
		messages <- m
	}
	s.options.Messages.Messages = messages
	m := newModel(t.Context(), s)
	t.Cleanup(func() {
		m.messages.Close()
		m.work.Wait()
	})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.run(m.take(m.options.Now()))
	return m, f
}

// run lets happen what a command causes.
func (m *model) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	if msg := cmd(); msg != nil {
		m.Update(msg)
	}
}

// typed presses keys. What they cause happens at once.
func (m *model) typed(keys ...string) {
	names := map[string]tea.KeyType{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome,
		"end": tea.KeyEnd, "enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "backspace": tea.KeyBackspace,
		"ctrl+u": tea.KeyCtrlU, "ctrl+c": tea.KeyCtrlC, "ctrl+l": tea.KeyCtrlL,
	}
	for _, k := range keys {
		msgs := []tea.KeyMsg{{Type: tea.KeyRunes, Runes: []rune(k)}}
		if special, ok := names[k]; ok {
			msgs = []tea.KeyMsg{{Type: special}}
		} else if len(k) > 1 { // text
			msgs = nil
			for _, r := range k {
				msgs = append(msgs, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
			}
		}
		for _, msg := range msgs {
			m.View() // the size of a page is that of the last frame
			_, cmd := m.Update(msg)
			m.run(cmd)
		}
	}
}

func checkSize(t *testing.T, view string, width, height int) {
	t.Helper()
	lines := strings.Split(view, "\n")
	if len(lines) != height {
		t.Errorf("%d×%d: %d lines", width, height, len(lines))
	}
	for _, l := range lines {
		if n := ansi.StringWidth(l); n > width {
			t.Errorf("%d×%d: a line of %d columns: %q", width, height, n, l)
		}
	}
}

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
