package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTableIsUpToDate generates the table again if a Node.js with the same ICU is
// installed.
func TestTableIsUpToDate(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node.js on the PATH")
	}
	committed, err := os.ReadFile("../../table.go")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "table.go")
	if err := run(t.Context(), node, "", out); err != nil {
		t.Skipf("this Node.js has no ICU data to read: %v", err)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := icuOf(t, made), icuOf(t, committed); got != want {
		t.Skipf("the table is of %s, this Node.js has %s", want, got)
	}
	_, got, _ := strings.Cut(string(made), "package micro")
	_, want, _ := strings.Cut(string(committed), "package micro")
	if got != want {
		t.Error("collate_table.go is stale: run go generate ./runtime/micro")
	}
}

// icuOf finds the ICU version in the header of a table, such as "ICU 78.2".
func icuOf(t *testing.T, table []byte) string {
	t.Helper()
	_, rest, found := strings.Cut(string(table), "ICU ")
	if !found {
		t.Fatal("the table does not say which ICU it is of")
	}
	version, _, _ := strings.Cut(rest, ",")
	return "ICU " + version
}

func TestFindItemRefusesOtherFiles(t *testing.T) {
	for name, file := range map[string]string{
		"empty":           "",
		"magic at start":  "\xda\x27",
		"magic, no more":  "\x20\x00\xda\x27",
		"another package": "\x20\x00\xda\x27\x14\x00\x00\x00\x00\x00\x02\x00ToCP" + strings.Repeat("\x00", 40),
	} {
		if _, err := findItem([]byte(file), "ucadata.icu"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
