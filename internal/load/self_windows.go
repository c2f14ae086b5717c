package load

import (
	"time"

	"golang.org/x/sys/windows"
)

// processTime returns the CPU time, user and system, that the process has used.
func processTime() time.Duration {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) != nil {
		return 0
	}
	hundreds := func(f windows.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(hundreds(kernel)+hundreds(user)) * 100
}
