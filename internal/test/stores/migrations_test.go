//go:build linux || darwin

package stores

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/runtime/micro"
)

// uniqueNames is a migration whose last statement fails while two items have the same name.
const uniqueNames = `ALTER TABLE items ADD COLUMN label TEXT NOT NULL DEFAULT 'none';
UPDATE items SET label = name;
CREATE UNIQUE INDEX items_name ON items (name);
`

// TestBrokenMigration deploys a version of items whose migration breaks halfway because of the
// data, while the version before it runs. Nothing is half-written, the running version works,
// and the new one starts as soon as the data is mended.
func TestBrokenMigration(t *testing.T) {
	for store, test := range map[scaffold.Store]struct{ problem, columns string }{
		scaffold.SQLite:   {"UNIQUE constraint failed: items.name", "SELECT count(*) FROM pragma_table_info('items') WHERE name = 'label'"},
		scaffold.Postgres: {`could not create unique index "items_name"`, "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'items' AND column_name = 'label'"},
	} {
		t.Run(string(store), func(t *testing.T) {
			s := newShop(t, store)
			s.addReplicas("-next")
			next := nextItems(t, s.dir)
			start := func() *program { return s.startAs(nil, next, fmt.Sprint("MS_PORT=", s.ports["items-next"])) }
			p := s.start("items")
			s.awaitReady("items", p)
			c := s.client("items")
			if _, err := createItem(t.Context(), c, "Cup"); err != nil {
				t.Fatal(err)
			}
			double, err := createItem(t.Context(), c, "Cup")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				failed := start()
				wantRefusal(t, failed, "migration 0002_unique.sql: ")
				if !strings.Contains(failed.log.String(), test.problem) {
					t.Errorf("log %q, want %q", failed.log, test.problem)
				}
				if got := s.one("items", "SELECT count(*) FROM migrations") + " " + s.one("items", test.columns); got != "1 0" {
					t.Errorf("migrations and new columns: %s, want 1 0", got)
				}
				if _, err := createItem(t.Context(), c, "Plate "+fmt.Sprint(failed.cmd.Process.Pid)); err != nil {
					t.Errorf("the running version: %v", err)
				}
			}

			if _, err := micro.Call[stored](t.Context(), c, micro.Cmd("deleteItem"), double); err != nil {
				t.Fatal(err)
			}
			current := start()
			s.awaitReady("items-next", current)
			if got := s.one("items", "SELECT count(*) FROM migrations") + " " + s.one("items", "SELECT count(*) FROM items WHERE label = name"); got != "2 3" {
				t.Errorf("migrations and migrated items: %s, want 2 3", got)
			}
			if _, err := createItem(t.Context(), c, "Saucer"); err != nil {
				t.Errorf("the version before, until it is replaced: %v", err)
			}
			p.stop(t)
			wantRefusal(t, s.start("items"), "its schema has version 2, but this program only knows version 1")
			current.stop(t)
		})
	}
}

// nextItems builds the next version of items, with one more migration, and returns its name in
// the folder of the programs.
func nextItems(t *testing.T, dir string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	const name = "next-items"
	if _, err := os.Stat(filepath.Join(dir, "bin", name)); err == nil {
		return name
	}
	file := filepath.Join(dir, "apps", "items", "migrations", "0002_unique.sql")
	if err := os.WriteFile(file, []byte(uniqueNames), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	goTool(t, dir, nil, "build", "-o", filepath.Join("bin", name), "./apps/items")
	return name
}

// goTool runs the go command in a workspace.
func goTool(t testing.TB, dir string, environment []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=", "GOWORK=off"), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestGeneratedOnPostgres runs the tests of a workspace that require a PostgreSQL server.
func TestGeneratedOnPostgres(t *testing.T) {
	s := newShop(t, scaffold.Postgres)
	out := goTool(t, s.dir, []string{"TEST_DATABASE_URL=" + s.data}, "test", "-v", "./apps/items", "./apps/orders", "./internal/database")
	if strings.Contains(out, "--- SKIP") {
		t.Errorf("tests were skipped:\n%s", out)
	}
}
