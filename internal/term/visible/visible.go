// Package visible makes text from elsewhere, such as a service's error, safe to print.
// Characters that control a terminal, hide or reorder other text, or end a line
// become escapes such as \x1b and \u202e, and so do bytes that are not UTF-8.
package visible

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns text with every special character escaped, except line ends (\n) and tabs.
func Text(text string) string {
	return escape(text, func(r rune) bool { return r == '\n' || r == '\t' })
}

// Line returns text on one line: line ends and tabs are escaped, too.
func Line(text string) string { return escape(text, func(rune) bool { return false }) }

// JSON returns a JSON text whose strings contain the escapes of JSON, so that the value
// is the same. Bytes that are not UTF-8 become U+FFFD, as a decoder reads them.
func JSON(text []byte) []byte {
	first := firstSpecial(text, isSpace)
	if first == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)+16), text[:first]...)
	for rest := text[first:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, `\ufffd`...)
		case !Special(r) || isSpace(r):
			out = append(out, rest[:size]...)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		rest = rest[size:]
	}
	return out
}

// isSpace reports whether r is the white space between the tokens of JSON, which is not
// allowed inside a string.
func isSpace(r rune) bool { return r == '\n' || r == '\t' || r == '\r' }

func escape(text string, keep func(rune) bool) string {
	first := firstSpecial(text, keep)
	if first == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)+16), text[:first]...)
	for rest := text[first:]; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if keep(r) {
			out = append(out, rest[:size]...)
		} else {
			out = appendEscaped(out, r, rest[:size])
		}
		rest = rest[size:]
	}
	return string(out)
}

// firstSpecial returns the index of the first character to escape, or the length of text.
func firstSpecial[T string | []byte](text T, keep func(rune) bool) int {
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		}
		if r == utf8.RuneError && size == 1 || Special(r) && !keep(r) {
			return i
		}
		i += size
	}
	return len(text)
}

// appendEscaped appends a character, of which raw are the bytes, escaped if necessary.
func appendEscaped(out []byte, r rune, raw string) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Appendf(out, `\x%02x`, raw[0])
	case !Special(r):
		return append(out, raw...)
	case r == '\n':
		return append(out, `\n`...)
	case r == '\r':
		return append(out, `\r`...)
	case r == '\t':
		return append(out, `\t`...)
	case r < utf8.RuneSelf:
		return fmt.Appendf(out, `\x%02x`, r)
	case r > 0xffff:
		return fmt.Appendf(out, `\U%08x`, r)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

// Special reports whether a character controls a terminal, ends a line, is invisible, or
// changes the order of others. The joiners U+200C and U+200D are safe: languages and
// emoji require them.
func Special(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0: // C0, DEL, C1
		return true
	case r < 0xad:
		return false
	case r == 0xad, r == 0x61c, r == 0x180e, r == 0x200b, r == 0x200e, r == 0x200f, r == 0xfeff:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f: // separators, bidi controls
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0x1d173 && r <= 0x1d17a, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}
