package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The guard is a second msctl process, started with a hidden command in a session of
// its own. Its standard input is a pipe from msctl, over which it learns which process
// groups exist and which folder to remove. The pipe closes when msctl ends, however
// that happens. The guard then kills the groups and removes the folder. After an
// orderly stop, no groups are left to kill.
//
// The messages on the pipe are lines: one of these words, a space, and a value.
const (
	guardAdd    = "add"    // a process group
	guardRemove = "remove" // a process group that no longer exists
	guardFolder = "folder" // a folder to remove at the end
)

// RunGuard is the main function of the guard: it reads from the pipe until that
// closes, then cleans up. Call it in the process that [NewLauncher] starts.
func RunGuard(pipe io.Reader) error {
	hideGuard()
	groups := map[int]bool{}
	var folders []string
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		word, value, _ := strings.Cut(lines.Text(), " ")
		pid, err := strconv.Atoi(value)
		switch {
		case word == guardFolder:
			folders = append(folders, value)
		case err != nil || pid <= 1:
			continue // an incomplete line: msctl died while writing it
		case word == guardAdd:
			groups[pid] = true
		case word == guardRemove:
			delete(groups, pid)
		}
	}
	for pid := range groups {
		killGroup(pid)
	}
	for _, folder := range folders {
		if err := removeFolder(folder); err != nil {
			return fmt.Errorf("guard: %w", err)
		}
	}
	return lines.Err()
}

// removeFolder removes the folder of a run. It retries for a while, because a process
// that has just been killed may still create files there.
func removeFolder(folder string) (err error) {
	for range 50 {
		if err = os.RemoveAll(folder); err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return err
}

// guard is msctl's end of the pipe to the guard. The methods of a nil *guard do
// nothing.
type guard struct {
	cmd *exec.Cmd

	mu   sync.Mutex // guards pipe
	pipe io.WriteCloser
}

func startGuard(ctx context.Context, words []string, folder string) (*guard, error) {
	if len(words) == 0 {
		return nil, nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	cmd.Args[0] = guardName
	detach(cmd)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	g := &guard{cmd: cmd, pipe: pipe}
	g.send(guardFolder, folder)
	return g, nil
}

// guardName is the process name of the guard. It does not contain "msctl", so that
// `pkill msctl` does not kill the guard as well.
const guardName = "run-guard"

func (g *guard) add(pid int)    { g.send(guardAdd, strconv.Itoa(pid)) }
func (g *guard) remove(pid int) { g.send(guardRemove, strconv.Itoa(pid)) }

func (g *guard) send(word, value string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = io.WriteString(g.pipe, word+" "+value+"\n") // fails only if the guard was killed
}

// close ends the guard and waits for it.
func (g *guard) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	_ = g.pipe.Close()
	g.mu.Unlock()
	_ = g.cmd.Wait() // how it ended makes no difference
}
