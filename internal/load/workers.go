package load

import "sync"

// workers runs calls on goroutines that it reuses, the most recently used first:
// their stacks stay warm, and there are only as many as were needed at once.
type workers struct {
	handle func(*call)

	mu     sync.Mutex // guards idle and closed
	idle   []chan *call
	closed bool
	wg     sync.WaitGroup
}

// run passes calls, at least one, to idle workers, or to new ones. It wakes only one worker:
// each wakes the next before it makes its own call, which is cheap, because the two share a
// processor. So a transport that lets other goroutines add their messages before it writes
// sends all of them in one write. It does not block.
func (w *workers) run(calls []*call) {
	for i, c := range calls[1:] {
		calls[i].behind = c
	}
	w.wake(calls[0])
}

// wake passes c and the calls behind it to a worker.
func (w *workers) wake(c *call) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		ch := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		ch <- c // never blocks: the worker is idle, so its buffer is empty
		return
	}
	w.mu.Unlock()
	ch := make(chan *call, 1)
	ch <- c
	w.wg.Go(func() { w.work(ch) })
}

func (w *workers) work(ch chan *call) {
	for c := range ch {
		if next := c.behind; next != nil {
			c.behind = nil
			w.wake(next)
		}
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

// close waits for the workers to finish their calls and ends them. run must not be
// called afterwards.
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
