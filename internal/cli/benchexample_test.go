package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/term"
)

const exampleScenario = "../../docs/examples/bench.yaml"

// TestExampleIsTheDocumented: docs/bench.md shows the file as it is.
func TestExampleIsTheDocumented(t *testing.T) {
	example, err := os.ReadFile(exampleScenario)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```yaml\n"+string(example)+"```\n") {
		t.Error("docs/bench.md shows another scenario than docs/examples/bench.yaml")
	}
}

// TestExampleScenario runs the documented scenario, shorter than it is.
func TestExampleScenario(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	mock, err := capacity.Serve(ctx, "127.0.0.1:0", capacity.Config{Workers: 1, ServiceTime: capacity.Constant(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := mock.Wait(); err != nil {
			t.Error(err)
		}
	})
	saved := filepath.Join(t.TempDir(), "run.json")
	s, b := term.NewTest("", term.Facts{})
	code := Main(s, "v9", []string{"bench", "--scenario", exampleScenario, "--to", "tcp://" + mock.Address, "--warmup", "0s",
		"--fault", "error=20%@0s+30s status=503", "--duration", "2s", "--threshold", "goodput>1%", "--save", saved})
	if code != exit.Done {
		t.Fatalf("exit code %d\n%s\n%s", code, b.Out.String(), b.Err.String())
	}
	d, err := loadDocument(saved)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range d.Runs[0].Messages {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{`{"cmd":"findItem"}`, "create"}, names); diff != "" {
		t.Errorf("messages -want +got\n%s", diff)
	}
	want := "timeout 1s, 2 retries 1s apart on any error, budget 10%+1/s"
	if got := d.Runs[0].Policy.Text; got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
}
