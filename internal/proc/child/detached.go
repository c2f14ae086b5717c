package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Detached is a process that [StartDetached] has started.
type Detached struct {
	Pid int
	// Exited is closed if the process ends while this program is still running.
	Exited chan struct{}
}

// StartDetached starts a program that keeps running after this one has ended. Its
// output is appended to the file, which is truncated first.
func StartDetached(ctx context.Context, words []string, dir, file string) (*Detached, error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer out.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	p := &Detached{Pid: cmd.Process.Pid, Exited: make(chan struct{})}
	go func() {
		defer close(p.Exited)
		_ = cmd.Wait() // its log shows how it ended
	}()
	return p, nil
}
