package term

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestMain lets the test binary act as the program on the pseudo-terminal.
func TestMain(m *testing.M) {
	if os.Getenv("TERM_TEST_ASK") == "1" {
		os.Exit(askEverything())
	}
	m.Run()
}

// askEverything prompts once in each way and prints the answers.
func askEverything() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := System()
	choices := []Choice{{"tcp", "the default"}, {"nats", "later"}, {"redis", ""}}
	name, err := s.Input(ctx, Question{Text: "Name?", Flag: "NAME"}, "shop", func(text string) error {
		if strings.Contains(text, " ") {
			return errors.New("no spaces")
		}
		return nil
	})
	if err != nil {
		return say(err)
	}
	transport, err := s.Select(ctx, Question{Text: "Transport?", Flag: "--transport"}, choices, "nats")
	if err != nil {
		return say(err)
	}
	extras, err := s.MultiSelect(ctx, Question{Text: "Extras?", Flag: "--extra"}, choices, []string{"redis"}, nil)
	if err != nil {
		return say(err)
	}
	sure, err := s.Confirm(ctx, Question{Text: "Sure?", Flag: "--yes"}, false)
	if err != nil {
		return say(err)
	}
	fmt.Printf("answers: %s %s %v %v\n", name, transport, extras, sure)
	return 0
}

func say(err error) int {
	fmt.Println("error:", err)
	if errors.Is(err, ErrInterrupt) {
		return 130
	}
	return 1
}

// dialog is a program on a pseudo-terminal, with its output so far.
type dialog struct {
	t    *testing.T
	tty  *os.File // our side
	cmd  *exec.Cmd
	news chan struct{}
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func startDialogue(t *testing.T) *dialog {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TERM_TEST_ASK=1", "TERM=xterm", "CI=", "GORACE=atexit_sleep_ms=0")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	d := &dialog{t: t, tty: tty, cmd: cmd, news: make(chan struct{}, 1)}
	go d.read()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = tty.Close()
	})
	return d
}

// read collects the output and answers queries for the position of the cursor.
func (d *dialog) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := d.tty.Read(buffer)
		for range bytes.Count(buffer[:n], []byte("\x1b[6n")) {
			_, _ = io.WriteString(d.tty, "\x1b[1;1R")
		}
		d.mu.Lock()
		d.text.Write(buffer[:n])
		d.mu.Unlock()
		select {
		case d.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// ready waits until a prompt for a line reads keys. Before that, it queries the position
// of the cursor and loses other input, so ready presses backspace until the bell reports
// that nothing can be deleted.
func (d *dialog) ready() {
	d.t.Helper()
	d.expect("\x1b[?25h\x1b[6n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		d.send("\x7f")
		<-tick.C
		if d.has("\a") {
			return
		}
	}
	d.t.Fatal("the prompt never read a key")
}

// has reports whether the program has written text since the last expect.
func (d *dialog) has(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Contains(d.text.String(), text)
}

// expect waits until the program has written text since the last expect.
func (d *dialog) expect(text string) {
	d.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		d.mu.Lock()
		i := strings.Index(d.text.String(), text)
		if i >= 0 {
			d.text.Next(i + len(text))
		}
		all := d.text.String()
		d.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-d.news:
		case <-deadline.C:
			d.t.Fatalf("waited for %q, the terminal has %q", text, all)
		}
	}
}

func (d *dialog) send(keys string) {
	d.t.Helper()
	if _, err := io.WriteString(d.tty, keys); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dialog) code() int {
	d.t.Helper()
	err := d.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return d.cmd.ProcessState.ExitCode()
}

func TestQuestionsOnATerminal(t *testing.T) {
	d := startDialogue(t)
	d.expect("Name?")
	d.expect("(shop)")
	d.ready()
	d.send("my shop\r")
	d.expect("no spaces")
	d.expect("(shop)")
	d.ready()
	d.send("corner\r")
	d.expect("Transport?")
	d.expect("redis")
	d.send("\r")
	d.expect("Extras?")
	d.expect("redis")
	d.send("\r")
	d.expect("Sure?")
	d.expect("(y/N)")
	d.ready()
	d.send("y\r")
	d.expect("answers: corner nats [redis] true")
	if code := d.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Ctrl-C as a key, while the prompt has the terminal in raw mode.
func TestCtrlCAtAQuestion(t *testing.T) {
	d := startDialogue(t)
	d.expect("(shop)")
	d.ready()
	d.send("\x03")
	d.expect("error: interrupted")
	if code := d.code(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// Ctrl-C as a signal, as before the terminal is raw.
func TestInterruptSignalAtAQuestion(t *testing.T) {
	d := startDialogue(t)
	d.expect("(shop)")
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	d.expect("error: interrupted")
	if code := d.code(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}
