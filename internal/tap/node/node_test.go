package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap/node"
)

func TestEnv(t *testing.T) {
	tests := []struct {
		name, path string
		env, want  []string
	}{
		{"no options", "/run/tap.cjs", []string{"A=1"}, []string{`NODE_OPTIONS=--require="/run/tap.cjs"`}},
		{"empty options", "/run/tap.cjs", []string{"NODE_OPTIONS="}, []string{`NODE_OPTIONS=--require="/run/tap.cjs"`}},
		{"options of the application", "/run/tap.cjs", []string{"NODE_OPTIONS=--title=a", "NODE_OPTIONS=--title=b --no-warnings"},
			[]string{`NODE_OPTIONS=--title=b --no-warnings --require="/run/tap.cjs"`}},
		{"a path with a space", "/my run/tap.cjs", nil, []string{`NODE_OPTIONS=--require="/my run/tap.cjs"`}},
		{"a path on Windows, with a quote", `C:\my "run"\tap.cjs`, nil, []string{`NODE_OPTIONS=--require="C:\\my \"run\"\\tap.cjs"`}},
		{"has it already", "/run/tap.cjs", []string{`NODE_OPTIONS=--require="/run/tap.cjs" --title=a`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, node.Env(tt.path, tt.env)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path, err := node.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(path) != dir || !strings.HasSuffix(path, ".cjs") || len(written) == 0 {
		t.Errorf("wrote %d bytes to %s", len(written), path)
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	again, err := node.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if repaired, err := os.ReadFile(path); err != nil || string(repaired) != string(written) || again != path {
		t.Errorf("a damaged file was not repaired: %s, %v", again, err)
	}
	if _, err := node.Write(filepath.Join(dir, "missing")); err == nil {
		t.Error("no error for a missing folder")
	}
}
