package cli

import (
	"bufio"

	"github.com/msctl/msctl/internal/term"
)

// liveLines gives the lines of standard input to a command that runs meanwhile.
// The channel is closed when there are no more. Call release when the command
// ends.
//
// Subtle: a read from a terminal cannot be interrupted, so the goroutine that
// reads may live until the process ends. In the background of a shell there is
// nothing to read, and the process is not stopped for having tried.
func liveLines(s *term.IO) (lines <-chan string, release func()) {
	out, done := make(chan string), make(chan struct{})
	restore := readInBackground()
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(s.In); scanner.Scan(); {
			select {
			case out <- scanner.Text():
			case <-done:
				return
			}
		}
	}()
	return out, func() {
		close(done)
		restore()
	}
}
