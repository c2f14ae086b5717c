package js

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file and tree.go implement the effect of JSON.parse followed by JSON.stringify
// on a value (docs/wire.md 1): strings, numbers, and keys here, objects and arrays in
// tree.go.
//
// JavaScript strings are sequences of UTF-16 units and may contain lone surrogates.
// Decoded texts are therefore WTF-8: UTF-8, plus a lone surrogate encoded as three bytes
// (ED A0 BD for \ud83d). Input never contains these bytes, since SanitizeUTF8 replaces
// them with U+FFFD first.

// AppendString appends the WTF-8 text s as JSON.stringify writes a string: it escapes only
// the quote, the backslash, control characters, and lone surrogates (\ud83d). Any other
// malformed sequence becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		n := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, n = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		if c < utf8.RuneSelf {
			dst = appendEscape(dst, c)
		} else if r, ok := SurrogateAt(s[i:]); ok {
			dst = append(append(dst, `\u`...), strconv.FormatUint(uint64(r), 16)...)
			n = 3
		} else {
			dst = append(dst, "\uFFFD"...)
			n, _ = NextUTF8([]byte(s[i:min(i+utf8.UTFMax, len(s))]))
		}
		i += n
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// SurrogateAt returns the lone surrogate at the start of the WTF-8 text s, if there is one.
func SurrogateAt[T string | []byte](s T) (rune, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1]&0xE0 != 0xA0 || s[2]&0xC0 != 0x80 {
		return 0, false
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), true
}

// AppendUnit appends one UTF-16 unit to dst, which is WTF-8. It joins a low surrogate with
// a high one at the end of dst.
func AppendUnit(dst []byte, u rune) []byte {
	if u < 0xD800 || u > 0xDFFF {
		return utf8.AppendRune(dst, u)
	}
	if u >= 0xDC00 && len(dst) >= 3 {
		if high, ok := SurrogateAt(dst[len(dst)-3:]); ok && high < 0xDC00 {
			return utf8.AppendRune(dst[:len(dst)-3], (high-0xD800)<<10|(u-0xDC00)+0x10000)
		}
	}
	return append(dst, 0xED, byte(0x80|u>>6&0x3F), byte(0x80|u&0x3F))
}

// Decode returns the text of lit as WTF-8. lit must be a valid string literal with its
// quotes.
func Decode(lit []byte) []byte {
	var dst []byte
	for s := lit[1 : len(lit)-1]; ; {
		i := bytes.IndexByte(s, '\\')
		raw := s
		if i >= 0 {
			raw = s[:i]
		}
		if low, ok := SurrogateAt(raw); ok { // it can complete an escaped high surrogate
			dst, raw = AppendUnit(dst, low), raw[3:]
		}
		dst = append(dst, raw...)
		if i < 0 {
			return dst
		}
		n := 2
		switch c := s[i+1]; c {
		case 'u':
			u, _ := strconv.ParseUint(string(s[i+2:i+6]), 16, 16) // cannot fail: the literal is valid
			dst = AppendUnit(dst, rune(u))
			n = 6
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, c)
		}
		s = s[i+n:]
	}
}

// AppendNumber appends the valid JSON number lit as JavaScript prints it. A number beyond
// the range of a double is replaced with infinite, preceded by its sign unless infinite is
// "null".
func AppendNumber(dst, lit []byte, infinite string) []byte {
	f, _ := strconv.ParseFloat(string(lit), 64) // out of range gives ±Inf
	if math.IsInf(f, 0) {
		if lit[0] == '-' && infinite != "null" {
			dst = append(dst, '-')
		}
		return append(dst, infinite...)
	}
	return appendFloat(dst, f)
}

// appendFloat appends a finite number as JavaScript's Number.prototype.toString does: with
// the shortest digits that identify the double, without an exponent from 1e-6 to below
// 1e21, and without a sign for zero.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs == 0 {
		return append(dst, '0')
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-07 is e-7 in JavaScript
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// LiteralEnd returns the index after the string, number, or word at i. raw must be valid
// JSON.
func LiteralEnd(raw []byte, i int) int {
	if raw[i] == '"' {
		return SkipString(raw, i+1)
	}
	for i < len(raw) && strings.IndexByte(",]} \t\r\n", raw[i]) < 0 {
		i++
	}
	return i
}

// ArrayIndex returns the number of an integer-like key, which JavaScript lists before all
// others: "0" to "4294967294", without leading zeros.
func ArrayIndex(key string) (uint32, bool) {
	if key == "" || len(key) > 10 || key[0]-'0' > 9 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(key, 10, 32)
	return uint32(n), err == nil && n != math.MaxUint32
}
