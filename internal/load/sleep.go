package load

import "time"

// sleeper lets the pacer sleep. It is used by one goroutine.
type sleeper interface {
	// sleep sleeps for d.
	sleep(d time.Duration)
	// close releases what the sleeper holds.
	close()
}

// newSleeper returns the platform's most accurate sleeper, or one with Go's timers.
func newSleeper(timers bool) sleeper {
	if timers {
		return newTimerSleeper()
	}
	return newPreciseSleeper()
}

// timerSleeper sleeps with Go's timers, which on most systems are up to a
// millisecond late. Latencies are measured from the intended starts all the same,
// and the report shows how late the generator was.
type timerSleeper struct{ timer *time.Timer }

func newTimerSleeper() sleeper {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return timerSleeper{t}
}

func (s timerSleeper) sleep(d time.Duration) {
	s.timer.Reset(d)
	<-s.timer.C
}

func (s timerSleeper) close() { s.timer.Stop() }
