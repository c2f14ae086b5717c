package report

import (
	"bufio"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What the text report is laid out for, in columns.
const (
	textWidth  = 80
	labelWidth = 14
)

// writer writes lines of the text report; errors are those of out, which keeps
// the first.
type writer struct {
	out *bufio.Writer
	p   Palette
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w.out, format+"\n", args...)
}

// label is the bold word at the beginning of a line.
func (w *writer) label(text string) string { return w.p.Bold(pad(text, -labelWidth)) }

// wrapped writes text beside a label on as many lines as it takes, painted where
// paint is not nil. Without a label text stands under the one before, or at the
// line's begin where it is the head's.
func (w *writer) wrapped(label, text string, paint func(string) string) {
	if paint == nil {
		paint = func(text string) string { return text }
	}
	for i, line := range wrap(text, textWidth-labelWidth) {
		if i > 0 {
			label = ""
		}
		w.line("%s%s", w.label(label), paint(line))
	}
}

// wrap breaks text into lines of at most width columns, between words where that
// can be.
func wrap(text string, width int) (lines []string) {
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

// shorten cuts text to width columns.
func shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}

// pad fills text with spaces to width columns: to the right for a width of
// less than 0, as fmt does, but by characters.
func pad(text string, width int) string {
	fill := strings.Repeat(" ", max(max(width, -width)-utf8.RuneCountInString(text), 0))
	if width < 0 {
		return text + fill
	}
	return fill + text
}

func plural(n int, format string) string {
	text := fmt.Sprintf(format, n)
	if n != 1 {
		text += "s"
	}
	return text
}

func counted(n int64, one string) string { return countedAs(n, one, one+"s") }

func countedAs(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}
