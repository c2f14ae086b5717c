// Package arch compares the imports of every package with the table in
// docs/architecture.md, which is the only list of what may import what.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

const module = "github.com/msctl/msctl"

func TestImports(t *testing.T) {
	table, err := readTable(filepath.Join(testenv.Root(), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	packages := list(t)
	for _, problem := range table.check(packages) {
		t.Error(problem)
	}
}

// list returns the imports of every package in the repository, tests excluded, by
// folder. It merges the systems that msctl is released for, because a file with a
// build constraint is listed on its own system only.
func list(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, p := range listOn(t, system) {
			folder := folderOf(p.ImportPath)
			imports[folder] = append(imports[folder], p.Imports...)
		}
	}
	for folder, all := range imports {
		imports[folder] = slices.Compact(slices.Sorted(slices.Values(all)))
	}
	return imports
}

type listed struct {
	ImportPath string
	Imports    []string
}

func listOn(t *testing.T, system string) (packages []listed) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	out, err := cmd.Output()
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

// folderOf returns the folder of one of our packages: "." for the root.
func folderOf(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func TestCheck(t *testing.T) {
	const header = "| folder | in one line | may import |\n|---|---|---|\n"
	tests := []struct {
		name, rows string
		packages   map[string][]string
		want       []string // parts of the problems, in order
	}{
		{
			"allowed", "| `a` | x | `b`, `c/*`, driver.go |\n| `b` | x | std |\n| `c/*` | x | std |\n",
			map[string][]string{"a": {module + "/b", module + "/c/d", "github.com/x/driver.go/v2/sub", "net/http"}, "b": {"net"}, "c/d": nil}, nil,
		},
		{
			"a folder that is not listed", "| `a` | x | std |\n| `b` | x | std |\n",
			map[string][]string{"a": {module + "/b"}, "b": nil}, []string{"a imports b"},
		},
		{
			"a folder below one that is listed", "| `a` | x | `b` |\n| `b` | x | std |\n| `b/*` | x | std |\n",
			map[string][]string{"a": {module + "/b/c"}, "b": nil, "b/c": nil}, []string{"a imports b/c"},
		},
		{
			"a module that is not listed", "| `a` | x | std |\n",
			map[string][]string{"a": {"github.com/x/driver.go"}}, []string{"a imports github.com/x/driver.go"},
		},
		{
			"a package without a row", "| `a` | x | std |\n",
			map[string][]string{"a": nil, "b": nil}, []string{"b has no row"},
		},
		{
			"a row without a package", "| `a` | x | std |\n| `b/*` | x | std |\n",
			map[string][]string{"a": nil}, []string{"no package matches `b/*`"},
		},
		{
			"the most specific row applies", "| `b/*` | x | std |\n| `b/c` | x | `b/d` |\n",
			map[string][]string{"b/c": {module + "/b/d"}, "b/d": {module + "/b/c"}}, []string{"b/d imports b/c"},
		},
		{
			"a cycle", "| `a` | x | `b` |\n| `b` | x | `c/*` |\n| `c/d` | x | `a` |\n",
			map[string][]string{"a": nil, "b": nil, "c/d": nil}, []string{"the table allows a cycle: a -> b -> c/d -> a"},
		},
		{
			"upward", "| `runtime/a` | x | `internal/b` |\n| `internal/b` | x | std |\n",
			map[string][]string{"runtime/a": nil, "internal/b": nil}, []string{"runtime/a may not depend on internal/b"},
		},
		{
			"a program that is imported", "| `a` | x | `dev/*` |\n| `dev/*` | x | – |\n",
			map[string][]string{"a": {module + "/dev/b"}, "dev/b": {"github.com/x/y", module + "/a"}}, []string{"a imports dev/b"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := parseTable(header + tt.rows)
			if err != nil {
				t.Fatal(err)
			}
			got := table.check(tt.packages)
			if len(got) != len(tt.want) {
				t.Fatalf("got problems %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("problem %q, want %q", got[i], want)
				}
			}
		})
	}
}

func TestParseTable(t *testing.T) {
	const header = "text\n\n| folder | in one line | may import |\n|---|---|---|\n"
	for text, want := range map[string]string{
		"no table":                 "no table",
		header:                     "no rows",
		header + "| `a` | x |":     "want three columns",
		header + "| a | x | std |": "want folders in backticks",
		header + "| `a` | x | |":   "std",
		header + "| `a` | x | std |\n| `a` | x | std |\n": "second row for `a`",
		header + "| `a`, `b` | x | –, `c` |":              "–",
	} {
		if _, err := parseTable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	table, err := parseTable(header + "| `a`, `b/*` | x | `c`, std |\n\n| `d` | not part of the table | std |\n")
	if err != nil {
		t.Fatal(err)
	}
	if folders := slices.Sorted(maps.Keys(table)); !slices.Equal(folders, []string{"a", "b/*"}) {
		t.Errorf("folders %q", folders)
	}
}
