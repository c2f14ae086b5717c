package scaffold

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/msctl/msctl/internal/workspace"
)

// TestStores makes a workspace with each store, and runs its vetting and the tests of its
// stores: those of PostgreSQL in memory, and in the database TEST_DATABASE_URL if it is set. MSCTL_TEST_ALL runs each store with and
// without notifications; by default, each has one of both.
func TestStores(t *testing.T) {
	if testing.Short() {
		t.Skip("builds whole workspaces")
	}
	for _, s := range Stores() {
		for _, example := range []bool{false, true} {
			if os.Getenv("MSCTL_TEST_ALL") == "" && example != (s == Postgres) {
				continue // TestGeneratedNotifications makes one with the default store
			}
			t.Run(fmt.Sprintf("%s, notifications %v", s, example), func(t *testing.T) {
				w := shop()
				w.Store = s
				if example {
					if err := w.AddExample("notifications"); err != nil {
						t.Fatal(err)
					}
				}
				dir := t.TempDir()
				makeWorkspace(t, dir, w)
				formatted(t, dir)
				goTool(t, dir, nil, "go", "vet", "./...")
				t.Log(goTool(t, dir, nil, "go", "test", "./apps/items", "./apps/orders", "./internal/..."))
				tidy(t, dir)
			})
		}
	}
}

// TestTidyStores: go mod tidy has nothing to do in a workspace with a database, whatever
// brokers it has.
func TestTidyStores(t *testing.T) {
	if testing.Short() {
		t.Skip("writes whole workspaces")
	}
	for _, s := range []Store{SQLite, Postgres} {
		for _, brokers := range selections() {
			t.Run(fmt.Sprint(s, brokers), func(t *testing.T) {
				w := onBrokers(brokers...)
				w.Store = s
				dir := t.TempDir()
				makeWorkspace(t, dir, w)
				tidy(t, dir)
			})
		}
	}
}

// TestDriverVersions: modernc.org/sqlite works only with exactly the version of libc that it
// was made with.
func TestDriverVersions(t *testing.T) {
	list, err := SQLite.drivers()
	if err != nil || list[0].Path != "modernc.org/sqlite" {
		t.Fatal(list, err)
	}
	cache := strings.TrimSpace(goTool(t, t.TempDir(), nil, "go", "env", "GOMODCACHE"))
	text, err := os.ReadFile(filepath.Join(cache, "cache", "download", "modernc.org", "sqlite", "@v", list[0].Version+".mod"))
	if err != nil {
		t.Skip("the driver is not in the module cache")
	}
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range file.Require {
		if r.Mod.Path == "modernc.org/libc" && !slices.Contains(list, r.Mod) {
			t.Errorf("the driver requires %v, and workspaces have %v", r.Mod, list)
		}
	}
}

// TestWorkspaceWithoutData has no driver: only the sample services store data.
func TestWorkspaceWithoutData(t *testing.T) {
	w := Workspace{Name: "shop", Store: SQLite, Services: []Service{{Name: "payments", Port: 3002}, {Name: "mail", Transport: workspace.RabbitMQ}}}
	files, err := w.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(f.Path, "database") || f.Path == "go.mod" && strings.Contains(string(f.Data), "sqlite") {
			t.Errorf("%s", f.Path)
		}
	}
	w.Store = "oracle"
	if err := w.Check(); err == nil || err.Error() != `unknown store "oracle": use sqlite, postgres, or memory` {
		t.Errorf("error %v", err)
	}
}
