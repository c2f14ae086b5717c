package plain

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// loadWord returns the eight bytes of b at i, with the first byte in the lowest bits.
func loadWord(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// findOdd returns the index of the first byte of b at or after i that is not plain: a quote,
// a backslash, a control character, or a byte that is not ASCII. It returns len(b) if there
// is none.
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

// findEnd is findOdd, except that it skips bytes that are not ASCII. It finds the end of a
// string, the start of an escape, or a byte that a string must not contain.
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

// oddMarks sets the highest bit of every byte of w that is not plain. Each subtraction sets
// it in a byte that is too small; a byte in which it was set before is not ASCII. Subtle: a
// subtraction can borrow from the byte above, so marks above the lowest one may be false.
func oddMarks(w uint64) uint64 {
	return ((w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones) | (w - ones*' ') | w) & highs
}

// endMarks is oddMarks without marks for bytes that are not ASCII.
func endMarks(w uint64) uint64 {
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
}

// copyPlain copies src to dst, which must be at least as long, and reports whether all of
// it is ASCII and needs no escape in a JSON string. Otherwise, the content of dst is
// undefined. The last word may overlap the one before it.
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

// copyShort is copyPlain for fewer than eight bytes. It copies two halves of a word, which
// may overlap, or single bytes.
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
