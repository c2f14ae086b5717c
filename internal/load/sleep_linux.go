package load

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper sleeps to within some microseconds, where Go's timers are about a
// millisecond late. It keeps its goroutine on a thread of its own, on which it
// asks the kernel not to gather wake-ups.
type sleeper struct{}

func newSleeper() sleeper {
	runtime.LockOSThread()
	// Without it wake-ups are 50 µs late: worse, but not wrong.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return sleeper{}
}

// sleep sleeps for d.
func (sleeper) sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
	}
}

// close leaves the thread locked: when the goroutine ends the thread ends with
// it, and so nobody else inherits the slack.
func (sleeper) close() {}
