package runscreen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/usage"
	"github.com/msctl/msctl/internal/tap"
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
