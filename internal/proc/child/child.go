// Package child starts processes and leaves none behind.
//
// Each process leads a process group of its own. When the process has ended, however
// that happened, its whole group is killed. If msctl itself dies, a guard does the
// same: a small process in a session of its own, which knows the groups and reads
// from a pipe that closes when msctl ends (guard.go). On Linux, the kernel also kills
// the leaders of the groups (group_linux.go). On Windows, a job object takes the
// place of both; that code compiles but has not been tested on Windows.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// The streams of a process, as passed to [Command.Line].
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// ErrNoPause is returned by [Process.Pause] on systems that cannot pause a process.
var ErrNoPause = errors.New("pausing a process is not supported on this system")

// Command describes a process to start.
type Command struct {
	Dir   string
	Env   []string
	Words []string   // the program and its arguments
	Files []*os.File // inherited descriptors, from 3 on; not on Windows
	// Line is called with each line that the process writes, without its line end.
	// Calls do not overlap.
	Line func(stream, text string)
}

// Process is a process and its group. Two goroutines read its output and one waits
// for it to end.
type Process struct {
	Pid   int
	Began time.Time
	// Exited is closed when nothing is left of the process and its group, and its
	// output has been read.
	Exited chan struct{}

	output tail
	group  group
	result error // read it after Exited
}

// outputGrace is how long Process waits for output from descendants that have left
// the process group and still hold the pipe.
const outputGrace = 500 * time.Millisecond

// Start starts a process in a group of its own, with an empty standard input.
// Canceling ctx does not end the process.
func (l *Launcher) Start(ctx context.Context, c Command) (*Process, error) {
	var readers [2]*os.File
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Words[0], c.Words[1:]...)
	cmd.Dir, cmd.ExtraFiles = c.Dir, c.Files
	cmd.Env = slices.Concat(c.Env, []string{"PWD=" + c.Dir}) // keeps symbolic links in the name of the folder
	for i, stream := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		reader, writer, err := os.Pipe()
		if err != nil {
			closeAll(readers[:i])
			return nil, fmt.Errorf("start %s: %w", c.Words[0], err)
		}
		defer writer.Close()
		readers[i], *stream = reader, writer
	}
	prepare(cmd)
	if err := l.start(cmd); err != nil {
		closeAll(readers[:])
		return nil, startError(c, err)
	}
	p := &Process{Pid: cmd.Process.Pid, Began: time.Now(), Exited: make(chan struct{})}
	if err := p.group.adopt(cmd.Process); err != nil {
		l.warn("descendants of process %d may outlive it: %v", p.Pid, err)
	}
	l.guard.add(p.Pid)
	go l.attend(p, cmd, c, readers)
	return p, nil
}

// startError explains why a program could not be started.
func startError(c Command, err error) error {
	if _, statErr := os.Stat(c.Dir); statErr != nil && c.Dir != "" {
		return fmt.Errorf("start %s: working directory: %w", c.Words[0], statErr)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("start %s: no such program on the PATH%s", c.Words[0], howToGet(c.Words[0]))
	}
	return fmt.Errorf("start %s: %w", c.Words[0], err)
}

// howToGet returns how to install a program, if that is known.
func howToGet(program string) string {
	if slices.Contains([]string{"node", "npm", "npx"}, program) {
		return "; install Node.js from https://nodejs.org"
	}
	return ""
}

// attend reads the output of a process and waits for its end, then kills its group.
func (l *Launcher) attend(p *Process, cmd *exec.Cmd, c Command, readers [2]*os.File) {
	defer close(p.Exited)
	var reading sync.WaitGroup
	var turn sync.Mutex
	for i, stream := range []string{Stdout, Stderr} {
		reading.Go(func() {
			readLines(readers[i], func(text string) {
				turn.Lock()
				defer turn.Unlock()
				p.output.add(text)
				c.Line(stream, text)
			})
		})
	}
	p.result = cmd.Wait()
	p.group.kill(p.Pid)
	for _, reader := range readers {
		// Where a pipe has no deadlines, killing the group closes it.
		_ = reader.SetReadDeadline(time.Now().Add(outputGrace))
	}
	reading.Wait()
	closeAll(readers[:])
	p.group.close()
	l.guard.remove(p.Pid)
}

// Result returns the error with which the process ended, or nil for exit status 0.
// Call it after Exited is closed.
func (p *Process) Result() error { return p.result }

// How describes how the process ended. Call it after Exited is closed.
func (p *Process) How() string {
	if p.result == nil {
		return "exit status 0"
	}
	return p.result.Error()
}

// LastOutput returns the last lines that the process has written to either stream.
func (p *Process) LastOutput() []string { return p.output.last() }

// End asks the process group to end, and kills it after grace or when killed is
// closed. With a grace of 0, it kills immediately. End returns when nothing is left
// of the group, and reports whether the process ended without being killed.
func (p *Process) End(grace time.Duration, killed <-chan struct{}) (gracefully bool) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	if grace > 0 {
		p.group.terminate(p.Pid)
		select {
		case <-p.Exited:
			return true
		case <-timer.C:
		case <-killed:
		}
	}
	p.Kill()
	<-p.Exited
	return false
}

// Interrupt sends the process group an interrupt, like Ctrl-C on a terminal, and kills it
// after grace or when killed is closed. It returns when nothing is left of the group. On
// Windows, it kills at once.
func (p *Process) Interrupt(grace time.Duration, killed <-chan struct{}) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	if p.group.interrupt(p.Pid) {
		select {
		case <-p.Exited:
			return
		case <-timer.C:
		case <-killed:
		}
	}
	p.End(0, nil)
}

// Kill kills the process group and does not wait for its end.
func (p *Process) Kill() { p.group.kill(p.Pid) }

// Pause stops the process group (SIGSTOP) until [Process.Resume]. It returns when the
// process has stopped.
func (p *Process) Pause() error { return p.group.pause(p.Pid) }

// Resume continues the process group after [Process.Pause], and reports whether the
// process still exists.
func (p *Process) Resume() bool {
	select {
	case <-p.Exited: // its ID may belong to another process by now
		return false
	default:
	}
	p.group.resume(p.Pid)
	return true
}

// Includes reports whether the process pid belongs to this one: as a member of its group,
// or as a descendant.
func (p *Process) Includes(pid int) bool {
	for range 100 { // the number of ancestors is finite, but the IDs may be reused meanwhile
		if pid <= 1 {
			return false
		}
		if pid == p.Pid || p.group.includes(p.Pid, pid) {
			return true
		}
		pid = parentOf(pid)
	}
	return false
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
