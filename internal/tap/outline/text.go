package outline

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

func statusText(status int) string { return strconv.Itoa(status) }

// PatternOf returns the pattern of a message in a short form: the string, or key=value of an object with
// one member, cmd= left out. For HTTP, it is the method and the path as requested.
func PatternOf(s *tap.Span) string {
	if s.Kind == reported.HTTP {
		method, _, _ := strings.Cut(s.Pattern, " ")
		if s.Path != "" {
			return visible.Line(method + " " + s.Path)
		}
		return visible.Line(s.Pattern)
	}
	var name string
	if json.Unmarshal([]byte(s.Pattern), &name) == nil {
		return visible.Line(name)
	}
	var members map[string]string
	if json.Unmarshal([]byte(s.Pattern), &members) == nil && len(members) == 1 {
		for key, value := range members {
			if key == "cmd" {
				return visible.Line(value)
			}
			return visible.Line(key + "=" + value)
		}
	}
	return visible.Line(s.Pattern)
}

// Pretty returns a JSON text on indented lines, with what is special in its strings escaped. The text may
// end anywhere. With cut, the text is a string that contains the beginning of one.
func Pretty(text json.RawMessage, cut bool) string {
	if cut {
		var beginning string
		if json.Unmarshal(text, &beginning) == nil {
			text = []byte(beginning)
		}
	}
	return visible.Text(indent(visible.JSON(text)))
}

// indent puts each member and element on a line of its own.
func indent(text []byte) string {
	var b strings.Builder
	depth := 0
	line := func() {
		b.WriteByte('\n')
		for range min(depth, 60) {
			b.WriteString("  ")
		}
	}
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; c {
		case '"':
			end = i + stringEnd(text[i:])
			b.Write(text[i:end])
		case '{', '[':
			next := skipSpace(text, i+1)
			if next < len(text) && text[next] == c+2 { // } and ] are two after { and [
				b.WriteByte(c)
				b.WriteByte(c + 2)
				end = next + 1
				break
			}
			b.WriteByte(c)
			depth++
			line()
			end = next
		case '}', ']':
			depth = max(depth-1, 0)
			line()
			b.WriteByte(c)
		case ',':
			b.WriteByte(c)
			line()
			end = skipSpace(text, i+1)
		case ':':
			b.WriteString(": ")
			end = skipSpace(text, i+1)
		case ' ', '\t', '\r', '\n':
		default:
			b.WriteByte(c)
		}
		i = end
	}
	return strings.TrimRight(b.String(), " \n")
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	return i
}

// stringEnd returns the end of the string at the start of text, or that of the text.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// Role is what a part of a JSON text is.
type Role uint8

// The roles of the parts of a JSON text.
const (
	Punctuation Role = iota
	Key
	String
	Number
	Word // true, false, null, and what is no JSON
)

// Parts calls part for each part of a line of [Pretty], in order.
func Parts(line string, part func(role Role, text string)) {
	for i := 0; i < len(line); {
		end, role := i+1, Punctuation
		switch c := line[i]; {
		case c == '"':
			end = i + stringEnd([]byte(line[i:]))
			role = String
			if strings.HasPrefix(line[end:], ":") {
				role = Key
			}
		case strings.IndexByte(" {}[],:", c) >= 0:
			for end < len(line) && strings.IndexByte(" {}[],:", line[end]) >= 0 {
				end++
			}
		default:
			for end < len(line) && strings.IndexByte(" {}[],:\"", line[end]) < 0 {
				end++
			}
			role = Word
			if c == '-' || c >= '0' && c <= '9' {
				role = Number
			}
		}
		part(role, line[i:end])
		i = end
	}
}
