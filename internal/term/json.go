package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
)

// JSONStyle is how a JSON value is printed.
type JSONStyle int

const (
	// JSONAuto is pretty on a terminal and one line in a pipe.
	JSONAuto JSONStyle = iota
	// JSONLine is one compact value a line (NDJSON).
	JSONLine
	// JSONPretty is indented, and coloured where the stream is.
	JSONPretty
	// JSONRaw is the bytes as they came, with a newline; a string loses its
	// quotes and escapes, which is what shell scripts want.
	JSONRaw
)

// ParseJSONStyle reads the value of -o: "json", "raw" or "pretty"; "" is auto.
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
	return JSONAuto, fmt.Errorf("unknown output %q: use json, raw or pretty", text)
}

// PrintJSON writes one JSON value to Out. The value's own text is kept: numbers
// and strings are never re-formatted, only the space between them is.
func (s *IO) PrintJSON(style JSONStyle, value json.RawMessage) error {
	if style == JSONAuto {
		style = JSONLine
		if s.facts.StdoutTTY {
			style = JSONPretty
		}
	}
	text, err := FormatJSON(style, value, s.OutPalette())
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, text+"\n")
	return err
}

// FormatJSON gives a JSON value's text in a style other than [JSONAuto] (which
// counts as [JSONLine]), without a newline at the end.
func FormatJSON(style JSONStyle, value json.RawMessage, p Palette) (string, error) {
	if style == JSONRaw {
		return rawText(value), nil
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

// colorJSON colours the tokens of valid JSON text and changes nothing else.
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

// tokenEnd gives the end of the JSON token that starts at i: a string, a run of
// letters and digits (numbers, true, false, null), or a single other byte.
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
