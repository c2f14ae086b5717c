package microtcp

import (
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// watch makes it safe to run a handler in the goroutine that reads a
// connection, which is the cheapest place: should the handler not return
// soon, another goroutine takes over the reading, so that the messages behind it
// do not wait. Handlers that were slow lately are not run there to begin with
// (micro.Inbound.Fast), so this is the net under a wrong guess.
//
// One goroutine looks at all running handlers about once a millisecond, and
// sleeps while there is nothing to look at.
type watch struct {
	seats  [watchSeats]atomic.Pointer[serverConn]
	asleep atomic.Bool
	wake   chan struct{}
}

const (
	watchSeats = 128 // handlers run in reading goroutines at once; more go to other goroutines
	watchEvery = time.Millisecond
	patience   = 200 * time.Microsecond
	idleRounds = 50
)

// running values of serverConn.running, beside the time a handler began.
const (
	notRunning = 0
	takenOver  = -1
)

// start starts the watching goroutine; stop ends it.
func (w *watch) start() (stop func()) {
	w.wake = make(chan struct{}, 1)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.run(end)
	}()
	return func() { close(end); <-done }
}

func (w *watch) run(end <-chan struct{}) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for idle := 0; ; {
		select {
		case <-end:
			return
		case <-timer.C:
		}
		if idle++; w.look() {
			idle = 0
		}
		if idle >= idleRounds {
			w.asleep.Store(true)
			if !w.look() {
				select {
				case <-end:
					return
				case <-w.wake:
				}
			}
			w.asleep.Store(false)
			idle = 0
		}
		timer.Reset(watchEvery)
	}
}

// look takes over from handlers that run too long, and reports whether any run.
func (w *watch) look() (busy bool) {
	now := int64(micro.Clock())
	for i := range w.seats {
		c := w.seats[i].Load()
		if c == nil {
			continue
		}
		busy = true
		began := c.running.Load()
		if began > 0 && now-began > int64(patience) && c.running.CompareAndSwap(began, takenOver) {
			w.seats[i].Store(nil)
			c.takeOver()
		}
	}
	return busy
}

// sit gives c a seat under the watch for a batch of messages; false: none is free.
func (w *watch) sit(c *serverConn) bool {
	if !w.seats[c.seat].CompareAndSwap(nil, c) {
		return false
	}
	if w.asleep.Load() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// stand gives c's seat back.
func (w *watch) stand(c *serverConn) { w.seats[c.seat].Store(nil) }
