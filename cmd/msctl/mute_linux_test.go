package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestMuteTerminal runs `msctl version` on a terminal that answers no queries. The
// program must not send an escape code, and must not wait for an answer, which would
// take five seconds each time. The best of a few runs counts, because the machine may be
// busy. With MSCTL_TEST_LONG, which requires a quiet machine, the first byte must arrive
// within 200 ms.
func TestMuteTerminal(t *testing.T) {
	limit := 3 * time.Second
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		limit = 200 * time.Millisecond
	}
	for _, term := range []string{"xterm-256color", "xterm", "", "dumb"} {
		t.Run("TERM="+term, func(t *testing.T) {
			best := time.Hour
			for run := 0; run < 5 && best > limit; run++ {
				text, first := runOnPty(t, term, "version")
				if !bytes.HasPrefix(text, []byte("msctl ")) {
					t.Fatalf("the terminal got %q, want the prefix \"msctl \"", text)
				}
				if bytes.Contains(text, []byte("\x1b")) {
					t.Fatalf("the terminal got an escape code: %q", text)
				}
				best = min(best, first)
			}
			if best > limit {
				t.Errorf("first byte after %v, want at most %v", best, limit)
			}
		})
	}
}

// TestColorOnTerminal checks that the value of TERM during initialization does not
// decide whether output is colored.
func TestColorOnTerminal(t *testing.T) {
	colored, _ := runOnPty(t, "xterm-256color", "--help")
	if !bytes.Contains(colored, []byte("\x1b[1m")) {
		t.Errorf("no color on an ordinary terminal: %q", colored)
	}
	plain, _ := runOnPty(t, "dumb", "--help")
	if bytes.Contains(plain, []byte("\x1b")) {
		t.Errorf("an escape code on a dumb terminal: %q", plain)
	}
}

// runOnPty runs this binary as msctl on a new terminal, and returns its output and the
// time to its first byte.
func runOnPty(t *testing.T, term string, args ...string) (text []byte, first time.Duration) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{
		Path: binary,
		Args: append([]string{"msctl"}, args...),
		Env:  []string{"TERM=" + term, "HOME=" + t.TempDir(), "PATH=" + filepath.Dir(binary), "GORACE=atexit_sleep_ms=0"},
	}
	start := time.Now()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	watchdog := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	buffer := make([]byte, 4096)
	for {
		n, err := tty.Read(buffer) // an error at the end of the program
		if n > 0 && first == 0 {
			first = time.Since(start)
		}
		text = append(text, buffer[:n]...)
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("msctl %q: %v; output %q", args, err, text)
	}
	return text, first
}
