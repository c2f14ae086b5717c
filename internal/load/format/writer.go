package format

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The layout of a text report, in columns.
const (
	Width      = 80 // without a terminal
	LeastWidth = 40 // of a narrow terminal
	LabelWidth = 14
)

// Palette colors text by its meaning. Reports know nothing else about the
// terminal.
type Palette interface {
	Good(text string) string
	Bad(text string) string
	Warn(text string) string
	Dim(text string) string
	Bold(text string) string
}

// Writer writes the lines of a text report. The first write error is kept and
// returned by Flush.
type Writer struct {
	Palette
	// Width is where text is wrapped, in columns. Tables have a fixed width.
	Width int
	out   *bufio.Writer
}

// NewWriter returns a Writer of a width that writes to out.
func NewWriter(out io.Writer, p Palette, width int) *Writer {
	return &Writer{p, max(width, LeastWidth), bufio.NewWriter(out)}
}

// Flush writes buffered lines and returns the first error of any write.
func (w *Writer) Flush() error { return w.out.Flush() }

// Line writes one formatted line.
func (w *Writer) Line(format string, args ...any) {
	fmt.Fprintf(w.out, format+"\n", args...) // Flush returns the error
}

// Label returns text as the bold label at the start of a line, LabelWidth wide.
func (w *Writer) Label(text string) string { return w.Bold(Pad(text, -LabelWidth)) }

// Wrapped writes a label followed by text, which continues below itself on as
// many lines as needed. A nil paint leaves the text uncolored.
func (w *Writer) Wrapped(label, text string, paint func(string) string) {
	if paint == nil {
		paint = func(text string) string { return text }
	}
	for i, line := range Wrap(text, w.Width-LabelWidth) {
		if i > 0 {
			label = ""
		}
		w.Line("%s%s", w.Label(label), paint(line))
	}
}

// Wrap breaks text between words into lines of at most width columns. A longer
// word gets a line of its own.
func Wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// Shorten truncates text to width columns; truncated text ends in an ellipsis.
func Shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}

// Pad fills text with spaces to width columns, aligned right, or aligned left if
// width is negative. Unlike fmt, which pads %s the same way, it never fails to
// count a multi-byte character as one column.
func Pad(text string, width int) string {
	fill := strings.Repeat(" ", max(max(width, -width)-utf8.RuneCountInString(text), 0))
	if width < 0 {
		return text + fill
	}
	return fill + text
}
