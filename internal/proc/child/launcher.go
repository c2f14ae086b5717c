package child

import (
	"context"
	"os/exec"
	"runtime"
)

// Launcher starts processes. It owns one goroutine, and the guard if there is one.
//
// Subtle: the goroutine keeps one thread for as long as the launcher lives. On Linux,
// the kernel sends a process its parent-death signal when the *thread* that started it
// ends, and Go's threads come and go.
type Launcher struct {
	guard  *guard
	warn   func(format string, args ...any)
	orders chan func()
	done   chan struct{}
}

// NewLauncher starts a launcher. If msctl dies, guard, a command line that calls
// [RunGuard], kills what the launcher has started and then removes folder; without
// guard, processes may outlive msctl. warn reports problems that do not keep a process
// from running.
func NewLauncher(ctx context.Context, guard []string, folder string, warn func(format string, args ...any)) (*Launcher, error) {
	l := &Launcher{warn: warn, orders: make(chan func()), done: make(chan struct{})}
	var err error
	if l.guard, err = startGuard(ctx, guard, folder); err != nil {
		return nil, err
	}
	go func() {
		defer close(l.done)
		runtime.LockOSThread()
		// Unlock at the end: the thread of a goroutine that exits while locked is
		// destroyed.
		defer runtime.UnlockOSThread()
		for order := range l.orders {
			order()
		}
	}()
	return l, nil
}

func (l *Launcher) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	l.orders <- func() { result <- cmd.Start() }
	return <-result
}

// Close ends the launcher and its guard. Call it when all processes have ended, and
// start none afterwards.
func (l *Launcher) Close() {
	close(l.orders)
	<-l.done
	l.guard.close()
}
