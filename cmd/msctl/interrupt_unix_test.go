//go:build !windows

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSignals checks that a command that waits for an answer exits with code 130 on
// SIGINT and 143 on SIGTERM, without an error message.
func TestSignals(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addr := filepath.Join(dir, "addr")
	service := &exec.Cmd{Path: binary, Args: []string{"service", "-addr", addr}, Dir: dir}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Signal(os.Interrupt)
		_ = service.Wait()
	})
	target := waitForText(t, addr)
	for signal, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		msctl := &exec.Cmd{Path: binary, Args: []string{"msctl", "send", "cmd=never", "--timeout", "30s", "-v", "-t", target}, Dir: dir}
		stderr, err := msctl.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := msctl.Start(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if strings.HasPrefix(lines.Text(), "> ") { // the message has been sent
				if err := msctl.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
		}
		err = msctl.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != code {
			t.Errorf("%v: %v, want exit code %d; standard error:\n%s", signal, err, code, &text)
		}
		if strings.Contains(text.String(), "error:") || !strings.Contains(text.String(), "stopped by signal") {
			t.Errorf("%v: standard error:\n%s", signal, &text)
		}
	}
}
