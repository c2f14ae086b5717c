// Package golden compares outputs of tests with the files that hold what is expected.
// It adds the flag -update to the tests that import it.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Check compares got with the file at path. With -update, it writes the file first.
func Check(tb testing.TB, path, got string) {
	tb.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		tb.Errorf("%s -want +got (-update rewrites it)\n%s", path, diff)
	}
}

// Plain is a palette without colors.
type Plain struct{}

// Good returns text.
func (Plain) Good(text string) string { return text }

// Bad returns text.
func (Plain) Bad(text string) string { return text }

// Warn returns text.
func (Plain) Warn(text string) string { return text }

// Dim returns text.
func (Plain) Dim(text string) string { return text }

// Bold returns text.
func (Plain) Bold(text string) string { return text }

// Tags is a palette that marks colored text, so that golden files show the colors.
type Tags struct{ Plain }

// Good returns {+text+}.
func (Tags) Good(text string) string { return "{+" + text + "+}" }

// Bad returns {!text!}.
func (Tags) Bad(text string) string { return "{!" + text + "!}" }

// Warn returns {?text?}.
func (Tags) Warn(text string) string { return "{?" + text + "?}" }
