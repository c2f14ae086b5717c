package cli

// readInBackground does nothing: Windows has no background jobs of a terminal.
func readInBackground() (restore func()) { return func() {} }
