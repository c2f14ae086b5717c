package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/msctl/msctl/internal/term"
)

// TestWizardProgram is the program that TestWizard runs on a pseudo-terminal.
func TestWizardProgram(t *testing.T) {
	if os.Getenv("CLI_TEST_WIZARD") != "1" {
		t.Skip("only run by TestWizard")
	}
	os.Exit(Main(term.System(), "v9", []string{"new"}))
}

// wizard is `msctl new` on a terminal, in its own folder.
type wizard struct {
	t      *testing.T
	dir    string
	tty    *os.File
	cmd    *exec.Cmd
	text   bytes.Buffer
	output chan []byte
}

func startWizard(t *testing.T) *wizard {
	t.Helper()
	w := &wizard{t: t, dir: t.TempDir(), output: make(chan []byte, 64)}
	w.cmd = exec.Command(os.Args[0], "-test.run=^TestWizardProgram$")
	w.cmd.Dir = w.dir
	w.cmd.Env = append(os.Environ(), "CLI_TEST_WIZARD=1", "TERM=xterm", "CI=", "GIT_CONFIG_NOSYSTEM=1", "HOME="+w.dir, "GORACE=atexit_sleep_ms=0")
	var err error
	if w.tty, err = pty.StartWithSize(w.cmd, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	go w.read()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		_ = w.tty.Close()
		for range w.output { // until read has ended
		}
	})
	return w
}

// read forwards the output, and answers queries for the position of the cursor.
func (w *wizard) read() {
	defer close(w.output)
	for {
		buffer := make([]byte, 4096)
		n, err := w.tty.Read(buffer)
		for range bytes.Count(buffer[:n], []byte("\x1b[6n")) {
			_, _ = io.WriteString(w.tty, "\x1b[1;1R")
		}
		w.output <- buffer[:n]
		if err != nil {
			return
		}
	}
}

// expect waits for text.
func (w *wizard) expect(text string) {
	w.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !w.has(text) {
		select {
		case more, ok := <-w.output:
			if !ok {
				w.t.Fatalf("the program ended before %q: %q", text, w.text.String())
			}
			w.text.Write(more)
		case <-deadline.C:
			w.t.Fatalf("waited for %q, the terminal has %q", text, w.text.String())
		}
	}
	w.text.Next(strings.Index(w.text.String(), text) + len(text))
}

func (w *wizard) has(text string) bool { return strings.Contains(w.text.String(), text) }

// line answers a prompt for a line. Keys that are typed before the prompt reads them
// are lost, so it presses backspace until the bell reports that nothing can be deleted.
func (w *wizard) line(answer string) {
	w.t.Helper()
	w.expect("\x1b[6n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		_, _ = io.WriteString(w.tty, "\x7f")
		select {
		case more := <-w.output:
			w.text.Write(more)
		case <-tick.C:
		}
		if w.has("\a") {
			_, _ = io.WriteString(w.tty, answer+"\r")
			return
		}
	}
	w.t.Fatal("the prompt never read a key")
}

func (w *wizard) code() int {
	w.t.Helper()
	for range w.output { // until it has ended
	}
	err := w.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return w.cmd.ProcessState.ExitCode()
}

func TestWizard(t *testing.T) {
	w := startWizard(t)
	w.expect("Name of the workspace?")
	w.line("Corner")
	w.expect("must be a lower-case letter")
	w.line("corner")
	w.expect("Which sample services?")
	w.expect("a second hop")
	_, _ = io.WriteString(w.tty, "\r")
	w.expect("Other services")
	w.line("mail, items")
	w.expect("duplicate service items")
	w.line("mail, audit:nats")
	w.expect("Transport of mail?")
	w.expect("not stored")
	_, _ = io.WriteString(w.tty, "\x1b[B\r") // one down
	w.expect("Go module path?")
	w.line("example.com/corner")
	w.expect("items on port 3002, orders on port 3003, mail in RabbitMQ's queue mail, audit on NATS")
	w.line("")
	w.expect(": ")
	w.expect(" files")
	if code := w.code(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "corner", "go.mod"))
	if err != nil || !strings.HasPrefix(string(text), "module example.com/corner\n") {
		t.Errorf("go.mod %q, %v", text, err)
	}
	text, err = os.ReadFile(filepath.Join(w.dir, "corner", "msctl.yaml"))
	if err != nil || !strings.Contains(string(text), "transport: rabbitmq\n    queue: mail\n") {
		t.Errorf("msctl.yaml %q, %v", text, err)
	}
}

// TestWizardNotifications checks that the example requires the other samples.
func TestWizardNotifications(t *testing.T) {
	w := startWizard(t)
	w.expect("Name of the workspace?")
	w.line("corner")
	w.expect("Which sample services?")
	w.expect("retries and dead letters")
	_, _ = io.WriteString(w.tty, " \x1b[B\x1b[B \r") // items off, notifications on
	w.expect("requires items and orders")
	w.expect("retries and dead letters")
	_, _ = io.WriteString(w.tty, " \r") // prompted again with the cursor in the same place: notifications on
	w.expect("Other services")
	w.line("")
	w.expect("Go module path?")
	w.line("")
	w.expect("notifications in RabbitMQ's queue notifications?")
	w.line("")
	w.expect(" files")
	if code := w.code(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "corner", "apps", "notifications", "journal.go")); err != nil {
		t.Error(err)
	}
}

func TestWizardDeclined(t *testing.T) {
	w := startWizard(t)
	for _, question := range []string{"Name of the workspace?", "Which sample services?", "Other services", "Go module path?"} {
		w.expect(question)
		if question == "Which sample services?" {
			w.expect("a second hop")
			_, _ = io.WriteString(w.tty, "\r")
			continue
		}
		w.line("")
	}
	w.expect("Create ./shop")
	w.line("n")
	w.expect("nothing was written")
	if code := w.code(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder contains %v, %v", entries, err)
	}
}
