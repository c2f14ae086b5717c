package microrabbit

import (
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// idleWatch finds out why a client's calls receive no replies: while calls are pending
// and no reply arrives, it periodically asks the broker whether the queue has a consumer.
// Without a consumer the calls do not fail, because a service that is restarting finds
// them in the queue, but their timeouts mention it.
type idleWatch struct {
	answers  atomic.Int64 // the number of replies received
	deserted atomic.Bool  // the queue had no consumer at the last check

	active atomic.Bool
	barred atomic.Bool // the checks cost the connection: a limit leaves no room for their channel

	wg sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	timer *time.Timer
	over  bool
	seen  int64 // answers at the last check
}

// idleAfter is how long calls wait without a reply before the first check, and the
// interval of the checks.
const idleAfter = 250 * time.Millisecond

// begin starts the checks, if they are not running, when a call begins to wait.
func (w *idleWatch) begin(c *Client) {
	if w.active.Load() || w.barred.Load() || c.published() {
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

// tick starts a check unless the watch has been stopped. stop waits for it.
func (w *idleWatch) tick(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.wg.Go(func() { w.look(c) })
	}
}

// look asks the broker if no reply has arrived since the last check.
func (w *idleWatch) look(c *Client) {
	answers := w.answers.Load()
	s, connected := c.link.now()
	w.mu.Lock()
	silent := w.seen == answers && c.table.Len() > 0
	w.seen = answers
	w.mu.Unlock()
	if silent && connected {
		deserted, err := s.deserted(c.queue)
		w.deserted.Store(deserted)
		w.barred.Store(limited(err))
	} else {
		w.deserted.Store(false)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if goOn := c.table.Len() > 0 && !w.over && !w.barred.Load(); goOn {
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

// deserted reports whether a queue has no consumer or does not exist.
func (c *connection) deserted(queue string) (deserted bool, err error) {
	var q amqp.Queue
	err = c.attempt(func(ch *amqp.Channel) (err error) {
		q, err = ch.QueueDeclarePassive(queue, false, false, false, false, nil)
		return err
	})
	return isMissing(err) || err == nil && q.Consumers == 0, err
}
