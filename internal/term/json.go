package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"github.com/msctl/msctl/internal/term/visible"
)

// JSONStyle is the format of a printed JSON value.
type JSONStyle int

const (
	// JSONAuto is JSONPretty on a terminal, otherwise JSONLine.
	JSONAuto JSONStyle = iota
	// JSONLine is one compact value per line (NDJSON).
	JSONLine
	// JSONPretty is indented, and colored if the stream uses color.
	JSONPretty
	// JSONRaw is the value's own text and a newline. A string is printed without
	// quotes and escapes, for shell scripts.
	JSONRaw
)

// ParseJSONStyle parses the value of --output: "json", "raw", "pretty", or "".
func ParseJSONStyle(text string) (JSONStyle, error) {
	switch text {
	case "":
		return JSONAuto, nil
	case "json":
		return JSONLine, nil
	case "pretty":
		return JSONPretty, nil
	case "raw":
		return JSONRaw, nil
	}
	return JSONAuto, fmt.Errorf("unknown output %q: use json, raw, or pretty", text)
}

// PrintJSON writes one JSON value to Out. It changes white space between tokens, and
// escapes special characters in strings, which keep their value. Credentials of the
// input are masked. [JSONRaw] changes nothing, except on a terminal.
func (s *IO) PrintJSON(style JSONStyle, value json.RawMessage) error {
	if style == JSONAuto {
		style = JSONLine
		if s.facts.StdoutTTY {
			style = JSONPretty
		}
	}
	if style == JSONRaw && !s.facts.StdoutTTY {
		_, err := io.WriteString(s.Out, rawText(value)+"\n")
		return err
	}
	text, err := FormatJSON(style, visible.JSON(value), s.OutPalette())
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, s.secrets.Values(text)+"\n")
	return err
}

// FormatJSON returns the text of a JSON value in a style, without a final newline.
// [JSONAuto] means [JSONLine]. Special characters of a raw string are escaped.
func FormatJSON(style JSONStyle, value json.RawMessage, p Palette) (string, error) {
	if style == JSONRaw {
		return visible.Text(rawText(value)), nil
	}
	var b bytes.Buffer
	if style == JSONPretty {
		if err := json.Indent(&b, value, "", "  "); err != nil {
			return "", fmt.Errorf("print JSON: %w", err)
		}
		return colorJSON(strings.TrimRight(b.String(), " \t\r\n"), p), nil
	}
	if err := json.Compact(&b, value); err != nil {
		return "", fmt.Errorf("print JSON: %w", err)
	}
	return b.String(), nil
}

func rawText(value json.RawMessage) string {
	trimmed := bytes.TrimSpace(value)
	var text string
	if len(trimmed) > 0 && trimmed[0] == '"' && json.Unmarshal(trimmed, &text) == nil {
		return text
	}
	return string(trimmed)
}

// colorJSON colors the tokens of valid JSON.
func colorJSON(text string, p Palette) string {
	if !p.on {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		end := tokenEnd(text, i)
		token := text[i:end]
		switch c := token[0]; {
		case c == '"' && strings.HasPrefix(text[end:], ":"):
			b.WriteString(p.paint(token, color.FgHiBlue))
		case c == '"':
			b.WriteString(p.paint(token, color.FgGreen))
		case c == '-' || c >= '0' && c <= '9':
			b.WriteString(p.paint(token, color.FgYellow))
		case c >= 'a' && c <= 'z':
			b.WriteString(p.paint(token, color.FgMagenta))
		default:
			b.WriteString(token)
		}
		i = end
	}
	return b.String()
}

// tokenEnd returns the end of the JSON token at i: a string, a number or a word, or a
// single byte.
func tokenEnd(text string, i int) int {
	if text[i] == '"' {
		for j := i + 1; j < len(text); j++ {
			switch text[j] {
			case '\\':
				j++
			case '"':
				return j + 1
			}
		}
		return len(text)
	}
	j := i
	for j < len(text) && strings.IndexByte(" \n\t\r{}[],:\"", text[j]) < 0 {
		j++
	}
	return max(j, i+1)
}
