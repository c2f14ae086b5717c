package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestClockSteps runs the tests of the runtime with a wall clock that steps at each reading: by an hour forward, another hour, and
// two hours back. No deadline, pause, window, or drain may notice. It replaces time.Now in a build of its own, which compiles the
// standard library once.
func TestClockSteps(t *testing.T) {
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		t.Skip("compiles the standard library: set MSCTL_TEST_ALL to run it")
	}
	source := filepath.Join(runtime.GOROOT(), "src", "time", "time.go") //nolint:staticcheck // the one that built this test
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	// Subtle: in a synctest bubble, times have no monotonic reading, and there the wall clock is all there is.
	const reading = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n"
	stepped := strings.Replace(string(text), reading, "\tsec, nsec, mono := runtimeNow()\n\tif mono != 0 {\n\t\tsec += 3600 * int64(readings.Add(1)%3)\n\t}\n\tif mono == 0 {\n", 1)
	if stepped == string(text) {
		t.Fatalf("%s reads the clock in another way", source)
	}
	stepped = strings.Replace(stepped, "\nimport (", "\nimport \"sync/atomic\"\n\nimport (", 1) + "\nvar readings atomic.Uint64\n"
	dir := t.TempDir()
	copied, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: copied}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{copied: []byte(stepped), overlay: list} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay,
		module+"/runtime/policy", module+"/runtime/micro", module+"/runtime/internal/...", module+"/internal/test/conformance")
	cmd.Dir = testenv.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
