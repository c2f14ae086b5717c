package plain

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// loadWord returns the eight bytes of b from i on, the first one lowest.
func loadWord(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// findOdd returns the index of the first byte of b from i on that is not plain: a
// quote, a backslash, a control character, or no ASCII. It returns len(b) where
// there is none.
func findOdd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := oddMarks(loadWord(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && !isOdd(b[i]) {
		i++
	}
	return i
}

// findEnd is findOdd that passes over what is not ASCII: it finds what ends a
// string, or begins an escape, or must not be in a string at all.
func findEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := endMarks(loadWord(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && (b[i] >= 0x80 || !isOdd(b[i])) {
		i++
	}
	return i
}

func isOdd(c byte) bool { return c < ' ' || c == '"' || c == '\\' || c >= 0x80 }

// oddMarks sets the highest bit of every byte of w that is not plain. Subtracting
// sets it where a byte is too small, and nowhere else as long as no byte has it set
// before; those that have, are not ASCII. Above the lowest mark there may be false
// ones, because a subtraction borrows from the byte above: only the lowest counts.
func oddMarks(w uint64) uint64 {
	return ((w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones) | (w - ones*' ') | w) & highs
}

// endMarks is oddMarks without those of bytes that are not ASCII.
func endMarks(w uint64) uint64 {
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
}

// copyPlain copies src to dst, which is no shorter, and reports whether all of it
// is ASCII and needs no escape in a JSON string. Otherwise, the content of dst is
// undefined. The last word may overlap the one before.
func copyPlain(dst, src []byte) bool {
	n := len(src)
	if n < 8 {
		return copyShort(dst, src)
	}
	for i := 0; i < n-8; i += 8 {
		w := loadWord(src, i)
		if oddMarks(w) != 0 {
			return false
		}
		binary.LittleEndian.PutUint64(dst[i:], w)
	}
	w := loadWord(src, n-8)
	binary.LittleEndian.PutUint64(dst[n-8:], w)
	return oddMarks(w) == 0
}

// copyShort is copyPlain for fewer than eight bytes: two overlapping halves of a
// word, or byte for byte.
func copyShort(dst, src []byte) bool {
	n := len(src)
	if n >= 4 {
		low, high := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[n-4:])
		binary.LittleEndian.PutUint32(dst, low)
		binary.LittleEndian.PutUint32(dst[n-4:], high)
		return oddMarks(uint64(high)<<32|uint64(low)) == 0
	}
	for i, c := range src {
		if isOdd(c) {
			return false
		}
		dst[i] = c
	}
	return true
}
