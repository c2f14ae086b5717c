package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/terminal"
	"github.com/msctl/msctl/internal/test/testenv"
)

// runScreen is `msctl run --tui` on a terminal.
type runScreen struct {
	*terminal.Terminal
	dir string
}

// startScreen runs a workspace of two programs that listen at ports, with more arguments. Without
// colors, what is written on a line is not interrupted by escape codes.
func startScreen(t *testing.T, ports []int, args ...string) *runScreen {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(dir, "service")); err != nil {
		t.Fatal(err)
	}
	yaml := "name: shop\nservices:\n"
	for i, name := range []string{"items", "orders"} {
		yaml += fmt.Sprintf("  %s: {command: [service, -name, %s, -addr, %s.addr, -listen, '127.0.0.1:%d'], port: %d}\n", name, name, name, ports[i], ports[i])
	}
	write(t, filepath.Join(dir, "msctl.yaml"), yaml)
	cmd := &exec.Cmd{
		Path: binary, Args: append([]string{"msctl", "--color", "never", "run", "--tui"}, args...), Dir: dir,
		Env: []string{"TERM=xterm", "HOME=" + dir, "PATH=" + dir + ":" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"},
	}
	return &runScreen{terminal.Start(t, cmd), dir}
}

// end waits for the end of the program, and returns what followed the screen and the exit code.
func (s *runScreen) end() (text string, code int) {
	s.Expect("\x1b[?1049l") // the screen has gone
	return s.End()
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
	s.Expect("\x1b[?1049h")
	s.Expect("2 of 2 ready")
	s.Press("R")
	s.Expect("draining, pid")
	s.Expect("✓ ready in")
	s.Press("1s")
	s.Expect("○ stopped")
	s.Press("s")
	s.Expect("2 of 2 ready")
	s.Press("Mcmd=echo text=hello --to orders\r")
	s.Expect("reply after")
	s.Expect(`"text": "hello"`)
	s.Press("\x1b")
	yaml := filepath.Join(s.dir, "msctl.yaml")
	before, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, string(before)+"typo: 1\n")
	s.Expect(`unknown key "typo"`)
	write(t, yaml, string(before)+"env: {A: b}\n")
	s.Expect("restarting all services")
	s.Expect("shop is ready")
	s.Press("q")
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
