package visible

import (
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Log returns a line of a program's log. Its colors stay if color is set and are removed
// otherwise; everything else is as in [Text]. A color that the line leaves on is reset.
func Log(line string, color bool) string {
	if !strings.Contains(line, "\x1b") {
		return Text(line)
	}
	var b strings.Builder
	last := ""
	for line != "" {
		start := strings.IndexByte(line, '\x1b')
		if start != 0 {
			if start < 0 {
				start = len(line)
			}
			b.WriteString(Text(line[:start]))
			line = line[start:]
			continue
		}
		size := colorSize(line)
		if size <= 0 {
			b.WriteString(`\x1b`)
			line = line[1:]
			continue
		}
		if color {
			last = line[:size]
			b.WriteString(last)
		}
		line = line[size:]
	}
	if last != "" && !resets(last) {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// resets reports whether a color leaves none on.
func resets(sequence string) bool {
	off := []string{"", "0", "00", "22", "23", "24", "25", "27", "28", "29", "39", "49"}
	for parameter := range strings.SplitSeq(sequence[2:len(sequence)-1], ";") {
		if !slices.Contains(off, parameter) {
			return false
		}
	}
	return true
}

// Writer writes to a terminal. Of all control sequences, it passes only colors on, and
// it escapes everything else that [Text] escapes. It is safe for concurrent use.
type Writer struct {
	to io.Writer

	mu   sync.Mutex // guards held
	held []byte     // the incomplete end of what was written
}

// NewWriter returns a Writer to a terminal.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Write writes text. A character or a color that is incomplete is held until the next
// text completes it.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.held) + string(p)
	out := make([]byte, 0, len(text)+16)
	for text != "" {
		size := colorSize(text)
		if size < 0 || !utf8.FullRuneInString(text) {
			break
		}
		if size > 0 {
			out = append(out, text[:size]...)
			text = text[size:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		if r == '\n' || r == '\t' {
			out = append(out, text[0])
		} else {
			out = appendEscaped(out, r, text[:size])
		}
		text = text[size:]
	}
	w.held = append(w.held[:0], text...)
	if _, err := w.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// maxColor limits the length of a sequence that sets a color.
const maxColor = 64

// colorSize returns the size of the sequence at the start of text that sets a color or a
// style (SGR). It is 0 if there is none, or if it hides text, and negative if text ends
// within one.
func colorSize(text string) int {
	if text == "" || text[0] != '\x1b' {
		return 0
	}
	for i := 1; i < min(len(text), maxColor); i++ {
		switch c := text[i]; {
		case i == 1 && c != '[':
			return 0
		case i == 1, c >= '0' && c <= '9', c == ';', c == ':':
		case c == 'm' && !conceals(text[2:i]):
			return i + 1
		default:
			return 0
		}
	}
	if len(text) >= maxColor {
		return 0
	}
	return -1
}

// conceals reports whether the parameters of a color hide the text that follows. The 8
// of an indexed color (38;5;8) does not.
func conceals(parameters string) bool {
	list := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	for len(list) > 0 {
		skip := 1
		if slices.Contains([]string{"38", "48", "58"}, list[0]) && len(list) > 1 {
			skip = map[string]int{"5": 3, "2": 5}[list[1]]
		}
		if strings.TrimLeft(list[0], "0") == "8" {
			return true
		}
		list = list[min(max(skip, 1), len(list)):]
	}
	return false
}
