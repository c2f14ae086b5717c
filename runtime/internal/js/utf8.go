package js

import "unicode/utf8"

// SanitizeUTF8 returns body with each maximal subpart of a malformed sequence replaced by
// U+FFFD, as Node.js's decoder does (docs/wire.md 3.2). A valid body is returned unchanged,
// without a copy.
func SanitizeUTF8(body []byte) []byte {
	if utf8.Valid(body) {
		return body
	}
	out := make([]byte, 0, len(body)+16)
	for len(body) > 0 {
		n, ok := NextUTF8(body)
		if ok {
			out = append(out, body[:n]...)
		} else {
			out = append(out, "\uFFFD"...)
		}
		body = body[n:]
	}
	return out
}

// NextUTF8 returns the length of the first character of b and whether it is well-formed.
// For a malformed character, the length is that of its maximal subpart, which one U+FFFD
// replaces. A sequence that is cut off by the end of b is malformed. b must not be empty.
func NextUTF8(b []byte) (n int, ok bool) {
	need, low, high := utf8Lead(b[0])
	if need < 2 {
		return 1, need == 1
	}
	for n = 1; n < need; n++ {
		if n >= len(b) || b[n] < low || b[n] > high {
			return n, false
		}
		low, high = 0x80, 0xBF
	}
	return n, true
}

// utf8Lead returns the length of a sequence that starts with c, or 0 if no sequence does,
// and the range of its second byte.
func utf8Lead(c byte) (need int, low, high byte) {
	switch {
	case c < 0x80:
		return 1, 0, 0
	case c < 0xC2:
		return 0, 0, 0
	case c < 0xE0:
		return 2, 0x80, 0xBF
	case c == 0xE0:
		return 3, 0xA0, 0xBF
	case c == 0xED:
		return 3, 0x80, 0x9F
	case c < 0xF0:
		return 3, 0x80, 0xBF
	case c == 0xF0:
		return 4, 0x90, 0xBF
	case c < 0xF4:
		return 4, 0x80, 0xBF
	case c == 0xF4:
		return 4, 0x80, 0x8F
	}
	return 0, 0, 0
}
