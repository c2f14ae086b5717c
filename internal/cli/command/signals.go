package command

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/exit"
)

// WithSignals returns a context that the first SIGINT, SIGTERM, or SIGHUP cancels with an
// *exit.SignalError as the cause. Signals that the parent process ignores, as nohup does,
// are ignored. SIGPIPE has no effect: a write to a closed pipe returns an error. Call stop
// to release its goroutine.
func WithSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	// Notify rather than Ignore, because child processes inherit what is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	finished, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		defer signal.Stop(signals) // the next signal has its default effect
		select {
		case got := <-signals:
			cancel(&exit.SignalError{Signal: got})
			ignore(signals, stopped)
		case <-ctx.Done():
		}
	}()
	return ctx, sync.OnceFunc(func() {
		cancel(context.Canceled)
		close(stopped)
		<-finished
	})
}

// sameSignal is how long after the first signal others count as the same one: a wrapper,
// such as npm or make, forwards what the terminal has already sent to msctl.
const sameSignal = 500 * time.Millisecond

// SignalCount counts signals. The zero value has counted none. It is not safe for concurrent
// use.
type SignalCount struct{ first time.Time }

// Second reports whether a signal follows another one that does not count as the same.
func (c *SignalCount) Second(now time.Time) bool {
	if c.first.IsZero() {
		c.first = now
		return false
	}
	return now.Sub(c.first) >= sameSignal
}

// ignore receives the signals that count as the first one, unless stopped is closed first.
func ignore(signals <-chan os.Signal, stopped <-chan struct{}) {
	timer := time.NewTimer(sameSignal)
	defer timer.Stop()
	for {
		select {
		case <-signals:
		case <-timer.C:
			return
		case <-stopped:
			return
		}
	}
}
