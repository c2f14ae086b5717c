package shorthand

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Format returns a pattern as it can be pasted into a POSIX shell as PATTERN:
// cmd=findAllItems, item.v1.viewed, '"cmd:sum"', or '{"cmd":"sum","v":2}'.
func Format(p micro.Pattern) string { return FormatPattern(json.RawMessage(p.JSON())) }

// FormatPattern is [Format] for a pattern that is given as JSON.
func FormatPattern(pattern json.RawMessage) string { return Word(ShortPattern(pattern)) }

// ShortPattern returns a pattern, given as JSON, in the shortest form that [Pattern] reads
// back as one for the same handler. It contains only printable characters.
func ShortPattern(pattern json.RawMessage) string {
	short := shortestForm(pattern)
	want, err := micro.ParsePattern(string(pattern))
	if err != nil || reads(short, want) {
		return short
	}
	for _, form := range []string{compactJSON(pattern), asObject(pattern)} {
		if reads(form, want) {
			return form
		}
	}
	return printable(want.RouteJSON()) // -1, for example: a server reads the string as the number
}

// reads reports whether a PATTERN argument selects the same handler as a pattern. A word
// that could be a flag is not an argument.
func reads(arg string, want micro.Pattern) bool {
	got, err := Pattern(arg)
	return err == nil && got.Route() == want.Route() && arg[0] != '-'
}

// asObject returns an array as the object that has the same route, {"0":first,…}.
func asObject(pattern json.RawMessage) string {
	var elements []json.RawMessage
	if json.Unmarshal(pattern, &elements) != nil {
		return ""
	}
	var b strings.Builder
	for i, element := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteJSON(strconv.Itoa(i)) + ":" + compactJSON(element))
	}
	return "{" + b.String() + "}"
}

// shortestForm returns the shortest form of most patterns.
func shortestForm(pattern json.RawMessage) string {
	var text string
	if json.Unmarshal(pattern, &text) == nil {
		return shortString(text)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(pattern, &members) == nil && len(members) == 1 {
		for key, value := range members {
			if short, ok := shortMember(key, value); ok {
				return short
			}
		}
	}
	return compactJSON(pattern)
}

// compactJSON returns JSON without space, and with escapes for characters that do not print.
func compactJSON(text json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return printable(string(text))
	}
	return printable(compact.String())
}

// shortString returns a pattern that is a string. It stays JSON if it would be read as an
// object or as a flag.
func shortString(text string) string {
	plain := !strings.HasPrefix(text, "-") && printable(text) == text
	if raw, err := parsePattern(text); err == nil && plain && string(raw) == quoteJSON(text) {
		return text
	}
	return printable(quoteJSON(text))
}

// shortMember returns key=value for an object with one string.
func shortMember(key string, value json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return "", false
	}
	short := key + "=" + text
	raw, err := parsePattern(short)
	return short, err == nil && Word(short) == short && short[0] != '-' && string(raw) == "{"+quoteJSON(key)+":"+quoteJSON(text)+"}"
}

// printable replaces the characters of a JSON text that do not print by their escapes.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escapeRune(r))
		}
	}
	return b.String()
}

// escapeRune returns a character as JSON escapes it.
func escapeRune(r rune) string {
	if r < 0x10000 {
		return `\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:]
	}
	r -= 0x10000
	return escapeRune(0xd800+r>>10) + escapeRune(0xdc00+r&0x3ff)
}

// OtherReading returns what a PATTERN argument in short form could have been meant to be
// as well: a string if it was read as an object, and the command of that name if it was
// read as a string. ok is false if it has one meaning only.
func OtherReading(arg string) (p micro.Pattern, ok bool) {
	read, err := Pattern(arg)
	text := strings.TrimSpace(arg)
	if err != nil || strings.ContainsAny(text[:1], `{"<`) {
		return p, false
	}
	if micro.Name(text) == read {
		return micro.Cmd(text), true
	}
	return micro.Name(text), true
}

// Word returns text as one word of a POSIX shell: quoted, unless the shell reads it as
// it is.
func Word(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+%@", r)
	}
	if text != "" && text[0] != '=' && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 { // zsh replaces =NAME
		return text
	}
	return Quote(text)
}

// Quote quotes text for a POSIX shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
