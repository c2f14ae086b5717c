package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/test/terminal"
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
	*terminal.Terminal
	t   *testing.T
	dir string
}

func startWizard(t *testing.T) *wizard {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWizardProgram$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CLI_TEST_WIZARD=1", "TERM=xterm", "CI=", "GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "GORACE=atexit_sleep_ms=0")
	return &wizard{terminal.Start(t, cmd), t, dir}
}

// line answers a prompt for a line. Keys that are typed before the prompt reads them
// are lost, so it presses backspace until the bell reports that nothing can be deleted.
func (w *wizard) line(answer string) {
	w.t.Helper()
	w.Expect("\x1b[6n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		w.Press("\x7f")
		w.Read(tick.C)
		if w.Has("\a") {
			w.Press(answer + "\r")
			return
		}
	}
	w.t.Fatal("the prompt never read a key")
}

func TestWizard(t *testing.T) {
	w := startWizard(t)
	w.Expect("Name of the workspace?")
	w.line("Corner")
	w.Expect("must be a lower-case letter")
	w.line("corner")
	w.Expect("Which sample services?")
	w.Expect("a second hop")
	w.Press("\r")
	w.Expect("Other services")
	w.line("mail, items")
	w.Expect("duplicate service items")
	w.line("mail, audit:nats")
	w.Expect("Transport of mail?")
	w.Expect("not stored")
	w.Press("\x1b[B\r") // one down
	w.Expect("Go module path?")
	w.line("example.com/corner")
	w.Expect("items on port 3002, orders on port 3003, mail in RabbitMQ's queue mail, audit on NATS")
	w.line("")
	w.Expect(": ")
	w.Expect(" files")
	if _, code := w.End(); code != 0 {
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
	w.Expect("Name of the workspace?")
	w.line("corner")
	w.Expect("Which sample services?")
	w.Expect("retries and dead letters")
	w.Press(" \x1b[B\x1b[B \r") // items off, notifications on
	w.Expect("requires items and orders")
	w.Expect("retries and dead letters")
	w.Press(" \r") // prompted again with the cursor in the same place: notifications on
	w.Expect("Other services")
	w.line("")
	w.Expect("Go module path?")
	w.line("")
	w.Expect("notifications in RabbitMQ's queue notifications?")
	w.line("")
	w.Expect(" files")
	if _, code := w.End(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "corner", "apps", "notifications", "journal.go")); err != nil {
		t.Error(err)
	}
}

func TestWizardDeclined(t *testing.T) {
	w := startWizard(t)
	for _, question := range []string{"Name of the workspace?", "Which sample services?", "Other services", "Go module path?"} {
		w.Expect(question)
		if question == "Which sample services?" {
			w.Expect("a second hop")
			w.Press("\r")
			continue
		}
		w.line("")
	}
	w.Expect("Create ./shop")
	w.line("n")
	w.Expect("nothing was written")
	if _, code := w.End(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder contains %v, %v", entries, err)
	}
}
