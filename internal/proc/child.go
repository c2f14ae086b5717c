package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// command is a process to start.
type command struct {
	dir   string
	env   []string
	words []string   // the program and its arguments
	files []*os.File // descriptors from 3 on; not on Windows
	// line is given each line the process writes, one at a time.
	line func(stream, text string)
}

// child is one process and its group, from its start until nothing is left of
// it. Two goroutines read its output and one waits for it; exited is closed
// when all three are done.
type child struct {
	pid    int
	probe  string // where to ask for readiness, or ""
	output tail
	began  time.Time
	ready  time.Time   // zero before; of the service's owner alone
	vocal  atomic.Bool // ready, and not asked to end

	group  group
	exited chan struct{}
	result error // how the process ended; read it after exited
}

// outputGrace is how long output is awaited from those who have left the
// process group and hold the pipe.
const outputGrace = 500 * time.Millisecond

// spawn starts a process in a group of its own, with nothing to read on its
// standard input.
func (r *run) spawn(ctx context.Context, c command) (*child, error) {
	var readers [2]*os.File
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.words[0], c.words[1:]...)
	cmd.Dir, cmd.ExtraFiles = c.dir, c.files
	cmd.Env = slices.Concat(c.env, []string{"PWD=" + c.dir}) // so that folders have the names we know them by
	for i, stream := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		reader, writer, err := os.Pipe()
		if err != nil {
			closeAll(readers[:i])
			return nil, fmt.Errorf("start %s: %w", c.words[0], err)
		}
		defer writer.Close()
		readers[i], *stream = reader, writer
	}
	prepare(cmd)
	if err := r.launcher.start(cmd); err != nil {
		closeAll(readers[:])
		return nil, startError(c, err)
	}
	p := &child{pid: cmd.Process.Pid, began: time.Now(), exited: make(chan struct{})}
	if err := p.group.adopt(cmd.Process); err != nil {
		r.warn("process %d may leave others behind: %v", p.pid, err)
	}
	r.guard.add(p.pid)
	go r.attend(p, cmd, c, readers)
	return p, nil
}

// startError says why a program could not be started.
func startError(c command, err error) error {
	if _, statErr := os.Stat(c.dir); statErr != nil && c.dir != "" {
		return fmt.Errorf("start %s: its folder: %w", c.words[0], statErr)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("start %s: there is no such program on the PATH", c.words[0])
	}
	return fmt.Errorf("start %s: %w", c.words[0], err)
}

// attend reads what a process writes and waits for its end; then it ends its
// whole group.
func (r *run) attend(p *child, cmd *exec.Cmd, c command, readers [2]*os.File) {
	defer close(p.exited)
	var reading sync.WaitGroup
	var turn sync.Mutex
	for i, stream := range []string{StreamOut, StreamErr} {
		reading.Go(func() {
			readLines(readers[i], func(text string) {
				turn.Lock()
				defer turn.Unlock()
				p.output.add(text)
				c.line(stream, text)
			})
		})
	}
	p.result = cmd.Wait()
	p.group.kill(p.pid)
	for _, reader := range readers {
		_ = reader.SetReadDeadline(time.Now().Add(outputGrace)) // not on every system; there the group's end ends the pipe
	}
	reading.Wait()
	closeAll(readers[:])
	p.group.close()
	r.guard.remove(p.pid)
}

// end asks the process and its group to end, and kills them when they have not
// after grace, or as soon as the run is to be killed. It returns when nothing is
// left, and says whether that was by itself.
func (p *child) end(grace time.Duration, killed <-chan struct{}) (gracefully bool) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	if grace > 0 {
		p.group.terminate(p.pid)
		select {
		case <-p.exited:
			return true
		case <-timer.C:
		case <-killed:
		}
	}
	p.group.kill(p.pid)
	<-p.exited
	return false
}

// how describes the end of a process that has exited.
func (p *child) how() string {
	if p.result == nil {
		return "exit status 0"
	}
	return p.result.Error()
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
