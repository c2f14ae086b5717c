package microtcp

import "sync"

// bigBuffers lends large write buffers to the connections that need one just
// now, so that a connection with nothing to write holds little memory and one
// that has much does not grow its buffer again each time.
var bigBuffers sync.Pool

const (
	smallBuffer = 16 << 10 // up to here a connection keeps its buffer
	bigBuffer   = 256 << 10
	maxLent     = 4 << 20 // larger ones are not kept at all
)

// grown returns buf with room for n more bytes; what it replaces is given back.
func grown(buf []byte, n int) []byte {
	need := len(buf) + n
	if need <= cap(buf) || need <= smallBuffer { // a small one is left to append
		return buf
	}
	var big []byte
	if lent, ok := bigBuffers.Get().(*[]byte); ok && cap(*lent) >= need {
		big = (*lent)[:0]
	} else {
		big = make([]byte, 0, max(need, 2*cap(buf), bigBuffer))
	}
	big = append(big, buf...)
	giveBack(buf)
	return big
}

// giveBack returns an unused buffer to the pool.
func giveBack(buf []byte) {
	if cap(buf) > smallBuffer && cap(buf) <= maxLent {
		bigBuffers.Put(&buf)
	}
}
