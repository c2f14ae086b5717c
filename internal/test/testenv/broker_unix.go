//go:build unix

package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// guard is a shell that outlives this process, however it ends, and then kills the broker and removes its directory.
// It learns of the end by a pipe of which this process holds the only other end.
type guard struct {
	dir  string
	cmd  *exec.Cmd
	pipe *os.File // takes one line for each process group: the one to kill, or an empty one for none
}

// guardScript reads until the pipe ends. The group may still write while it dies, so the removal is tried again.
const guardScript = `
while read -r line; do group=$line; done
if [ -n "$group" ]; then kill -9 "-$group"; fi
for i in 1 2 3 4 5 6 7 8 9 10; do
  if rm -rf "$1"; then exit 0; fi
  sleep 0.2
done
`

func newGuard(dir string) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", guardScript, "msctl-guard", dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the others
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	return &guard{dir: dir, cmd: cmd, pipe: w}, nil
}

// start starts the command as the leader of a process group. It announces itself to the guard before it becomes the
// program, so there is no moment in which it could be left behind.
func (g *guard) start(cmd *exec.Cmd) error {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	cmd.Args = append([]string{"sh", "-c", `echo $$ >&3; exec "$@" 3>&-`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = shell
	cmd.ExtraFiles = []*os.File{g.pipe}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// forget tells the guard that the group has ended: its number may soon be another's.
func (g *guard) forget() { _, _ = io.WriteString(g.pipe, "\n") }

// close removes the directory and waits for the guard's end.
func (g *guard) close() {
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
	_ = os.RemoveAll(g.dir) // there is nothing left, unless somebody killed the guard
}

func signalGroup(cmd *exec.Cmd, signal syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, signal) }

func killGroup(cmd *exec.Cmd)      { signalGroup(cmd, syscall.SIGKILL) }
func terminateGroup(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGTERM) }
func pauseGroup(cmd *exec.Cmd)     { signalGroup(cmd, syscall.SIGSTOP) }
func resumeGroup(cmd *exec.Cmd)    { signalGroup(cmd, syscall.SIGCONT) }

// lockBetweenProcesses waits until nobody else holds the lock of this name, in any process of this machine, and returns
// what releases it. The system releases it when the process dies.
func lockBetweenProcesses(ctx context.Context, name string) (func(), error) {
	sum := sha256.Sum256([]byte(name))
	path := filepath.Join(os.TempDir(), "msctl-test-"+hex.EncodeToString(sum[:8])+".lock")
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for {
		file, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if file != nil {
			return func() {
				_ = os.Remove(path) // first: nobody may lock a file of this name that is not there any more
				_ = file.Close()
			}, nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("another test holds it: %w", ctx.Err())
		}
	}
}

// tryLock returns the file of this path, locked, or nil when somebody else has it.
func tryLock(path string) (*os.File, error) {
	file, err := os.Open(path) // another user's file can be locked, but in /tmp not opened for creation
	if errors.Is(err, fs.ErrNotExist) {
		file, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	locked := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	if locked && isAt(file, path) {
		return file, nil
	}
	_ = file.Close()
	return nil, nil
}

// isAt reports whether the path still leads to the file: who held the lock before has removed it.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}
