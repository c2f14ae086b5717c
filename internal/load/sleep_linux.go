package load

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// threadSleeper sleeps in the kernel, which is accurate to a few microseconds,
// while Go's timers are up to a millisecond late. It locks its goroutine to a
// thread and asks the kernel not to coalesce that thread's wake-ups.
type threadSleeper struct{}

// newPreciseSleeper returns the most accurate sleeper of the platform.
func newPreciseSleeper() sleeper {
	runtime.LockOSThread()
	// If this fails, wake-ups are 50 µs late, which is acceptable.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return threadSleeper{}
}

func (threadSleeper) sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
	}
}

// close leaves the thread locked: the thread exits together with its goroutine,
// so no other goroutine inherits the timer slack.
func (threadSleeper) close() {}
