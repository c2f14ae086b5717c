package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// limit is how long a test waits for output. It is long because the machine may be busy with other tests.
const limit = 2 * time.Minute

// Terminal is a terminal of 40 lines and 120 columns with a program. It is used by the goroutine of the test.
type Terminal struct {
	t      testing.TB
	tty    *os.File
	cmd    *exec.Cmd
	text   bytes.Buffer // since what was expected last
	output chan []byte
}

// Start starts a program. It ends with the test.
func Start(t testing.TB, cmd *exec.Cmd) *Terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	p := &Terminal{t: t, tty: tty, cmd: cmd, output: make(chan []byte, 64)}
	go p.read()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = tty.Close()
		for range p.output { // until read has ended
		}
	})
	return p
}

// read forwards the output, and answers queries for the position of the cursor.
func (p *Terminal) read() {
	defer close(p.output)
	for {
		buffer := make([]byte, 4096)
		n, err := p.tty.Read(buffer) // an error at the end of the program
		for range bytes.Count(buffer[:n], []byte("\x1b[6n")) {
			_, _ = io.WriteString(p.tty, "\x1b[1;1R")
		}
		p.output <- buffer[:n]
		if err != nil {
			return
		}
	}
}

// Expect waits until the program has written text, and continues after it.
func (p *Terminal) Expect(text string) {
	p.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !p.Has(text) {
		select {
		case more, ok := <-p.output:
			if !ok {
				p.t.Fatalf("the program ended before %q: %q", text, p.text.String())
			}
			p.text.Write(more)
		case <-deadline.C:
			p.t.Fatalf("waited for %q, the terminal has …%q", text, p.text.String()[max(p.text.Len()-4000, 0):])
		}
	}
	p.text.Next(strings.Index(p.text.String(), text) + len(text))
}

// Has reports whether text is in what has been read since the last text that was expected.
func (p *Terminal) Has(text string) bool { return strings.Contains(p.text.String(), text) }

// Read reads what the program writes next, or nothing if tick comes first.
func (p *Terminal) Read(tick <-chan time.Time) {
	select {
	case more := <-p.output:
		p.text.Write(more)
	case <-tick:
	}
}

// Press types keys.
func (p *Terminal) Press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.tty, keys); err != nil {
		p.t.Fatal(err)
	}
}

// End waits for the end of the program, and returns what it has written since the last text that was
// expected, and its exit code.
func (p *Terminal) End() (text string, code int) {
	p.t.Helper()
	for more := range p.output {
		p.text.Write(more)
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.text.String(), p.cmd.ProcessState.ExitCode()
}
