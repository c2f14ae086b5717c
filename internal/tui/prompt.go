package tui

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/term/visible"
)

// Prompt asks for a text in the last line of a screen.
type Prompt struct {
	Label, Text string
	Choices     []string // that the tab key cycles through
	// Done is called with the text.
	Done func(text string) tea.Cmd
}

// Press handles a key. It reports whether the prompt is over, with the text or without.
func (p *Prompt) Press(msg tea.KeyMsg) (over, canceled bool) {
	switch msg.Type {
	case tea.KeyRunes, tea.KeySpace:
		for _, r := range msg.Runes {
			if unicode.IsPrint(r) {
				p.Text += string(r)
			}
		}
	case tea.KeyEsc:
		return true, true
	case tea.KeyEnter:
		return true, false
	case tea.KeyBackspace, tea.KeyCtrlH:
		if runes := []rune(p.Text); len(runes) > 0 {
			p.Text = string(runes[:len(runes)-1])
		}
	case tea.KeyCtrlU:
		p.Text = ""
	case tea.KeyTab:
		if len(p.Choices) > 0 {
			p.Text = p.Choices[(slices.Index(p.Choices, p.Text)+1)%len(p.Choices)]
		}
	}
	return false, false
}

// Draw draws the prompt in one line.
func (p *Prompt) Draw(a Area) {
	text := visible.Line(p.Text)
	head := p.Label + ": "
	for Width(head)+Width(text)+4 > a.width && text != "" { // the end is what is edited
		_, text, _ = strings.Cut(text, string([]rune(text)[0]))
	}
	x := a.Spans(1, 0, Span{Accent, head}, Span{Plain, text}, Span{Plain, "▏"})
	if len(p.Choices) > 0 {
		a.Sub(x+1, 0, a.width-x-1, 1).Write(0, 0, Dim, " tab: "+visible.Line(strings.Join(p.Choices, ", ")))
	}
}

// Popup is text over a screen, until a key other than those that scroll it is pressed.
type Popup struct {
	Title string
	Lines []string // without control characters

	top, height, total int // what is visible of the lines
}

// Press handles a key, and reports whether it closes the popup.
func (p *Popup) Press(msg tea.KeyMsg) (closed bool) {
	switch msg.String() {
	case "up", "k":
		p.top--
	case "down", "j":
		p.top++
	case "pgup", "ctrl+b":
		p.top -= max(p.height-1, 1)
	case "pgdown", "ctrl+f":
		p.top += max(p.height-1, 1)
	default:
		return true
	}
	closed = p.total <= p.height // there is nothing to scroll
	p.top = max(min(p.top, p.total-p.height), 0)
	return closed
}

// Draw draws the popup in the middle of an area.
func (p *Popup) Draw(a Area) {
	room := a.width - 6
	var lines []string
	for _, l := range p.Lines {
		lines = append(lines, wrapped(l, room)...)
	}
	height := min(len(lines)+2, a.height)
	over := a.Sub(1, (a.height-height)/2, a.width-2, height)
	for y := range over.height {
		over.Fill(0, y, over.width, ' ', Plain)
	}
	inner := Box(over, p.Title)
	p.total, p.height = len(lines), inner.height
	p.top = max(min(p.top, p.total-p.height), 0)
	for y, l := range lines[p.top:min(p.top+p.height, len(lines))] {
		if rest := p.total - p.top - p.height; y == p.height-1 && rest > 0 {
			l = fmt.Sprintf("… %d more lines", rest+1)
		}
		inner.Write(1, y, Plain, l)
	}
}
