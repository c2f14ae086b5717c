package plain

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Short strings share pieces of memory of minPiece to maxPiece bytes, or less at the end of
// the text. A string of more than maxShared bytes never starts a new piece.
const (
	minPiece  = 256
	maxPiece  = 1024
	maxShared = 128
)

// text reads a string.
func (d *decoder) text(i int) (s string, end int) {
	if i >= len(d.data) || d.data[i] != '"' {
		return "", miss
	}
	start := i + 1
	end = findOdd(d.data, start)
	if end == len(d.data) {
		return "", miss
	}
	if d.data[end] == '"' {
		return d.keep(start, end), end + 1
	}
	return d.oddText(start, end)
}

// oddText reads a string that begins at start and is plain up to i.
func (d *decoder) oddText(start, i int) (s string, end int) {
	if d.data[i] >= utf8.RuneSelf {
		i = findEnd(d.data, i)
		if i < len(d.data) && d.data[i] == '"' && utf8.Valid(d.data[start:i]) {
			return d.keep(start, i), i + 1
		}
	}
	end = d.closing(i)
	if end < 0 {
		return "", miss
	}
	b, ok := appendUnquoted(make([]byte, 0, end-start), d.data[start:end])
	if !ok {
		return "", miss
	}
	return stringOf(b), end + 1
}

// closing returns the index of the quote that closes the string that contains i.
func (d *decoder) closing(i int) int {
	for i = findEnd(d.data, i); i < len(d.data); i = findEnd(d.data, i) {
		switch d.data[i] {
		case '"':
			return i
		case '\\':
			i += 2
		default:
			return miss
		}
	}
	return miss
}

// keep returns a copy of data[start:end] as a string. A short string shares d.piece, which
// is safe because bytes in use are never overwritten.
func (d *decoder) keep(start, end int) string {
	n := end - start
	if n == 0 {
		return ""
	}
	if n > cap(d.piece)-len(d.piece) {
		if n > maxShared {
			return string(d.data[start:end])
		}
		size := min(max(minPiece, 2*cap(d.piece)), maxPiece, len(d.data)-start)
		d.piece = make([]byte, 0, size)
	}
	at := len(d.piece)
	d.piece = append(d.piece, d.data[start:end]...)
	return stringOf(d.piece[at:])
}

// appendUnquoted appends the decoded content of a JSON string. Each invalid byte and each
// lone surrogate becomes U+FFFD. It returns false if an escape is invalid.
func appendUnquoted(dst, b []byte) ([]byte, bool) {
	for len(b) > 0 {
		n := findOdd(b, 0)
		dst, b = append(dst, b[:n]...), b[n:]
		switch {
		case len(b) == 0:
		case b[0] != '\\':
			r, size := utf8.DecodeRune(b)
			dst, b = utf8.AppendRune(dst, r), b[size:]
		case len(b) >= 2 && b[1] == 'u':
			r, size := unquoteRune(b)
			if size == 0 {
				return dst, false
			}
			dst, b = utf8.AppendRune(dst, r), b[size:]
		default:
			c := unquoteEscape(b)
			if c == 0 {
				return dst, false
			}
			dst, b = append(dst, c), b[2:]
		}
	}
	return dst, true
}

// unquoteEscape returns the character of a two-character escape, or 0 if it is not one.
func unquoteEscape(b []byte) byte {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return b[1]
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unquoteRune reads \uXXXX, or two of them if they are a surrogate pair. The size is 0 if
// the escape is malformed.
func unquoteRune(b []byte) (r rune, size int) {
	r, ok := hex4(b)
	switch {
	case !ok:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if low, ok := hex4(b[6:]); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 reads one \uXXXX.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
