package micro

import "sync"

// workers runs messages on goroutines that are kept and reused, the most recently parked
// one first: its stack has already grown, and its memory is in the cache. The zero value is
// ready to use.
type workers struct {
	mu     sync.Mutex // guards idle and closed
	idle   []*worker
	closed bool
}

// maxIdleWorkers bounds the goroutines that are kept.
const maxIdleWorkers = 512

type worker struct{ next chan *Inbound }

// run runs in on an idle goroutine or, if there is none, on a new one. There is no queue,
// so a slow handler never delays another message.
func (w *workers) run(in *Inbound) {
	w.mu.Lock()
	var wk *worker
	if n := len(w.idle); n > 0 {
		wk, w.idle = w.idle[n-1], w.idle[:n-1]
	}
	w.mu.Unlock()
	if wk == nil {
		wk = &worker{make(chan *Inbound, 1)}
		go w.loop(wk)
	}
	wk.next <- in
}

func (w *workers) loop(wk *worker) {
	for in := range wk.next {
		in.Run()
		if !w.park(wk) {
			return
		}
	}
}

// park puts the worker back, unless there are enough of them.
func (w *workers) park(wk *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= maxIdleWorkers {
		return false
	}
	w.idle = append(w.idle, wk)
	return true
}

// close ends the idle goroutines, and those at work when they are done.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, wk := range w.idle {
		close(wk.next)
	}
	w.idle = nil
}
