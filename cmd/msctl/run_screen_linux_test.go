package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/msctl/msctl/internal/test/testenv"
)

// runScreen is `msctl run --tui` on a terminal.
type runScreen struct {
	t      *testing.T
	dir    string
	tty    *os.File
	cmd    *exec.Cmd
	text   bytes.Buffer // since what was expected last
	output chan []byte
}

// startScreen runs a workspace of two programs that listen at ports, with more arguments. Without
// colors, what is written on a line is not interrupted by escape codes.
func startScreen(t *testing.T, ports []int, args ...string) *runScreen {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &runScreen{t: t, dir: t.TempDir(), output: make(chan []byte, 64)}
	if err := os.Symlink(binary, filepath.Join(s.dir, "service")); err != nil {
		t.Fatal(err)
	}
	yaml := "name: shop\nservices:\n"
	for i, name := range []string{"items", "orders"} {
		yaml += fmt.Sprintf("  %s: {command: [service, -name, %s, -addr, %s.addr, -listen, '127.0.0.1:%d'], port: %d}\n", name, name, name, ports[i], ports[i])
	}
	write(t, filepath.Join(s.dir, "msctl.yaml"), yaml)
	s.cmd = &exec.Cmd{
		Path: binary, Args: append([]string{"msctl", "--color", "never", "run", "--tui"}, args...), Dir: s.dir,
		Env: []string{"TERM=xterm", "HOME=" + s.dir, "PATH=" + s.dir + ":" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"},
	}
	if s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.tty.Close()
		for range s.output { // until read has ended
		}
	})
	return s
}

func (s *runScreen) read() {
	defer close(s.output)
	for {
		buffer := make([]byte, 4096)
		n, err := s.tty.Read(buffer) // an error at the end of the program
		s.output <- buffer[:n]
		if err != nil {
			return
		}
	}
}

// expect waits for text.
func (s *runScreen) expect(text string) {
	s.t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for !strings.Contains(s.text.String(), text) {
		select {
		case more, ok := <-s.output:
			if !ok {
				s.t.Fatalf("the program ended before %q: %q", text, s.text.String())
			}
			s.text.Write(more)
		case <-deadline.C:
			s.t.Fatalf("waited for %q, the terminal has …%q", text, s.text.String()[max(s.text.Len()-4000, 0):])
		}
	}
	s.text.Next(strings.Index(s.text.String(), text) + len(text))
}

func (s *runScreen) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the end of the program, and returns what followed the screen and the exit code.
func (s *runScreen) end() (text string, code int) {
	s.t.Helper()
	s.expect("\x1b[?1049l") // the screen has gone
	for more := range s.output {
		s.text.Write(more)
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.text.String(), s.cmd.ProcessState.ExitCode()
}

func freePorts(t *testing.T) (ports []int) {
	t.Helper()
	for range 2 {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// TestRunScreen runs two services on a screen: one is restarted, stopped, started, and sent a message;
// a change of msctl.yaml restarts both; and q drains them.
func TestRunScreen(t *testing.T) {
	ports := freePorts(t)
	s := startScreen(t, ports)
	s.expect("\x1b[?1049h")
	s.expect("2 of 2 ready")
	s.press("R")
	s.expect("draining, pid")
	s.expect("✓ ready in")
	s.press("1s")
	s.expect("○ stopped")
	s.press("s")
	s.expect("2 of 2 ready")
	s.press("Mcmd=echo text=hello --to orders\r")
	s.expect("reply after")
	s.expect(`"text": "hello"`)
	s.press("\x1b")
	yaml := filepath.Join(s.dir, "msctl.yaml")
	before, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, string(before)+"typo: 1\n")
	s.expect(`unknown key "typo"`)
	write(t, yaml, string(before)+"env: {A: b}\n")
	s.expect("restarting all services")
	s.expect("shop is ready")
	s.press("q")
	text, code := s.end()
	if code != 0 || !strings.Contains(text, "1 services") || !strings.Contains(text, "○ stopped") || !strings.Contains(text, "stopped in") {
		t.Errorf("exit code %d, and the screen has left %q", code, text)
	}
	for _, port := range ports {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = conn.Close()
			t.Errorf("port %d is still open", port)
		}
	}
}

// TestRunScreenFails checks that the error of a run is printed when the screen has gone, with the same
// exit code as without a screen.
func TestRunScreenFails(t *testing.T) {
	ports := freePorts(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	text, code := startScreen(t, ports, "--fail-fast").end()
	if code != 1 || !strings.Contains(text, fmt.Sprintf("service orders: port 127.0.0.1:%d is in use", ports[1])) {
		t.Errorf("exit code %d, and the screen has left %q", code, text)
	}
}
