// Package shorthand converts the command line's short forms of a message to JSON:
// PATTERN, DATA, and fields such as name=Widget price:=9.99.
package shorthand

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// PatternSyntax explains PATTERN in the help of a command.
const PatternSyntax = `PATTERN is the pattern of the handler:
  '{"cmd":"findAllItems"}'   a JSON object
  '<"cmd":"findAllItems">'   the same, for places where braces need quoting
  cmd=findAllItems           the same, in short form; cmd:findAllItems works too
  item.v1.create             a string`

// Pattern parses the PATTERN argument of a command. A malformed pattern is a usage
// error.
func Pattern(arg string) (micro.Pattern, error) {
	text, err := parsePattern(arg)
	if err != nil {
		return micro.Pattern{}, err
	}
	pattern, err := micro.ParsePattern(string(text))
	var problem *micro.PatternError
	if errors.As(err, &problem) {
		return pattern, exit.Usagef("the pattern %s: %s", text, problem.Reason)
	}
	return pattern, err
}

// parsePattern converts the PATTERN argument to JSON, an object or a string, and
// keeps its spelling:
//
//   - {…} and "…" are JSON;
//   - <…> is a JSON object with these two characters instead of braces;
//   - key=value is {"key":"value"}, key:=json takes any value, and cmd:value means
//     cmd=value;
//   - anything else without white space, quotes, and braces is a string.
//
// A malformed pattern is a usage error that points at the column.
func parsePattern(arg string) (json.RawMessage, error) {
	wrong := func(offset int, message string) error { return exit.PointAt("the pattern", arg, offset, message) }
	if !utf8.ValidString(arg) {
		return nil, exit.Usagef("the pattern is not valid UTF-8: %q", arg)
	}
	text := strings.TrimSpace(arg)
	shift := strings.Index(arg, text)
	switch {
	case text == "":
		return nil, exit.WithHint(exit.Usagef("the pattern is empty"), "use a pattern such as cmd=findAllItems, '{\"cmd\":\"findAllItems\"}', or item.v1.create")
	case text[0] == '<':
		if !strings.HasSuffix(text, ">") || len(text) == 1 {
			return nil, wrong(shift+len(text), "a pattern that starts with < must end with >")
		}
		text = "{" + text[1:len(text)-1] + "}"
	case text[0] == '[':
		return nil, wrong(shift, "a pattern must be an object or a string, not an array")
	case text[0] != '{' && text[0] != '"':
		raw, problem := wordPattern(text)
		if problem != nil {
			return nil, wrong(shift+problem.Offset, problem.Message)
		}
		return raw, nil
	}
	if problem := checkJSON(text); problem != nil {
		return nil, wrong(shift+problem.Offset, problem.Message)
	}
	return json.RawMessage(text), nil
}

// wordPattern parses the forms that are not JSON.
func wordPattern(text string) (json.RawMessage, *Problem) {
	if key, value, ok := strings.Cut(text, ":="); ok && isPatternKey(key) {
		if problem := checkJSON(value); problem != nil {
			return nil, &Problem{len(key) + 2 + problem.Offset, problem.Message}
		}
		return json.RawMessage(`{` + quoteJSON(key) + `:` + value + `}`), nil
	}
	key, value, ok := strings.Cut(text, "=")
	if !ok || !isPatternKey(key) {
		if value, ok = strings.CutPrefix(text, "cmd:"); ok {
			key = "cmd"
		}
	}
	if ok && isPatternKey(key) {
		if value == "" {
			return nil, &Problem{len(text), key + " requires a value"}
		}
		return json.RawMessage(`{` + quoteJSON(key) + `:` + quoteJSON(value) + `}`), nil
	}
	bad := strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`"{}`, r)
	})
	if bad >= 0 {
		return nil, &Problem{bad, `spaces, quotes, and braces require JSON: '{"cmd":"x"}' or '"a b"'`}
	}
	return json.RawMessage(quoteJSON(text)), nil
}

// isPatternKey reports whether text can precede the = of a short pattern.
func isPatternKey(text string) bool {
	for i, r := range text {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return text != ""
}
