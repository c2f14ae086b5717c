package measure

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/bench"
)

func TestBenchCommandLine(t *testing.T) {
	spec := bench.NewSpec()
	cmd := benchCommand(spec)
	args := []string{`{"cmd":"x"}`, "name=it's", "--rate", "5/s", "--threshold", "p99<1s", "--threshold", "errors<1%", "--jitter", "--no-tui", "--meta", "a=b"}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	want := `bench '{"cmd":"x"}' 'name=it'\''s' --jitter=full --meta a=b --no-tui --rate 5/s --threshold 'p99<1s' --threshold 'errors<1%'`
	if diff := cmp.Diff(want, commandLine(cmd, spec, cmd.Flags().Args())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
