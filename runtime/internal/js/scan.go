// Package js implements the JavaScript semantics that the NestJS protocol depends on:
// JSON values, numbers, and strings.
package js

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// This file is the validating JSON scanner through which every packet passes. It finds the
// end of a value without decoding it, and accepts exactly what JavaScript's JSON.parse
// accepts (docs/wire.md 3.4). It does not recurse, and it allocates only for values nested
// more than 256 deep.

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// SkipSpace returns the index of the first byte at or after i that is not JSON
// white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// SkipString returns the index after the closing quote of the string whose
// first character is at i, or -1 if the string is malformed.
func SkipString(b []byte, i int) int {
	for {
		// Eight bytes at a time: stop at a quote, a backslash, or a control character.
		// Subtle: a subtraction can borrow and mark a wrong byte, but only above a match, and
		// only the lowest mark is used.
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^('"'*lowBits), x^('\\'*lowBits)
			stop := ((quote-lowBits)&^quote | (slash-lowBits)&^slash | (x-' '*lowBits)&^x) & highBits
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = SkipEscape(b, i+1); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		default:
			i++
		}
	}
}

// SkipEscape returns the index after the escape whose letter is at i, or -1 if it is
// invalid.
func SkipEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(b) {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if !isHex(c) {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// SkipNumber returns the index after the number at i, or -1 if there is none.
func SkipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i >= len(b) {
		return -1
	}
	if b[i] == '0' {
		i++
	} else if i = skipDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = skipDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i
}

// skipDigits returns the index after the digits at i, or -1 if there are none.
func skipDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// SkipWord returns the index after word at i, or -1 if another text is at i.
func SkipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// SkipValue returns the index after the JSON value at i, or -1 if there is no valid value.
// White space before the value is skipped.
func SkipValue(b []byte, i int) int {
	var local [4]uint64 // one bit per level: 1 for an object, 0 for an array
	stack, depth := local[:], 0
	for {
		i = SkipSpace(b, i)
		if i >= len(b) {
			return -1
		}
		opened := false
		switch c := b[i]; c {
		case '"':
			i = SkipString(b, i+1)
		case '{', '[':
			i = SkipSpace(b, i+1)
			if i < len(b) && b[i] == c+2 { // '}' is '{'+2, ']' is '['+2
				i++
				break
			}
			if depth>>6 == len(stack) {
				stack = append(stack, 0)
			}
			if c == '{' {
				stack[depth>>6] |= 1 << (depth & 63)
				i = SkipKey(b, i)
			} else {
				stack[depth>>6] &^= 1 << (depth & 63)
			}
			depth++
			opened = true
		case 't':
			i = SkipWord(b, i, "true")
		case 'f':
			i = SkipWord(b, i, "false")
		case 'n':
			i = SkipWord(b, i, "null")
		default:
			i = SkipNumber(b, i)
		}
		if i < 0 {
			return -1
		}
		// Close the containers that end here, and find the next element of the one that does not.
		for !opened {
			if depth == 0 {
				return i
			}
			i = SkipSpace(b, i)
			if i >= len(b) {
				return -1
			}
			object := stack[(depth-1)>>6]>>((depth-1)&63)&1 == 1
			switch {
			case b[i] == ',' && object:
				if i = SkipKey(b, SkipSpace(b, i+1)); i < 0 {
					return -1
				}
				opened = true
			case b[i] == ',':
				i++
				opened = true
			case b[i] == '}' && object, b[i] == ']' && !object:
				i++
				depth--
			default:
				return -1
			}
		}
	}
}

// SkipKey returns the index after the member name at i and its colon, or -1 if they are
// malformed.
func SkipKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = SkipString(b, i+1); i < 0 {
		return -1
	}
	if i = SkipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

// Valid reports whether b is exactly one JSON value, apart from white space around it.
func Valid(b []byte) bool {
	end := SkipValue(b, 0)
	return end >= 0 && SkipSpace(b, end) == len(b)
}

// Truthy returns JavaScript's Boolean(v) for the JSON value v. An absent value (undefined)
// is falsy.
func Truthy(v []byte) bool {
	if len(v) == 0 {
		return false
	}
	switch v[0] {
	case 'n', 'f':
		return false
	case '"':
		return len(v) > 2
	case 't', '{', '[':
		return true
	}
	f, _ := strconv.ParseFloat(string(v), 64) // out of range gives ±Inf, which is truthy
	return f != 0
}
