package guide_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

var update = flag.Bool("update", false, "write the table of docs/nestjs.md")

const (
	tableBegins = "<!-- written by go test ./internal/test/guide -run TestTable -update -->\n"
	tableEnds   = "<!-- end -->"
	whySection  = "## Where ours differs, and why"
)

func page() string { return filepath.Join(testenv.Root(), "docs", "nestjs.md") }

// table returns the rows that TestMix sends, as Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("\n| request | NestJS alone | NestJS's gateway, Go service | Go gateway, NestJS's service | Go alone |\n|---|--:|--:|--:|--:|\n")
	cell := func(r row, s system) string {
		all := r.differencesOf(s)
		if len(all) == 0 {
			return "="
		}
		return fmt.Sprintf("%d: %s", all[0].status, all[0].reason)
	}
	for _, r := range allRows() {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", r.name, r.status,
			cell(r, system{gateway: nestJS, service: ours}), cell(r, system{gateway: ours, service: nestJS}), cell(r, system{gateway: ours, service: ours}))
	}
	return b.String() + "\n"
}

// TestTable checks that the docs list what TestMix compares.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(page())
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableBegins)
	now, after, ends := strings.Cut(rest, tableEnds)
	if !found || !ends {
		t.Fatalf("%s has no place for the table", page())
	}
	if diff := cmp.Diff(table(), now); diff != "" && !*update {
		t.Errorf("-rows +docs (to write them: -update):\n%s", diff)
	}
	if *update {
		if err := os.WriteFile(page(), []byte(before+tableBegins+table()+tableEnds+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReasons checks that the docs explain every difference, and no other.
func TestReasons(t *testing.T) {
	text, err := os.ReadFile(page())
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), whySection)
	var explained []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| ") && len(cells) == 4 {
			explained = append(explained, strings.TrimPrefix(cells[0], "| "))
		}
	}
	var tested []string
	for _, r := range allRows() {
		for _, d := range []*difference{r.gateway, r.service, r.both} {
			if d != nil && !slices.Contains(tested, d.reason) {
				tested = append(tested, d.reason)
			}
		}
	}
	slices.Sort(tested)
	explained = explained[min(1, len(explained)):] // the head of the table
	slices.Sort(explained)
	if diff := cmp.Diff(tested, explained); diff != "" {
		t.Errorf("-tested +explained:\n%s", diff)
	}
}
