package shorthand

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// FormatPattern returns a pattern, given as JSON, in the shortest form that [Pattern] reads
// back, quoted for a shell: cmd=findAllItems, item.v1.viewed, '"cmd:text"'. The result
// contains only printable characters.
func FormatPattern(pattern json.RawMessage) string {
	var text string
	if json.Unmarshal(pattern, &text) == nil {
		return formatString(text)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(pattern, &members) == nil && len(members) == 1 {
		for key, value := range members {
			if short, ok := formatMember(key, value); ok {
				return short
			}
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, pattern) != nil {
		return shellQuote(string(pattern))
	}
	return shellQuote(compact.String())
}

// formatString returns a pattern that is a string. It stays JSON if it would be read as an
// object or as a flag.
func formatString(text string) string {
	plain := !strings.HasPrefix(text, "-") && strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) < 0
	if raw, err := parsePattern(text); err == nil && plain && string(raw) == quoteJSON(text) {
		return shellQuote(text)
	}
	return shellQuote(quoteJSON(text))
}

// formatMember returns key=value for an object with one string.
func formatMember(key string, value json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(value, &text) != nil || !isShellWord(key+text) {
		return "", false
	}
	short := key + "=" + text
	raw, err := parsePattern(short)
	return short, err == nil && string(raw) == "{"+quoteJSON(key)+":"+quoteJSON(text)+"}"
}

// isShellWord reports whether no shell gives a meaning to any character of a word.
func isShellWord(text string) bool {
	return text != "" && text[0] != '-' && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+") == ""
}

// shellQuote quotes a word for a POSIX shell. Characters that do not print become the
// escapes of JSON.
func shellQuote(text string) string {
	if isShellWord(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range text {
		switch {
		case r == '\'':
			b.WriteString(`'\''`)
		case !strconv.IsPrint(r):
			b.WriteString(escapeRune(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
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
