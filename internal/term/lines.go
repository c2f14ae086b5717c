package term

import "bufio"

// Lines reads lines from In while a command runs. The channel is closed at the end of
// the input. Call release when the command ends.
//
// Subtle: a read from a terminal cannot be interrupted, so the reading goroutine may
// live until the process ends. In the background of a shell a read fails instead of
// stopping the process.
func (s *IO) Lines() (lines <-chan string, release func()) {
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
