package tui

import (
	"context"
	"fmt"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/term/visible"
)

// Messages is the view of the messages between services as a part of another screen. It is used
// by the goroutine of that screen.
type Messages struct {
	m      *tapModel
	cancel context.CancelFunc
}

// MessagesResult is the result of a command of [Messages.Press].
type MessagesResult struct{ msg tea.Msg }

// NewMessages returns a view that must be closed. In of the screen is not used.
func NewMessages(ctx context.Context, screen TapScreen) *Messages {
	ctx, cancel := context.WithCancel(ctx)
	return &Messages{newTapModel(ctx, screen), cancel}
}

// Close waits for the work that keys have started.
func (v *Messages) Close() {
	v.cancel()
	v.m.work.Wait()
}

// Take takes the messages that have arrived, and reports whether there is anything to draw.
func (v *Messages) Take() (changed bool) {
	v.m.take()
	changed, v.m.changed = v.m.changed, false
	return changed
}

// Press handles a single key. The command returns a [MessagesResult] for Update.
func (v *Messages) Press(msg tea.KeyMsg) tea.Cmd {
	v.m.changed = true
	cmd := v.m.press(msg)
	if cmd == nil {
		return nil
	}
	return func() tea.Msg { return MessagesResult{cmd()} }
}

// Update handles the result of a key.
func (v *Messages) Update(r MessagesResult) { v.m.Update(r.msg) }

// Asks reports whether a prompt is open, to which all keys belong.
func (v *Messages) Asks() bool { return v.m.prompt != nil }

// Opened reports whether details or a popup are open, which Esc closes.
func (v *Messages) Opened() bool { return v.m.detail.open || v.m.popup != nil }

// Noted reports whether there is a note to be shown.
func (v *Messages) Noted() bool { return v.m.note != "" }

// Keys returns the keys of the view, for a help.
func (v *Messages) Keys() []key.Binding { return v.m.keys.listed() }

// Draw draws the messages in a border with a title, or the details of one.
func (v *Messages) Draw(a Area, border Look, title []Span) {
	if v.m.detail.open {
		v.m.drawDetail(a, true)
	} else {
		inner := Frame(a, border, title, v.status())
		v.m.drawList(inner.Sub(0, 0, inner.width-1, inner.height))
	}
	if v.m.popup != nil {
		v.m.popup.Draw(a)
	}
}

// DrawFooter draws the prompt, a note, or the keys in one line.
func (v *Messages) DrawFooter(a Area) { v.m.drawFooter(a) }

// status describes what is shown: the number of trees, the filter, and what is missing.
func (v *Messages) status() []Span {
	status := []Span{{Dim, v.m.counts()}}
	if text := filterText(v.m.list.Filter()); text != "" {
		status = append(status, Span{Warn, "  only "}, Span{Plain, text})
	}
	status = append(status, v.m.missing()...)
	if paused, waiting := v.m.list.Paused(); paused {
		status = append(status, Span{Warn, fmt.Sprintf("  ‖ paused, %d new", waiting)})
	}
	return status
}

// SetTrace shows only the trees with a trace or correlation ID; all of them if it is "".
func (v *Messages) SetTrace(id string) {
	f := v.m.list.Filter()
	f.Trace = id
	v.m.list.SetFilter(f)
	v.m.changed = true
}

// Correlation returns the correlation ID of the selected message; "" if it is not known.
func (v *Messages) Correlation() string {
	message, _, ok := v.m.selected()
	if !ok {
		return ""
	}
	return visible.Line(message.Correlation)
}
