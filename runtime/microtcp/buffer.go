package microtcp

import "sync"

// bigBuffers holds large write buffers for the connections that need one at the moment. So
// an idle connection holds little memory, and a busy one need not grow its buffer each time.
var bigBuffers sync.Pool

const (
	smallBuffer = 16 << 10 // a connection keeps a buffer of up to this size
	bigBuffer   = 256 << 10
	maxLent     = 4 << 20 // larger buffers are not kept
)

// grown returns buf with room for n more bytes. If it replaces buf, it releases it.
func grown(buf []byte, n int) []byte {
	need := len(buf) + n
	if need <= cap(buf) || need <= smallBuffer { // append grows a small buffer
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
