package micro

import (
	"bytes"
	"fmt"

	"github.com/msctl/msctl/runtime/internal/js"
)

// PatternError is the error of [ParsePattern].
type PatternError struct {
	Offset int    // position of the error, in bytes from 0
	Reason string // what is wrong there
}

// Error implements error.
func (e *PatternError) Error() string {
	return fmt.Sprintf("parse pattern: at byte %d: %s", e.Offset, e.Reason)
}

// What JSON may have next.
const (
	wantValue      = "a JSON value"
	wantFirstValue = `a value or "]"`
	wantFirstKey   = `a key in double quotes or "}"`
	wantKey        = "a key in double quotes"
	wantColon      = `":"`
	wantObjectNext = `"," or "}"`
	wantArrayNext  = `"," or "]"`
	wantEnd        = "the end of the text"
)

// syntaxError finds out what is wrong with text, which is not valid JSON.
func syntaxError(text []byte) *PatternError {
	var open []byte // the containers around i
	want := wantValue
	for i := 0; ; {
		i = js.SkipSpace(text, i)
		if i == len(text) {
			return &PatternError{Offset: i, Reason: "unexpected end of the text, expected " + want}
		}
		next, end := "", i+1
		switch c := text[i]; {
		case want == wantColon && c == ':':
			next = wantValue
		case want == wantObjectNext && c == ',':
			next = wantKey
		case want == wantArrayNext && c == ',':
			next = wantValue
		case (want == wantObjectNext || want == wantFirstKey) && c == '}',
			(want == wantArrayNext || want == wantFirstValue) && c == ']':
			open = open[:len(open)-1]
			next = afterValue(open)
		case (want == wantKey || want == wantFirstKey) && c == '"':
			next, end = wantColon, js.SkipString(text, i+1)
		case want != wantValue && want != wantFirstValue: // nothing else fits
		case c == '{':
			open, next = append(open, c), wantFirstKey
		case c == '[':
			open, next = append(open, c), wantFirstValue
		default:
			next, end = afterValue(open), literalAt(text, i)
		}
		switch {
		case end < 0 && text[i] == '"':
			return stringError(text, i)
		case end < 0 || next == "":
			return &PatternError{Offset: i, Reason: fmt.Sprintf("unexpected %q, expected %s", firstChar(text[i:]), want)}
		}
		i, want = end, next
	}
}

func afterValue(open []byte) string {
	switch {
	case len(open) == 0:
		return wantEnd
	case open[len(open)-1] == '{':
		return wantObjectNext
	}
	return wantArrayNext
}

// literalAt returns the index after the string, number or word at i, or -1.
func literalAt(text []byte, i int) int {
	switch text[i] {
	case '"':
		return js.SkipString(text, i+1)
	case 't':
		return js.SkipWord(text, i, "true")
	case 'f':
		return js.SkipWord(text, i, "false")
	case 'n':
		return js.SkipWord(text, i, "null")
	}
	return js.SkipNumber(text, i)
}

// stringError returns the error in the string that starts at i.
func stringError(text []byte, i int) *PatternError {
	for i++; i < len(text); {
		switch c := text[i]; {
		case c < ' ':
			return &PatternError{Offset: i, Reason: fmt.Sprintf("unescaped %q in a string", rune(c))}
		case c != '\\':
			i++
		default:
			end := js.SkipEscape(text, i+1)
			if end < 0 {
				return &PatternError{Offset: i, Reason: `invalid escape sequence`}
			}
			i = end
		}
	}
	return &PatternError{Offset: len(text), Reason: `unexpected end of the text, expected a closing '"'`}
}

func firstChar(b []byte) rune { return bytes.Runes(b[:min(len(b), 4)])[0] }
