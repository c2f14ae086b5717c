//go:build unix

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime returns the CPU time, user and system, that the process has used.
func processTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
