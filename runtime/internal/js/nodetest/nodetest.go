// Package nodetest compares this repository's JavaScript semantics with a real
// Node.js, in tests.
package nodetest

import (
	"bytes"
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/internal/js"
)

var repeat = flag.Int("repeat-node", 1, "compare this many times as many random values with Node.js")

// Repeat returns the factor by which tests multiply their random values.
func Repeat() int { return *repeat }

// TableICU is the major version of the ICU whose collation package collate contains.
// Other versions know other characters, so only ASCII is compared with them.
const TableICU = "78"

// Run runs a script in Node.js, which finds input as JSON on its standard input in
// the variable input, and returns what the script prints. Without Node.js, the test is
// skipped.
func Run(t *testing.T, script string, input []byte) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js is not on the PATH")
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", `const input = JSON.parse(require("fs").readFileSync(0, "utf8"));`+script)
	cmd.Env = append(cmd.Environ(), "LC_ALL=en_US.UTF-8", "LANG=en_US.UTF-8")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// ICU returns the major version of the ICU in Node.js.
func ICU(t *testing.T) string {
	t.Helper()
	major, _, _ := strings.Cut(Run(t, `console.log(process.versions.icu)`, []byte("0")), ".")
	return major
}

// Strings returns a list of strings as JSON. Lone surrogates in WTF-8 become
// escapes.
func Strings(list []string) []byte {
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = js.AppendString(out, s)
	}
	return append(out, ']')
}
