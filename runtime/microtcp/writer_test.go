package microtcp

import (
	"net"
	"testing"
	"testing/synctest"
)

// TestReaderIsNotForgotten: the reader of a batch waits for room while another
// goroutine is about to write, which then leaves the writing to the reader,
// because of the cork. The reader must hear of it.
func TestReaderIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _, _ = ours.Close(), theirs.Close() }()
		w := newWriter(ours, 0, 0, func(error) {})
		w.cork()
		w.mu.Lock()
		w.writing = true // another goroutine yields before it writes
		w.buf = make([]byte, highWater+1)
		w.crowd()
		w.mu.Unlock()
		waited := make(chan struct{})
		go func() {
			defer close(waited)
			w.awaitRoom()
		}()
		synctest.Wait()
		w.cork() // the worst moment
		w.mu.Lock()
		_ = w.flushLocked(true)
		<-waited // a deadlock here fails the test
	})
}
