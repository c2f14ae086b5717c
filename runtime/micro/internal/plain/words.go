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

// find returns the index of the first byte of b from i on that cannot stand in a
// JSON string as it is: a quote, a backslash or a control character; with high
// being highs, also a byte that is not ASCII, with high being 0 not. It returns
// len(b) where there is none.
func find(b []byte, i int, high uint64) int {
	for ; i+8 <= len(b); i += 8 {
		if m := marks(loadWord(b, i), high); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c < ' ' || c == '"' || c == '\\' || uint64(c)&high&0x80 != 0 {
			return i
		}
	}
	return i
}

// marks sets the highest bit of every byte of w that find looks for. Above the
// lowest such byte there may be false marks, because a subtraction borrows from
// the byte above: only the lowest mark counts.
func marks(w, high uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	m := (quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w
	return m&highs | w&high
}
