//go:build unix

package term

import (
	"os/signal"
	"syscall"
)

// readInBackground makes a read from the terminal fail instead of stopping the process
// while it runs in the background of a shell.
func readInBackground() (restore func()) {
	signal.Ignore(syscall.SIGTTIN)
	return func() { signal.Reset(syscall.SIGTTIN) }
}
