package plain

import (
	"bytes"
	"testing"
)

// TestWords compares the functions that process eight bytes at a time with those that
// process one: every byte at every position, next to every kind of neighbor.
func TestWords(t *testing.T) {
	for size := range 20 {
		for place := range size {
			for c := range 256 {
				for _, neighbor := range []byte{'a', ' ', '!', '#', '[', ']', 0x7f, 0x80, 0xff, '"', 0} {
					b := bytes.Repeat([]byte{'x'}, size)
					b[place] = byte(c)
					if place > 0 {
						b[place-1] = neighbor
					}
					checkWords(t, b)
				}
			}
		}
	}
}

func checkWords(t *testing.T, b []byte) {
	t.Helper()
	odd, end := -1, -1
	for i, c := range b {
		special := c < 0x20 || c == '"' || c == '\\'
		if odd < 0 && (special || c >= 0x80) {
			odd = i
		}
		if end < 0 && special {
			end = i
		}
	}
	want := func(i int) int {
		if i < 0 {
			return len(b)
		}
		return i
	}
	if got := findOdd(b, 0); got != want(odd) {
		t.Fatalf("findOdd(%q) = %d, want %d", b, got, want(odd))
	}
	if got := findEnd(b, 0); got != want(end) {
		t.Fatalf("findEnd(%q) = %d, want %d", b, got, want(end))
	}
	copied := make([]byte, len(b))
	if got := copyPlain(copied, b); got != (odd < 0) || got && !bytes.Equal(copied, b) {
		t.Fatalf("copyPlain(%q) = %v, copied %q", b, got, copied)
	}
}
