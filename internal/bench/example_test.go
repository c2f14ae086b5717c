package bench

import (
	"os"
	"strings"
	"testing"
)

// TestExampleIsDocumented: docs/bench.md shows the example file unchanged.
func TestExampleIsDocumented(t *testing.T) {
	example, err := os.ReadFile("../../docs/examples/bench.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```yaml\n"+string(example)+"```\n") {
		t.Error("docs/bench.md does not contain docs/examples/bench.yaml")
	}
}
