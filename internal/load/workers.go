package load

import "sync"

// workers run calls on goroutines that are kept, the one used last first, so
// that their stacks stay warm and their number is what was needed at once.
type workers struct {
	handle func(*call)

	mu     sync.Mutex // guards idle and closed
	idle   []chan *call
	closed bool
	wg     sync.WaitGroup
}

// run hands c to an idle worker, or to a new one.
func (w *workers) run(c *call) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		ch := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		ch <- c // has room: its worker waits
		return
	}
	w.mu.Unlock()
	ch := make(chan *call, 1)
	ch <- c
	w.wg.Go(func() { w.work(ch) })
}

func (w *workers) work(ch chan *call) {
	for c := range ch {
		w.handle(c)
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, ch)
		w.mu.Unlock()
	}
}

// close ends the workers when they have handled what they have; run must not be
// called any more.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	for _, ch := range w.idle {
		close(ch)
	}
	w.idle = nil
	w.mu.Unlock()
	w.wg.Wait()
}
