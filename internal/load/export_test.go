package load

import "time"

// ProcessTime returns the processor time that the process has used.
func ProcessTime() time.Duration { return processTime() }
