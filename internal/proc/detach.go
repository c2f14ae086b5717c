package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/msctl/msctl/internal/workspace"
)

// LogFile is where a detached run of the workspace writes its output; the file
// is that of the last one. cacheDir is that of [Options].
func LogFile(w *workspace.Workspace, cacheDir string) (string, error) {
	dir, err := workspaceCache(w, cacheDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the log: %w", err)
	}
	return filepath.Join(dir, ".detached.log"), nil
}

// StartDetached starts a program that goes on when this one has ended, with its
// output in the file. exited is closed, and err set, when it has ended before.
func StartDetached(ctx context.Context, words []string, dir, file string) (p *Detached, err error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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
	p = &Detached{Pid: cmd.Process.Pid, Exited: make(chan struct{})}
	go func() {
		defer close(p.Exited)
		_ = cmd.Wait() // its log tells how it ended
	}()
	return p, nil
}

// Detached is a process of StartDetached.
type Detached struct {
	Pid int
	// Exited is closed when the process has ended while this one was there.
	Exited chan struct{}
}
