//go:build !linux

package load

import "time"

// sleeper sleeps as well as Go's timers do: to about a millisecond on most
// systems. Latencies are measured from the intended starts all the same, and
// the report says how late the generator was.
type sleeper struct{ timer *time.Timer }

func newSleeper() sleeper {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return sleeper{t}
}

// sleep sleeps for d.
func (s sleeper) sleep(d time.Duration) {
	s.timer.Reset(d)
	<-s.timer.C
}

func (s sleeper) close() { s.timer.Stop() }
