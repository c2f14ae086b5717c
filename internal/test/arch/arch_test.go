// Package arch holds the repository to its architecture: which room may
// import which (docs/architecture.md).
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/msctl/msctl/"

// rooms lists, for each folder, the folders of this repository it may import;
// a name stands for the folders below it too. The rules of a folder hold for
// those below it that have none of their own.
var rooms = map[string][]string{
	"cmd/msctl":           {"internal/cli", "internal/term"},
	"internal/cli":        {"internal", "runtime", "templates"},
	"internal/exit":       {"internal/term", "internal/workspace", "runtime/micro"},
	"internal/shorthand":  {"internal/exit", "runtime/micro"},
	"internal/target":     {"internal/exit", "internal/nearest", "internal/workspace", "runtime"},
	"internal/printcode":  {"internal/exit", "internal/target", "runtime"},
	"internal/term":       {"internal/term"},
	"internal/workspace":  {"internal/nearest"},
	"internal/scaffold":   {"templates", "internal/workspace", "runtime", "internal/scaffold"},
	"internal/proc":       {"internal/proc", "internal/workspace", "runtime/micro", "runtime/microtcp", "runtime/micronats", "runtime/microredis", "runtime/microrabbit"},
	"internal/load":       {"internal/load", "runtime"},
	"internal/load/fault": {"internal/nearest", "runtime"},
	"internal/tui":        {"internal/load", "internal/proc"},
	"runtime/micro":       {"runtime/micro"},
	"runtime/microtcp":    {"runtime/micro"},
	"runtime/micronats":   {"runtime/micro", "runtime/internal"},
	"runtime/microredis":  {"runtime/micro", "runtime/internal"},
	"runtime/microrabbit": {"runtime/micro", "runtime/internal"},
	"runtime/internal":    {"runtime/micro"},
	"runtime/microtest":   {"runtime/micro"},
	"runtime/policy":      {"runtime/micro"},
	"runtime/validate":    {"runtime/micro"},
	"runtime/gateway":     {"runtime/micro", "runtime/policy", "runtime/validate", "runtime/gateway"},
	"templates":           {},
	"internal":            {"internal", "runtime"},
	"runtime":             {"runtime"},
}

// standardOnly are the folders that build with nothing but the standard library.
var standardOnly = []string{"runtime/micro", "runtime/microtcp", "runtime/microtest", "runtime/policy", "runtime/internal", "templates"}

// drivers names the one folder that may import each broker's driver.
var drivers = map[string]string{
	"github.com/nats-io/nats.go":        "runtime/micronats",
	"github.com/redis/go-redis/v9":      "runtime/microredis",
	"github.com/rabbitmq/amqp091-go":    "runtime/microrabbit",
	"github.com/nats-io/nats-server/v2": "internal/proc",
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		room, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue // the root package, which only embeds the runtime's sources
		}
		allowed := rules(room)
		for _, imported := range p.Imports {
			inside, ours := strings.CutPrefix(imported, module)
			switch {
			case ours && !below(inside, allowed):
				t.Errorf("%s may not import %s: the table in this test says %v", room, inside, allowed)
			case !ours && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") && below(room, standardOnly):
				t.Errorf("%s may import the standard library alone, not %s", room, imported)
			}
			for driver, owner := range drivers {
				if below(imported, []string{driver}) && !below(room, []string{owner}) {
					t.Errorf("%s may not import %s: %s alone does", room, imported, owner)
				}
			}
		}
	}
}

// rules returns what a folder may import: its own entry, or the nearest above.
func rules(room string) []string {
	for dir := room; ; dir = dir[:strings.LastIndexByte(dir, '/')] {
		if allowed, ok := rooms[dir]; ok {
			return allowed
		}
		if !strings.Contains(dir, "/") {
			return nil
		}
	}
}

func below(folder string, list []string) bool {
	return slices.ContainsFunc(list, func(f string) bool { return folder == f || strings.HasPrefix(folder, f+"/") })
}

// list asks the go command for every package and what it imports, tests left out.
func list(t *testing.T) (packages []listed) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}
