//go:build !linux

package load

// newPreciseSleeper returns the most accurate sleeper of the platform.
func newPreciseSleeper() sleeper { return newTimerSleeper() }
