//go:build linux || darwin

package stores

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// startPostgres starts a PostgreSQL server for this test and returns the address of its
// database.
func startPostgres(t testing.TB) (address string) {
	t.Helper()
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("PostgreSQL is not installed: ", err)
		}
	}
	owner := serverUser(t)
	dir, err := os.MkdirTemp("", "postgres-*") //nolint:usetesting // only this user can enter the folder of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	initialize := exec.CommandContext(t.Context(), "initdb", "--pgdata="+data, "--auth=trust", "--username=app", "--encoding=UTF8", "--no-sync")
	initialize.SysProcAttr, initialize.Dir = &syscall.SysProcAttr{Credential: owner}, dir
	if out, err := initialize.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	log := &testenv.Log{}
	server := exec.Command("postgres", "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-h", "127.0.0.1", "-c", "max_connections=300")
	server.SysProcAttr, server.Dir, server.Stderr = &syscall.SysProcAttr{Credential: owner}, dir, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // fast shutdown
		kill := time.AfterFunc(30*time.Second, func() { _ = server.Process.Signal(syscall.SIGQUIT) })
		defer kill.Stop()
		_ = server.Wait()
	})
	testenv.Eventually(t, limit, "PostgreSQL accepts connections", func() bool {
		return strings.Contains(log.String(), "database system is ready to accept connections")
	})
	return fmt.Sprintf("postgres://app@127.0.0.1:%d/postgres?sslmode=disable", port)
}

// serverUser returns the user of the server, which does not run as root, or nil for this one.
func serverUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("PostgreSQL does not run as root, and there is no user postgres")
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
