package nestinit

import (
	"strings"
	"testing"
)

// TestParseYAMLRefusesNesting checks that a file for which the YAML library would need
// gigabytes of memory is refused.
func TestParseYAMLRefusesNesting(t *testing.T) {
	const want = "malformed YAML: nested too deep in line 2, column 504"
	if _, err := parseYAML([]byte("services:\na: " + strings.Repeat("[", 100_000))); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
