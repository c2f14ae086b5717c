package proc

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

// The guard is msctl once more, started with a hidden command, in a session of
// its own, with a pipe from msctl as its standard input. It is told which
// process groups live and which folder is to go; when the pipe ends, because
// msctl has ended, it kills the groups and removes the folder. After an orderly
// stop there is nothing left to kill.
const (
	guardAdd    = "add"    // and a process group
	guardRemove = "remove" // and a process group that is no more
	guardFolder = "folder" // and a folder to remove at the end
)

// Guard is the guard's whole life: it reads from the pipe to its end, and does
// what is left to do. msctl calls it in the process that [Options.Guard] starts.
func Guard(pipe io.Reader) error {
	hideGuard()
	groups := map[int]bool{}
	var folders []string
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		what, value, _ := strings.Cut(lines.Text(), " ")
		pid, err := strconv.Atoi(value)
		switch {
		case what == guardFolder:
			folders = append(folders, value)
		case err != nil || pid <= 1:
			continue // half a line: msctl died while it wrote
		case what == guardAdd:
			groups[pid] = true
		case what == guardRemove:
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

// removeFolder removes the folder of a run, in which what was killed just now
// may write for a moment yet.
func removeFolder(folder string) (err error) {
	for range 50 {
		if err = os.RemoveAll(folder); err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return err
}

// guard is msctl's end of it. A nil *guard, where none is wanted, does nothing.
type guard struct {
	cmd *exec.Cmd

	mu   sync.Mutex // guards pipe
	pipe io.WriteCloser
}

// startGuard starts the guard and has it remove folder at the end.
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
	g.tell(guardFolder, folder)
	return g, nil
}

// guardName is how the guard calls itself, so that whoever kills msctl by its
// name does not kill the guard too.
const guardName = "run-guard"

func (g *guard) add(pid int)    { g.tell(guardAdd, strconv.Itoa(pid)) }
func (g *guard) remove(pid int) { g.tell(guardRemove, strconv.Itoa(pid)) }

func (g *guard) tell(what, value string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = io.WriteString(g.pipe, what+" "+value+"\n") // a guard somebody has killed guards nothing
}

// close lets the guard end and waits for it.
func (g *guard) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	_ = g.pipe.Close()
	g.mu.Unlock()
	_ = g.cmd.Wait() // how it ended changes nothing
}
