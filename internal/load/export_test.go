package load

import "time"

// ProcessTime is the processor time the process has used, for benchmarks.
func ProcessTime() time.Duration { return processTime() }
