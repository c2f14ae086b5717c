package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// GoModule makes dir the root of a Go module that can import the packages of this repository. A go.work file selects this
// repository's modules, with their versions and checksums, so no network is needed.
func GoModule(tb testing.TB, dir, module string) {
	tb.Helper()
	files := map[string]string{"go.mod": "module " + module + "\n\ngo 1.26.0\n"}
	for _, name := range []string{"go.work", "go.work.sum"} {
		text, err := os.ReadFile(filepath.Join(Root(), name))
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = strings.ReplaceAll(string(text), "./", Root()+"/")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
