package testenv

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// program is a NestJS process. A goroutine copies its stdout to lines, which the owner must read to the end. The goroutine
// ends with the process, and stop and kill wait for it. The process exits at the end of its stdin, so that it does not
// outlive a test binary that dies.
type program struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *Log
	lines  chan string   // lines of stdout; closed at the end of stdout
	gone   chan struct{} // closed when the process has exited
}

func startProgram(version Version, script string, args ...string) (*program, error) {
	dir := filepath.Join(Root(), "testdata", "nest")
	cmd := exec.Command("node", append([]string{script}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(dir, string(version)), "LC_ALL=C", "NO_COLOR=1")
	p := &program{cmd: cmd, stderr: &Log{}, lines: make(chan string, 1024), gone: make(chan struct{})}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	p.stdin = stdin
	go p.run(stdout)
	return p, nil
}

// run copies stdout line by line and waits for the process.
func (p *program) run(stdout io.Reader) {
	scanner := bufio.NewScanner(stdout)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		p.lines <- scanner.Text()
	}
	close(p.lines)
	_ = p.cmd.Wait() // the output has the reason for a failure
	close(p.gone)
}

func (p *program) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // not supported on Windows, where awaitEnd kills it
	p.awaitEnd(5 * time.Second)
}

func (p *program) kill() { p.awaitEnd(0) }

// awaitEnd waits for the process to exit, and kills it after the timeout.
func (p *program) awaitEnd(timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// compactJSON returns a JSON document without insignificant white space. It returns text that is not JSON unchanged.
func compactJSON(text json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return string(text)
	}
	return compact.String()
}
