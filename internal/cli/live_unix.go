//go:build unix

package cli

import (
	"os/signal"
	"syscall"
)

// readInBackground has a read from the terminal fail, instead of stopping the
// process, while that runs in the background of a shell.
func readInBackground() (restore func()) {
	signal.Ignore(syscall.SIGTTIN)
	return func() { signal.Reset(syscall.SIGTTIN) }
}
