package plain

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// appendString appends s as a JSON string. Most strings are ASCII and need no escapes;
// these are checked and copied in one pass.
func appendString(dst []byte, s string) []byte {
	n, b := len(dst), bytesOf(s)
	dst = slices.Grow(dst, len(b)+2)
	whole := dst[:n+len(b)+2]
	if !copyPlain(whole[n+1:], b) {
		return appendOdd(dst, b)
	}
	whole[n], whole[len(whole)-1] = '"', '"'
	return whole
}

// appendOdd appends a string that needs escapes or is not ASCII.
func appendOdd(dst, b []byte) []byte {
	dst = append(dst, '"')
	i := findOdd(b, 0)
	if i < len(b) && b[i] >= utf8.RuneSelf && utf8.Valid(b[i:]) {
		i = findEnd(b, i)
	}
	dst = append(dst, b[:i]...)
	if i < len(b) {
		dst = appendEscaped(dst, b[i:])
	}
	return append(dst, '"')
}

// appendEscaped appends b with the required escapes, and with U+FFFD for every invalid
// byte.
func appendEscaped(dst, b []byte) []byte {
	for len(b) > 0 {
		n := findOdd(b, 0)
		dst, b = append(dst, b[:n]...), b[n:]
		switch {
		case len(b) == 0:
		case b[0] < utf8.RuneSelf:
			dst, b = appendEscape(dst, b[0]), b[1:]
		default:
			r, size := utf8.DecodeRune(b)
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, replacement...)
			} else {
				dst = append(dst, b[:size]...)
			}
			b = b[size:]
		}
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendRaw appends a json.RawMessage that the library would not change: valid JSON without
// white space, and without escapes or invalid UTF-8, which some of its versions rewrite.
func appendRaw(dst, raw []byte) ([]byte, bool) {
	if raw == nil {
		return append(dst, "null"...), true
	}
	d := decoder{data: raw}
	compact := d.skip(0, 0) == len(raw) && !d.spaced
	if !compact || bytes.IndexByte(raw, '\\') >= 0 || !utf8.Valid(raw) {
		return dst, false
	}
	return append(dst, raw...), true
}
