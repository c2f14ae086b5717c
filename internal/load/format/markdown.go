package format

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Markdown writes a report in GitHub's Markdown. The first write error is kept
// and returned by Flush.
type Markdown struct{ out *bufio.Writer }

// NewMarkdown returns a Markdown that writes to out.
func NewMarkdown(out io.Writer) *Markdown { return &Markdown{bufio.NewWriter(out)} }

// Flush writes buffered lines and returns the first error of any write.
func (m *Markdown) Flush() error { return m.out.Flush() }

// Line writes one formatted line.
func (m *Markdown) Line(format string, args ...any) {
	fmt.Fprintf(m.out, format+"\n", args...) // Flush returns the error
}

// Row writes a row of a table. Cells must be escaped already.
func (m *Markdown) Row(cells ...string) { m.Line("| %s |", strings.Join(cells, " | ")) }

// Head writes the head of a table. Columns are aligned right, as numbers are,
// except the first and those that contain words.
func (m *Markdown) Head(cells ...string) {
	m.Row(cells...)
	rule := "|---"
	for _, name := range cells[1:] {
		switch name {
		case "text", "verdict", "":
			rule += "|---"
		default:
			rule += "|---:"
		}
	}
	m.Line("%s|", rule)
}

// CodeBlock writes text as a fenced block of code in a language.
func (m *Markdown) CodeBlock(language, text string) {
	fence := strings.Repeat("`", max(3, longestRun(text)+1))
	m.Line("%s%s\n%s\n%s", fence, language, text, fence)
}

// Code returns text as inline code on one line.
func Code(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	// A fence longer than any run of backticks in the text cannot end early.
	fence := strings.Repeat("`", longestRun(text)+1)
	if len(fence) > 1 {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}

// longestRun returns the length of the longest run of backticks in text.
func longestRun(text string) (longest int) {
	run := 0
	for _, c := range text {
		run++
		if c != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// Escape returns text on one line with every character escaped that is special in
// Markdown or HTML.
func Escape(text string) string {
	var b strings.Builder
	for _, c := range strings.Join(strings.Fields(text), " ") {
		if strings.ContainsRune("\\`*_{}[]<>#|~!@&$", c) {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
