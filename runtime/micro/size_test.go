package micro

import (
	"testing"
	"unsafe"
)

// TestSizes checks that what is allocated for each message fits into the sizes of the allocator
// that it was measured with: the next larger ones made a call up to 8% slower.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("other sizes")
	}
	if n := unsafe.Sizeof(Request{}); n > 240 {
		t.Errorf("a request has %d bytes, want at most 240", n)
	}
	if n := unsafe.Sizeof(Inbound{}); n > 480 {
		t.Errorf("a received message has %d bytes, want at most 480", n)
	}
}
