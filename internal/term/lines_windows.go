package term

// readInBackground does nothing: on Windows, a terminal has no background jobs.
func readInBackground() (restore func()) { return func() {} }
