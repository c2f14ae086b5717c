package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// testPort matches the fixed ports of scripts, which are below those that systems give to outgoing
// connections.
var testPort = regexp.MustCompile(`\b23[5-9]\d\d\b`)

// TestPortsOfScripts checks that no port is in two scripts: scripts run at the same time, so one could
// talk to the service of another.
func TestPortsOfScripts(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	owners := map[string]string{}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ports := testPort.FindAllString(string(text), -1)
		slices.Sort(ports)
		for _, port := range slices.Compact(ports) {
			if other, taken := owners[port]; taken {
				t.Errorf("port %s is in %s and in %s", port, other, filepath.Base(path))
			}
			owners[port] = filepath.Base(path)
		}
	}
	if len(owners) == 0 {
		t.Error("no script has a port, so this test checks nothing")
	}
}
