package tui

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/test/golden"
)

// sessionMessages returns the messages that the tests of all views share. Their times are the same in
// every time zone.
func sessionMessages(t *testing.T) (messages []tap.Message) {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "tap", "outline", "testdata", "session.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		m, err := tap.ParseMessage(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		_, offset := time.Unix(0, m.Start).Zone()
		m.Start -= int64(offset) * int64(time.Second)
		messages = append(messages, m)
	}
	return messages
}

// fakeTap records what keys do.
type fakeTap struct{ calls []string }

func (f *fakeTap) screen(messages []tap.Message) TapScreen {
	c := make(chan tap.Message, len(messages))
	for _, m := range messages {
		c <- m
	}
	return TapScreen{
		Title: "shop", Messages: c, Out: io.Discard, Ended: func() string { return "" },
		Command: func(m tap.Message, to string) (string, error) {
			f.calls = append(f.calls, "copy "+m.Pattern+" to "+to)
			return "msctl send " + visible.Line(m.Pattern) + " --to " + visible.Line(to), nil
		},
		Resend: func(_ context.Context, m tap.Message, to string) (string, error) {
			f.calls = append(f.calls, "resend "+m.Span+" to "+to)
			if to == "" {
				return "", errors.New("nothing\x1b[2J handles it")
			}
			return "{\n  \"ok\": \"\x1b[2J\"\n}\n", nil
		},
		Save: func(name string, messages []tap.Message) error {
			f.calls = append(f.calls, "save "+name)
			if name == "" {
				return errors.New("no name")
			}
			return nil
		},
	}
}

func tapOf(t *testing.T, width, height int) (*tapModel, *fakeTap) {
	t.Helper()
	f := &fakeTap{}
	m := newTapModel(t.Context(), f.screen(sessionMessages(t)))
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.Update(frame{})
	return m, f
}

// typed presses keys, and lets what they cause happen.
func (m *tapModel) typed(keys ...string) {
	names := map[string]tea.KeyType{
		"up": tea.KeyUp, "down": tea.KeyDown, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "backspace": tea.KeyBackspace, "ctrl+u": tea.KeyCtrlU,
	}
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if special, ok := names[k]; ok {
			msg = tea.KeyMsg{Type: special}
		} else if k == " " {
			msg = tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(k)}
		}
		m.View() // the size of a page is that of the last frame
		if cmd := m.press(msg); cmd != nil {
			m.Update(cmd())
		}
		m.changed = true
	}
}

func times(n int, key string) (keys []string) {
	for range n {
		keys = append(keys, key)
	}
	return keys
}

// TestTapView compares the screens, in both common sizes, with golden files.
func TestTapView(t *testing.T) {
	cases := []struct {
		name string
		keys []string
	}{
		{"list", nil},
		{"home", []string{"home"}},
		{"failure", append([]string{"home"}, times(13, "down")...)},
		{"details", append(append([]string{"home"}, times(13, "down")...), "enter")},
		{"found", []string{"home", "down", "enter", "/", "w", "i", "d", "enter"}},
		{"filter", []string{"e", "s", "i", "enter"}},
		{"prompt", []string{"s", "x"}},
		{"none", []string{"p", "x", "y", "enter"}},
		{"copied", []string{"home", "down", "c"}},
		{"help", []string{"?"}},
		{"paused", []string{" "}},
	}
	for _, c := range cases {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"80x24", 80, 24}, {"120x40", 120, 40}} {
			t.Run(c.name+" "+size.name, func(t *testing.T) {
				m, _ := tapOf(t, size.width, size.height)
				m.typed(c.keys...)
				got := m.View()
				checkSize(t, got, size.width, size.height)
				if strings.Contains(got, "\x1b") || strings.Contains(got, "\u202e") {
					t.Error("text of a service reaches the terminal as it is")
				}
				golden.Check(t, filepath.Join("testdata", "tap_"+c.name+"_"+size.name+".txt"), got+"\n")
			})
		}
	}
}

// TestTapEverySize checks that the screen fits terminals of any size, in every state.
func TestTapEverySize(t *testing.T) {
	for _, keys := range [][]string{nil, {"enter"}, {"?"}, {"home", "down", "c"}, {"/"}, {"home", "down", "down", "r"}} {
		m, _ := tapOf(t, 0, 0)
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

// TestTapColors checks that the screen has the same text with and without colors.
func TestTapColors(t *testing.T) {
	for _, keys := range [][]string{{"home"}, {"home", "down", "enter", "/", "w", "i", "enter"}} {
		m, _ := tapOf(t, 120, 40)
		m.typed(keys...)
		without := m.View()
		m.palette, m.changed = NewPalette(true), true
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

// TestTapKeys checks what keys do outside of the screen, and the answers.
func TestTapKeys(t *testing.T) {
	cases := []struct {
		name  string
		keys  []string
		calls []string
		shown string
	}{
		{"copy", []string{"home", "down", "c"}, []string{`copy {"cmd":"findAllItems"} to items`}, "copied, if the terminal permits it"},
		{"resend", []string{"home", "down", "r"}, []string{"resend a2 to items"}, `"ok": "\x1b[2J"`},
		{"resend fails", []string{"home", "r"}, []string{"resend a1 to "}, `nothing\x1b[2J handles it`},
		{"resend what is handled", append(append([]string{"home"}, times(9, "down")...), "r"), []string{"resend b9 to audit"}, "sent again"},
		{"save", []string{"home", "w", "ctrl+u", "f", "x", "backspace", "enter"}, []string{"save f"}, "saved 3 records to f"},
		{"save nowhere", []string{"home", "w", "ctrl+u", "enter"}, []string{"save "}, "no name"},
		{"save as proposed", []string{"home", "w", "enter"}, []string{"save tree-203256.707.jsonl"}, "saved 3 records"},
		{"cancel", []string{"w", "esc"}, nil, "? help"},
		{"services", []string{"s", "tab", "tab", "tab", "enter"}, nil, "only service gateway"},
		{"a beginning", []string{"s", "or", "enter"}, nil, "only service orders"},
		{"no service", []string{"s", "other", "enter"}, nil, "no messages of a service other"},
		{"slower", []string{"t", "500", "enter"}, nil, "slower than 500ms"},
		{"not a duration", []string{"t", "x", "enter"}, nil, "not a duration"},
		{"ID", []string{"i", "0002", "enter"}, nil, "1 of 7 trees"},
		{"pattern", []string{"p", "createOrder", "enter"}, nil, "2 of 7 trees"},
		{"search", []string{"/", "WIDGET", "enter", "N"}, nil, "*"},
		{"clear", []string{"/", "WIDGET", "enter", "x"}, nil, "records, 7 trees"},
		{"nothing to search for", []string{"n"}, nil, "nothing to search for"},
		{"page down", []string{"home", "pgdown", "pgup"}, nil, "› 20:32:56"},
		{"details scroll", []string{"home", "down", "enter", "end", "esc"}, nil, "→ items  findAllItems"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, f := tapOf(t, 80, 24)
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

// TestTapPaste checks that pasted text is no key, except in a prompt.
func TestTapPaste(t *testing.T) {
	m, _ := tapOf(t, 80, 24)
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("?e"), Paste: true})
	if m.help || m.list.Filter().Errors {
		t.Error("what was pasted was obeyed")
	}
	m.typed("/")
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("a\nb\x1b"), Paste: true})
	if m.prompt == nil || m.prompt.Text != "ab" {
		t.Errorf("the prompt is %+v", m.prompt)
	}
}

// TestTapFrames checks that nothing is drawn while nothing changes.
func TestTapFrames(t *testing.T) {
	m, _ := tapOf(t, 80, 24)
	m.View()
	if m.Update(frame{}); m.changed {
		t.Error("a frame without messages draws the screen")
	}
	m.typed(" ")
	if m.View(); !strings.Contains(m.frame, "‖ paused, 0 new") {
		t.Errorf("not paused:\n%s", m.frame)
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

// TestTap runs the program: it shows messages until they end, and leaves the last screen.
func TestTap(t *testing.T) {
	f := &fakeTap{}
	messages := sessionMessages(t)
	screen := f.screen(messages)
	c := make(chan tap.Message, len(messages))
	screen.Messages = c
	for _, m := range messages {
		c <- m
	}
	close(c)
	screen.Ended = func() string { return "the connection was lost" }
	keys, typed := io.Pipe()
	var out lockedBuffer
	screen.In, screen.Out = keys, &out
	go func() {
		for _, k := range []string{"x", "c", "x", "q"} {
			settle()
			_, _ = typed.Write([]byte(k))
		}
	}()
	trees, err := Tap(t.Context(), screen)
	_ = typed.Close()
	if err != nil {
		t.Fatal(err)
	}
	if len(trees.Roots()) != 7 {
		t.Errorf("%d trees", len(trees.Roots()))
	}
	copied := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(`msctl send {"cmd":"report"} --to `)) + "\a"
	if !strings.Contains(out.String(), copied) {
		t.Error("nothing was copied")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Tap(ctx, screen); err != nil {
		t.Errorf("canceled: %v", err)
	}
}

// TestTapNote checks that a note is shown, without what would control the terminal.
func TestTapNote(t *testing.T) {
	m, _ := tapOf(t, 120, 40)
	notes := make(chan string, 1)
	m.screen.Notes = notes
	notes <- "lost the connection\x1b[2J"
	m.Update(frame{})
	if view := m.View(); !strings.Contains(view, "lost the connection") || strings.Contains(view, "\x1b[2J") {
		t.Errorf("the note is not shown:\n%q", view)
	}
}
