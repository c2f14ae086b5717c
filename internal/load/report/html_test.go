package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestHTMLFiles writes the pages to look at, where MSCTL_TEST_PAGES names a
// folder.
func TestHTMLFiles(t *testing.T) {
	for name, d := range documents(t) {
		var out bytes.Buffer
		if err := d.HTML(&out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if folder := os.Getenv("MSCTL_TEST_PAGES"); folder != "" {
			if err := os.WriteFile(filepath.Join(folder, name+".html"), out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
