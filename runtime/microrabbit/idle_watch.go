package microrabbit

import (
	"sync"
	"sync/atomic"
	"time"
)

// idleWatch finds out why a client's calls get no answers: while some wait and
// none comes, it asks the broker from time to time whether the queue has a
// consumer at all. A call is not refused for that, because a service that is being
// restarted finds it in the queue; but its timeout tells.
type idleWatch struct {
	answers  atomic.Int64 // how many have come
	deserted atomic.Bool  // the queue had no consumer when the broker was asked last

	active atomic.Bool

	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	over  bool
	seen  int64 // answers, at the last look
}

// idleAfter is how long calls may wait before the broker is asked, and how often
// it is asked then.
const idleAfter = 250 * time.Millisecond

// begin has an eye on a call that begins to wait.
func (w *idleWatch) begin(c *Client) {
	if w.active.Load() || c.published() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.active.Swap(true) {
		return
	}
	w.seen = w.answers.Load()
	if w.timer == nil {
		w.timer = time.AfterFunc(idleAfter, func() { w.tick(c) })
	} else {
		w.timer.Reset(idleAfter)
	}
}

// tick looks, unless the client is closed: it waits for who looks.
func (w *idleWatch) tick(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.wg.Go(func() { w.look(c) })
	}
}

// look asks when nothing has come since the last look.
func (w *idleWatch) look(c *Client) {
	answers := w.answers.Load()
	s, connected := c.link.now()
	w.mu.Lock()
	silent := w.seen == answers && c.table.Len() > 0
	w.seen = answers
	w.mu.Unlock()
	w.deserted.Store(silent && connected && s.deserted(c.queue))

	w.mu.Lock()
	defer w.mu.Unlock()
	if goOn := c.table.Len() > 0 && !w.over; goOn {
		w.timer.Reset(idleAfter)
	} else {
		w.active.Store(false)
	}
}

func (w *idleWatch) stop() {
	w.mu.Lock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// deserted reports whether the broker knows of no consumer of a queue.
func (c *connection) deserted(queue string) bool {
	ch, err := c.Channel() // one of its own: asking for a queue that is gone ends it
	if err != nil {
		return false
	}
	defer func() { _ = ch.Close() }()
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	return isMissing(err) || err == nil && q.Consumers == 0
}
