//go:build linux || darwin

package stores

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
)

// TestTenAtOnce starts ten programs on a new database: the migrations run once.
func TestTenAtOnce(t *testing.T) {
	for _, store := range []scaffold.Store{scaffold.SQLite, scaffold.Postgres} {
		t.Run(string(store), func(t *testing.T) {
			s := newShop(t, store)
			var programs []*program
			for i := range 10 {
				port, err := testenv.FreePort()
				if err != nil {
					t.Fatal(err)
				}
				s.ports[fmt.Sprint(i)] = port
				programs = append(programs, s.start("items", fmt.Sprint("MS_PORT=", port)))
			}
			for i, p := range programs {
				s.awaitReady(fmt.Sprint(i), p)
			}
			if got := s.one("items", "SELECT count(*) FROM migrations"); got != "1" {
				t.Errorf("%s migrations, want 1", got)
			}
			for _, p := range programs {
				p.stop(t)
			}
		})
	}
}

// TestNewerSchema: a program refuses a database that a newer one has changed.
func TestNewerSchema(t *testing.T) {
	for _, store := range []scaffold.Store{scaffold.SQLite, scaffold.Postgres} {
		t.Run(string(store), func(t *testing.T) {
			s := newShop(t, store)
			p := s.start("items")
			s.awaitReady("items", p)
			p.stop(t)
			s.query("items", "INSERT INTO migrations (version, name, applied_at) VALUES (7, 'later', 'now') RETURNING version")
			wantRefusal(t, s.start("items"), "its schema has version 7, but this program only knows version 1: start a newer version of the program")
		})
	}
}

// wantRefusal wants the program to end with one sentence.
func wantRefusal(t *testing.T, p *program, want string) {
	t.Helper()
	testenv.Within(t, limit, "the end of the program", func() { <-p.gone })
	if text := p.log.String(); p.cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(text, "items: open the database") || !strings.Contains(text, want) || strings.Count(text, "\n") != 1 {
		t.Errorf("exit code %d, log %q, want %q", p.cmd.ProcessState.ExitCode(), text, want)
	}
}

// TestLocked: while another program has the database locked, writes fail, reads work, and
// afterwards all work.
func TestLocked(t *testing.T) {
	s := newShop(t, scaffold.SQLite)
	p := s.start("items")
	s.awaitReady("items", p)
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.dir, "bin", "check"), "lock", s.address("items"), "BEGIN IMMEDIATE")
	release, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	locked, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(locked, make([]byte, len("locked"))); err != nil {
		t.Fatal(err)
	}
	c := s.client("items")
	if _, err := createItem(t.Context(), c, "Cup"); err == nil {
		t.Error("an item was stored in a locked database")
	}
	wantLog(t, p, "items.db: the file is locked by another program")
	_ = release.Close()
	_ = cmd.Wait()
	if _, err := createItem(t.Context(), c, "Cup"); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

func wantLog(t *testing.T, p *program, want string) {
	t.Helper()
	// The reply may be sent before the cause is logged.
	if !testenv.Poll(limit, func() bool { return strings.Contains(p.log.String(), want) }) {
		t.Errorf("the log does not contain %q:\n%s", want, p.log)
	}
}

// TestReadOnly: a program that may not write to the folder of its data reports that, and works
// once it may.
func TestReadOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("starts programs as another user, which requires root")
	}
	s := newShop(t, scaffold.SQLite)
	p := s.start("items")
	s.awaitReady("items", p)
	if _, err := createItem(t.Context(), s.client("items"), "Cup"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	for dir := s.data; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	p = s.startAs(nobody, "items")
	wantRefusal(t, p, "items.db: the file or its folder is read-only: change the permissions")
	for _, name := range []string{s.data, s.address("items")} {
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	p = s.startAs(nobody, "items")
	s.awaitReady("items", p)
	if _, err := createItem(t.Context(), s.client("items"), "Cup"); err != nil {
		t.Error(err)
	}
	p.stop(t)
}

// TestFullDisk: on a full disk, writes fail with a clear error, and nothing is half-written.
// They work again once there is space.
func TestFullDisk(t *testing.T) {
	s := newShop(t, scaffold.SQLite)
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	mountSmallDisk(t, s.data)
	filler := filepath.Join(s.data, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.start("items")
	s.awaitReady("items", p)
	c, made := s.client("items"), 0
	var err error
	for err == nil && made < 50_000 {
		if _, err = createItem(t.Context(), c, strings.Repeat("x", 120)); err == nil {
			made++
		}
	}
	if err == nil {
		t.Fatal("the disk is never full")
	}
	wantLog(t, p, "items.db: the disk is full: free some space")
	if got := s.one("items", "SELECT count(*) FROM items"); got != fmt.Sprint(made) {
		t.Errorf("%s items are stored, and %d were acknowledged", got, made)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := createItem(t.Context(), c, "Cup"); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if got := s.one("items", "PRAGMA integrity_check"); got != "ok" {
		t.Error(got)
	}
	p.stop(t)
}
