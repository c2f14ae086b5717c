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
	"strings"
	"sync"
	"syscall"
	"time"
)

// program is a NestJS process with its output. One goroutine passes stdout on to lines, which its owner must read until
// they end; it ends when the process does, and stop and kill wait for it. The process ends by itself when its stdin does,
// so that it does not outlive a test binary that dies.
type program struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *syncBuffer
	lines  chan string   // lines of stdout; closed at its end
	gone   chan struct{} // closed when the process has been waited for
}

func startProgram(version Version, script string, args ...string) (*program, error) {
	dir := filepath.Join(Root(), "testdata", "nest")
	cmd := exec.Command("node", append([]string{script}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(dir, string(version)), "LC_ALL=C", "NO_COLOR=1")
	p := &program{cmd: cmd, stderr: &syncBuffer{}, lines: make(chan string, 1024), gone: make(chan struct{})}
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

// run passes stdout on, line by line, and waits for the process.
func (p *program) run(stdout io.Reader) {
	scanner := bufio.NewScanner(stdout)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		p.lines <- scanner.Text()
	}
	close(p.lines)
	_ = p.cmd.Wait() // how it ended is told by its output
	close(p.gone)
}

func (p *program) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // not on Windows: then the kill below does it
	p.awaitEnd(5 * time.Second)
}

func (p *program) kill() { p.awaitEnd(0) }

// awaitEnd waits until the process is gone, and kills it when the time is over.
func (p *program) awaitEnd(patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// compactJSON returns the document without its white space, or the text itself if it is none.
func compactJSON(text json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return string(text)
	}
	return compact.String()
}
