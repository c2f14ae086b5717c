package compare_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// document returns a document with the runs, made on a fixed machine.
func document(runs ...report.Run) *report.Document {
	d := report.NewDocument(report.KindRun, "msctl v1.2.3", "msctl bench cmd=findAllItems --rate 500/s", runs...)
	d.Machine = report.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.0"}
	return d
}

// noColor is a terminal without colors.
type noColor struct{}

func (noColor) Good(text string) string { return text }
func (noColor) Bad(text string) string  { return text }
func (noColor) Warn(text string) string { return text }
func (noColor) Dim(text string) string  { return text }
func (noColor) Bold(text string) string { return text }

// tags marks colored text, so that the golden files show the colors.
type tags struct{ noColor }

func (tags) Good(text string) string { return "{+" + text + "+}" }
func (tags) Bad(text string) string  { return "{!" + text + "!}" }
func (tags) Warn(text string) string { return "{?" + text + "?}" }

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s -want +got (-update rewrites it)\n%s", path, diff)
	}
}
