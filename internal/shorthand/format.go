package shorthand

import (
	"encoding/json"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Format returns a pattern as it can be pasted into a POSIX shell as PATTERN:
// cmd=findAllItems, item.v1.viewed, '"cmd:sum"', or '{"cmd":"sum","v":2}'.
func Format(p micro.Pattern) string {
	short := p.Route()
	var fields map[string]string
	if json.Unmarshal([]byte(p.JSON()), &fields) == nil && len(fields) == 1 {
		for key, value := range fields {
			short = key + "=" + value
		}
	}
	if got, err := Pattern(short); err == nil && got == p && Word(short) == short && short[0] != '-' {
		return short
	}
	return Word(p.JSON())
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
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return Quote(text)
}

// Quote quotes text for a POSIX shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
