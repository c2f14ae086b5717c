package parity_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

const (
	docsHeading = "## Where ours differs from NestJS's, and why"
	docsColumns = 4 // what, NestJS, ours, why
)

// reasons returns the first cells of the table in docs/gateway.md that explains differences.
func reasons(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), docsHeading)
	if !found {
		t.Fatalf("docs/gateway.md has no section %q", docsHeading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		first := strings.TrimSpace(cells[0])
		if !strings.HasPrefix(line, "|") || first == "request" || strings.HasPrefix(first, "--") {
			continue
		}
		if len(cells) != docsColumns || slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == "" }) {
			t.Errorf("docs/gateway.md: the row of %q does not have %d cells with text", first, docsColumns)
		}
		all = append(all, first)
	}
	return all
}

// TestReasons checks that every difference that docs/gateway.md explains is tested.
func TestReasons(t *testing.T) {
	tested := map[string]bool{}
	for _, r := range allRows() {
		tested[r.differs] = true
	}
	for _, reason := range reasons(t) {
		if !tested[reason] {
			t.Errorf("no test covers the difference %q", reason)
		}
	}
}
