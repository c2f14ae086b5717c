package exit

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term/visible"
)

// Pointer is an error at a position in the user's input.
type Pointer struct {
	What    string // names the input: "the pattern", "the data", "items.json"
	Text    string // the whole input
	Offset  int    // in bytes; len(Text) is the end
	Message string
}

// PointAt returns a usage error that shows text with a caret under the byte at
// offset. what names the text.
func PointAt(what, text string, offset int, message string) error {
	return WithCode(Pointer{what, text, offset, message}, Usage)
}

// PointInto returns the usage error that points at the position of a parser's error in
// text. what names the text. Other errors, and nil, are returned as they are.
func PointInto(what, text string, err error) error {
	var at interface {
		Position() (offset int, message string)
	}
	if !errors.As(err, &at) {
		return err
	}
	offset, message := at.Position()
	return PointAt(what, text, offset, message)
}

// Error returns the column (and the line, in input with several lines), the message,
// and the line with a caret below it. Credentials in the line are masked.
func (p Pointer) Error() string {
	start := strings.LastIndexByte(p.Text[:p.Offset], '\n') + 1
	masked := secret.Padded(p.Text)
	line, _, _ := strings.Cut(masked[start:], "\n")
	where := fmt.Sprintf("column %d", utf8.RuneCountInString(p.Text[start:p.Offset])+1)
	if strings.Contains(p.Text, "\n") {
		where = fmt.Sprintf("line %d, %s", strings.Count(p.Text[:p.Offset], "\n")+1, where)
	}
	shown, caret := window([]rune(line), utf8.RuneCountInString(masked[start:p.Offset]))
	return fmt.Sprintf("%s, %s: %s\n  %s\n  %s^", p.What, where, p.Message, shown, strings.Repeat(" ", caret))
}

// window returns the part of a long line around the column, and the caret's place in
// it. Special characters, which would move the caret, become spaces.
func window(line []rune, column int) (shown string, caret int) {
	const before, after = 50, 25
	from, to := 0, len(line)
	if len(line) > before+after {
		from = max(0, column-before)
		to = min(len(line), column+after)
	}
	out := make([]rune, 0, to-from+2)
	if from > 0 {
		out = append(out, '…')
	}
	caret = len(out) + column - from
	for _, r := range line[from:to] {
		if visible.Special(r) {
			r = ' '
		}
		out = append(out, r)
	}
	if to < len(line) {
		out = append(out, '…')
	}
	return string(out), caret
}
