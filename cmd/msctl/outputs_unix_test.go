//go:build !windows

package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outputKinds are the files of a load test, and how a complete one ends.
var outputKinds = map[string]string{"json": "}", "html": "</html>", "md": "", "csv": "", "xml": "</testsuites>", "bin": ""}

// outputFlags are the flags for all files in a folder.
func outputFlags(dir string) []string {
	file := func(kind string) string { return filepath.Join(dir, "run."+kind) }
	return []string{
		"--save", file("json"), "--html", file("html"), "--markdown", file("md"), "--csv", file("csv"), "--junit", file("xml"), "--vegeta", file("bin"),
	}
}

// checkOutputs checks that the files in a folder are complete, or, unless all must be
// there, do not exist, and that nothing else is left.
func checkOutputs(t *testing.T, dir string, all bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, entry := range entries {
		kind, known := strings.CutPrefix(entry.Name(), "run.")
		end, isKind := outputKinds[kind]
		if !known || !isKind {
			t.Errorf("%s is left", entry.Name())
			continue
		}
		found[kind] = true
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil || len(text) == 0 && kind != "bin" || !strings.HasSuffix(strings.TrimRight(string(text), "\n"), end) {
			t.Errorf("%s is not complete (%v): %d bytes", entry.Name(), err, len(text))
		}
		switch kind {
		case "json":
			if !json.Valid(text) {
				t.Errorf("%s is not JSON", entry.Name())
			}
		case "xml":
			if err := xml.Unmarshal(text, new(struct{})); err != nil {
				t.Errorf("%s: %v", entry.Name(), err)
			}
		}
	}
	if all && len(found) != len(outputKinds) {
		t.Errorf("only these files are written: %v", found)
	}
}

// child is msctl with its output streams.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{Path: binary, Args: append([]string{"msctl"}, args...), Dir: t.TempDir(), Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")}
}

// exitCode waits for a program and returns its exit code; 128 plus the number of the
// signal that killed it.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// TestLostOutput loses what a command prints: the reader ends after one line or at once,
// the disk is full, or the stream is closed. All files are written, and the exit code is
// that of the run.
func TestLostOutput(t *testing.T) {
	addr := startHelper(t, "service")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	t.Cleanup(func() { _ = full.Close() })
	runs := map[string][]string{
		"success":   {"bench", "cmd=echo"},
		"threshold": {"bench", "cmd=echo", "--threshold", "goodput>101%"},
		"failure":   {"bench", "cmd=reject"},
		"baseline":  nil, // set below
	}
	codes := map[string]int{"success": 0, "threshold": 99, "failure": 3, "baseline": 99}
	good := filepath.Join(t.TempDir(), "good.json")
	if got := runMsctl(t, "bench", "cmd=echo", "-t", addr, "--rate", "400/s", "-d", "3s", "--save", good); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	runs["baseline"] = []string{"bench", "cmd=reject", "--baseline", good, "--rate", "400/s", "-d", "3s"}
	ways := map[string]func(cmd *exec.Cmd) func(){
		"| true": func(cmd *exec.Cmd) func() {
			r, w, _ := os.Pipe()
			cmd.Stdout = w
			_ = r.Close()
			return func() { _ = w.Close() }
		},
		"| head -1": func(cmd *exec.Cmd) func() {
			r, w, _ := os.Pipe()
			cmd.Stdout = w
			return readLine(r, w)
		},
		"2>&1 | head -1": func(cmd *exec.Cmd) func() {
			r, w, _ := os.Pipe()
			cmd.Stdout, cmd.Stderr = w, w
			return readLine(r, w)
		},
		"> /dev/full":      func(cmd *exec.Cmd) func() { cmd.Stdout = full; return func() {} },
		"> /dev/full 2>&1": func(cmd *exec.Cmd) func() { cmd.Stdout, cmd.Stderr = full, full; return func() {} },
	}
	for name, args := range runs {
		for way, lose := range ways {
			if name == "baseline" && way != "| true" {
				continue // it takes seconds
			}
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				all := slices.Concat(args, []string{"-t", addr}, outputFlags(dir))
				if name != "baseline" {
					all = append(all, "--rate", "20/s", "-d", "1200ms") // long enough for a line about a second
				}
				cmd := child(t, all...)
				after := lose(cmd)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				after()
				if code := exitCode(t, cmd); code != codes[name] {
					t.Errorf("exit code %d, want %d", code, codes[name])
				}
				checkOutputs(t, dir, true)
			})
		}
	}
	t.Run("closed streams", func(t *testing.T) {
		dir := t.TempDir()
		words := append([]string{"bench", "cmd=reject", "-t", addr, "--users", "1", "-n", "3"}, outputFlags(dir)...)
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" >&- 2>&-`, filepath.Join(dir, "..", "msctl")}, words...)...)
		if err := os.Symlink(binary, cmd.Args[3]); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, cmd); code != 3 {
			t.Errorf("exit code %d, want 3", code)
		}
		checkOutputs(t, dir, true)
	})
}

// readLine reads one line of a pipe and closes it.
func readLine(r, w *os.File) func() {
	return func() {
		_ = w.Close()
		_, _ = bufio.NewReaderSize(r, 16).ReadString('\n')
		_ = r.Close()
	}
}

// TestLostResults checks the exit codes of commands whose output is their result: a
// reader that has enough is no failure, and a full disk is one. A stream of results ends.
func TestLostResults(t *testing.T) {
	addr := startHelper(t, "service")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	for _, tt := range []struct {
		args         []string
		closed, full int
	}{
		{[]string{"send", "cmd=findAllItems"}, 0, 1},
		{[]string{"send", "watch"}, 0, 1},
		{[]string{"send", "cmd=findAllItems", "--watch", "1ms"}, 0, 1},
		{[]string{"send", "cmd=reject"}, 3, 3},
		{[]string{"send", "break"}, 0, 1},
		{[]string{"ls"}, 0, 1},
		{[]string{"ls", "-o", "json"}, 0, 1},
		{[]string{"send", "cmd=echo", "--print-code", "go"}, 0, 1},
	} {
		args := append(slices.Clone(tt.args), "-t", addr)
		cmd := child(t, args...)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		_ = r.Close()
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		if code := exitCode(t, cmd); code != tt.closed || strings.Contains(stderr.String(), "error: write") {
			t.Errorf("%q | true: exit code %d, want %d\n%s", tt.args, code, tt.closed, &stderr)
		}
		cmd = child(t, args...)
		stderr.Reset()
		cmd.Stdout, cmd.Stderr = full, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		code := exitCode(t, cmd)
		if code != tt.full || code == 1 && !strings.HasSuffix(stderr.String(), "no space left on device\n") {
			t.Errorf("%q > /dev/full: exit code %d, want %d\n%s", tt.args, code, tt.full, &stderr)
		}
	}
	for _, args := range [][]string{{"--help"}, {"version"}, {"completion", "bash"}, {"bench", "--help"}} {
		cmd := child(t, args...)
		cmd.Stdout = full
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, cmd); code != 1 {
			t.Errorf("%q > /dev/full: exit code %d", args, code)
		}
	}
}

// TestSignalsAtRandom interrupts load tests and `new` at random moments. Files are
// complete or do not exist, nothing else is left, and the exit code is that of the signal
// or of a run that had finished. MSCTL_TEST_LONG makes fifty runs of each.
func TestSignalsAtRandom(t *testing.T) {
	addr := startHelper(t, "service")
	runs := 4
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		runs = 50
	}
	random := rand.New(rand.NewPCG(1, 2))
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTERM, syscall.SIGINT}
	complete := newShop(t, t.TempDir(), -1, 0)
	for i := range runs {
		signal := signals[i%len(signals)]
		after := time.Duration(random.Int64N(int64(700 * time.Millisecond)))
		dir := t.TempDir()
		cmd := child(t, append([]string{"bench", "cmd=echo", "-t", addr, "--users", "2", "-d", "300ms"}, outputFlags(dir)...)...)
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		code := interrupted(t, cmd, signal, after)
		checkCode(t, cmd, signal, code)
		checkOutputs(t, dir, code == 0)

		shop := t.TempDir()
		made := newShop(t, shop, signal, after/4)
		for _, name := range made {
			if strings.Contains(filepath.Base(name), ".msctl-") || filepath.Base(name)[0] == '.' && strings.Contains(name, "-") && !slices.Contains(complete, name) {
				t.Errorf("new, %s after %s: %s is left", signal, after/4, name)
			}
		}
		if len(made) > 0 && !slices.Equal(made, complete) {
			t.Errorf("new, %s after %s: %d of %d files", signal, after/4, len(made), len(complete))
		}
	}
}

// checkCode checks the exit code of a program that got a signal: that of the signal, or
// of a program that had finished. SIGPIPE has no effect, unless it arrives before the
// program handles signals, in its first milliseconds.
func checkCode(t *testing.T, cmd *exec.Cmd, signal syscall.Signal, code int) {
	t.Helper()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if code != 0 && (code != 128+int(signal) || signal == syscall.SIGPIPE && !status.Signaled()) {
		t.Errorf("%s, with %s: exit code %d", cmd.Args[1], signal, code)
	}
}

// interrupted starts a program, sends it a signal after a while, and returns its exit
// code. A negative signal is none.
func interrupted(t *testing.T, cmd *exec.Cmd, signal syscall.Signal, after time.Duration) int {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if signal > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(signal) }) // fails if it has ended
		defer timer.Stop()
	}
	return exitCode(t, cmd)
}

// newShop makes a workspace in a folder, with a signal after a while, and returns its
// files without those of git.
func newShop(t *testing.T, dir string, signal syscall.Signal, after time.Duration) (files []string) {
	t.Helper()
	cmd := child(t, "new", "shop")
	cmd.Dir = dir
	checkCode(t, cmd, signal, interrupted(t, cmd, signal, after))
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case entry.IsDir():
			return nil
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}
