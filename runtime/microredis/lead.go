package microredis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// lead makes it safe to run a handler in the goroutine that reads, which is the
// cheapest place: should the handler not return soon, another goroutine takes the
// reading over, so that no message waits for the handler of another. Handlers that
// were slow lately are not run there to begin with (micro.Inbound.Fast).
type lead struct {
	mu       sync.Mutex // guards takeOver
	takeOver func()     // starts another reading goroutine

	running atomic.Int64 // clock when the handler began that the reading goroutine runs; 0: none
	asleep  atomic.Bool
	wake    chan struct{}
}

const (
	watchEvery = time.Millisecond
	patience   = 200 * time.Microsecond
	idleRounds = 50 // without a running handler until the watch sleeps
)

// follow tells how the reading is taken over from now on.
func (l *lead) follow(takeOver func()) {
	l.mu.Lock()
	l.takeOver = takeOver
	l.mu.Unlock()
}

// run runs the message here. It returns false when another goroutine reads by
// now, so that this one must not.
func (l *lead) run(in *micro.Inbound) (leading bool) {
	began := micro.Clock()
	l.running.Store(int64(began))
	if l.asleep.Load() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	in.RunAt(began)
	return l.running.CompareAndSwap(int64(began), 0)
}

// watch looks at the running handler about once a millisecond, and sleeps while
// there is none, until end is closed.
func (l *lead) watch(end <-chan struct{}) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for idle := 0; ; {
		select {
		case <-end:
			return
		case <-timer.C:
		}
		if idle++; l.look() {
			idle = 0
		}
		if idle >= idleRounds {
			l.asleep.Store(true)
			if !l.look() {
				select {
				case <-end:
					return
				case <-l.wake:
				}
			}
			l.asleep.Store(false)
			idle = 0
		}
		timer.Reset(watchEvery)
	}
}

// look takes over from a handler that runs too long, and reports whether one runs.
func (l *lead) look() (busy bool) {
	began := l.running.Load()
	if began == 0 {
		return false
	}
	if clock()-began > int64(patience) && l.running.CompareAndSwap(began, 0) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.takeOver()
	}
	return true
}
