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

// TestFirstByteOnAMuteTerminal runs `msctl version` on a terminal that answers
// no question: its first byte is there within 200 ms, and no escape code comes
// before the output. The best of a few runs counts, because machines are busy;
// a program that waits for an answer needs seconds each time.
func TestFirstByteOnAMuteTerminal(t *testing.T) {
	for _, term := range []string{"xterm-256color", "xterm", "", "dumb"} {
		t.Run("TERM="+term, func(t *testing.T) {
			best := time.Hour
			for run := 0; run < 5 && best > 200*time.Millisecond; run++ {
				text, first := runOnPty(t, term, "version")
				if !bytes.HasPrefix(text, []byte("msctl ")) {
					t.Fatalf("the terminal got %q, want it to begin with \"msctl \"", text)
				}
				if bytes.Contains(text, []byte("\x1b")) {
					t.Fatalf("the terminal got an escape code: %q", text)
				}
				best = min(best, first)
			}
			if best > 200*time.Millisecond {
				t.Errorf("first byte after %v, want 200ms at most", best)
			}
		})
	}
}

// TestColourOnATerminal: what TERM is during initialisation must not decide
// whether there is colour.
func TestColourOnATerminal(t *testing.T) {
	colored, _ := runOnPty(t, "xterm-256color", "--help")
	if !bytes.Contains(colored, []byte("\x1b[1m")) {
		t.Errorf("no colour on an ordinary terminal: %q", colored)
	}
	plain, _ := runOnPty(t, "dumb", "--help")
	if bytes.Contains(plain, []byte("\x1b")) {
		t.Errorf("an escape code on a dumb terminal: %q", plain)
	}
}

// runOnPty runs this binary as msctl on a terminal of its own, and gives all it
// wrote and the time to its first byte.
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
		n, err := tty.Read(buffer) // an error says that the program has ended
		if n > 0 && first == 0 {
			first = time.Since(start)
		}
		text = append(text, buffer[:n]...)
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("msctl %q: %v; the terminal has %q", args, err, text)
	}
	return text, first
}
