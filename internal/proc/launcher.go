package proc

import (
	"os/exec"
	"runtime"
)

// launcher starts processes from one thread that lives as long as the run. On
// Linux the kernel sends a process the signal of its parent's death when the
// *thread* that started it ends, and Go's threads come and go.
type launcher struct {
	orders chan func()
	done   chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{orders: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread()
		// Unlocked at the end: the thread of a goroutine that ends locked is
		// destroyed.
		defer runtime.UnlockOSThread()
		for order := range l.orders {
			order()
		}
	}()
	return l
}

// start starts cmd and returns its error. It must not be called after close.
func (l *launcher) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	l.orders <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the launcher; no process may live that it has started.
func (l *launcher) close() {
	close(l.orders)
	<-l.done
}
