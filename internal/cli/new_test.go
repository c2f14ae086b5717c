package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
)

// TestNewWithoutGit: the missing first commit is mentioned.
func TestNewWithoutGit(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	s, b := term.NewTest("", term.Facts{})
	code := Main(s, "v9", []string{"new", "shop"})
	if code != exit.Done || !strings.Contains(b.Err.String(), "git is not installed, so there is no repository and no first commit") {
		t.Errorf("exit code %d, err %q", code, b.Err.String())
	}
}

// TestNewWithFreePorts: ports on which a program listens are avoided.
func TestNewWithFreePorts(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	s, b := term.NewTest("", term.Facts{})
	if code := Main(s, "v9", []string{"new", "shop", "--free-ports", "--gateway-port", fmt.Sprint(taken - 1)}); code != exit.Done {
		t.Fatalf("exit code %d, err %q", code, b.Err.String())
	}
	text, err := os.ReadFile(filepath.Join("shop", "msctl.yaml"))
	if err != nil || strings.Contains(string(text), fmt.Sprintf("port: %d\n", taken)) || strings.Contains(string(text), fmt.Sprintf("port: %d\n", taken-1)) {
		t.Errorf("%s, %v", text, err)
	}
}

// TestVersions: a command that writes into the workspace of another msctl refuses, and the
// hint names a way that loses nothing, and that works.
func TestVersions(t *testing.T) {
	t.Chdir(t.TempDir())
	run := func(version string, args ...string) (int, string) {
		t.Helper()
		s, b := term.NewTest("", term.Facts{})
		return Main(s, version, args), b.Err.String()
	}
	if code, text := run("v0.9.0", "new", "shop"); code != exit.Done {
		t.Fatal(text)
	}
	t.Chdir("shop")
	for _, version := range []string{"v0.9.0", "v1.0.0"} { // with the same templates and the same runtime
		if code, text := run(version, "new", "service", "audit"+version[1:2]); code != exit.Done || strings.Contains(text, "note:") {
			t.Errorf("%s: exit code %d, err %q", version, code, text)
		}
	}
	if err := os.Remove("third_party/msctl/base.tar.gz"); err != nil { // which old versions did not write
		t.Fatal(err)
	}
	const file = "third_party/msctl/runtime/micro/server.go"
	if err := os.WriteFile(file, []byte("package micro // mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"new", "service", "mail:nats"}, {"new", "service", "mail:nats", "--force"}, {"new", "handler", "items", "archiveItem"}} {
		code, text := run("v1.0.0", args...)
		const want = "error: the workspace is that of msctl v0.9.0, and this is msctl v1.0.0\nhint: `msctl upgrade` brings it up to date, and keeps your changes\n"
		if code != exit.Usage || text != want {
			t.Errorf("%q: exit code %d, err %q", args, code, text)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "package micro // mine\n" {
		t.Errorf("%q, %v", text, err)
	}
	if code, text := run("v1.0.0", "upgrade", "--allow-dirty"); code != exit.Done { // follow the hint
		t.Errorf("exit code %d, err %q", code, text)
	}
	if code, text := run("v1.0.0", "new", "service", "mail:nats"); code != exit.Done {
		t.Errorf("exit code %d, err %q", code, text)
	}
}
