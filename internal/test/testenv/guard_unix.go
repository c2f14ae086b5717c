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

// guard is a shell that outlives this process, however it ends, and then kills the broker and removes its directory. It
// detects the end with a pipe: this process holds the only other end.
type guard struct {
	dir  string
	cmd  *exec.Cmd
	pipe *os.File // receives one line for each process group to kill; an empty line means none
}

// guardScript reads to the end of the pipe. The dying group may still write files, so the script retries the removal.
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C must not reach it
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	return &guard{dir: dir, cmd: cmd, pipe: w}, nil
}

// start starts the command as the leader of a process group. The process reports its ID to the guard before it executes
// the program, so the guard knows every program that it may have to kill.
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

// forget makes the guard forget the group, which has ended: the system may reuse its number.
func (g *guard) forget() { _, _ = io.WriteString(g.pipe, "\n") }

// close removes the directory and waits for the guard to exit.
func (g *guard) close() {
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
	_ = os.RemoveAll(g.dir) // the guard has done this, unless it was killed
}

func signalGroup(cmd *exec.Cmd, signal syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, signal) }

func killGroup(cmd *exec.Cmd)      { signalGroup(cmd, syscall.SIGKILL) }
func terminateGroup(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGTERM) }
func pauseGroup(cmd *exec.Cmd)     { signalGroup(cmd, syscall.SIGSTOP) }
func resumeGroup(cmd *exec.Cmd)    { signalGroup(cmd, syscall.SIGCONT) }
func lameDuckGroup(cmd *exec.Cmd)  { signalGroup(cmd, syscall.SIGUSR2) }

// lockBetweenProcesses acquires the lock of this name among all processes of this machine, and returns a function that
// releases it. The system releases the lock when the process dies.
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
				_ = os.Remove(path) // before the unlock, so that no process locks a file that is about to be removed
				_ = file.Close()
			}, nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("another test holds the lock: %w", ctx.Err())
		}
	}
}

// tryLock returns the locked file of this path, or nil if another process holds the lock.
func tryLock(path string) (*os.File, error) {
	file, err := os.Open(path) // in /tmp, another user's file can be locked, but not opened with O_CREATE
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

// isAt reports whether the path still names the file. The previous holder of the lock may have removed it.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}
