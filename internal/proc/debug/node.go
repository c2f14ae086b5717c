package debug

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"

	"github.com/msctl/msctl/internal/tap/node"
)

// inspectScript opens the inspector of the Node.js process that is the service, and of no
// other: npm, nest, and other tools that start the service are Node.js processes, too.
//
//go:embed inspect.cjs
var inspectScript []byte

// InspectFile is the name of the file that WriteInspect writes.
const InspectFile = ".inspect.cjs"

// Inspect describes which Node.js process of a service opens its inspector, and where: the
// first one that listens on one of the ports Listen, or connects to one of the ports
// Connect.
type Inspect struct {
	Port    int   `json:"port"` // of the inspector, on the loopback interface
	Listen  []int `json:"listen"`
	Connect []int `json:"connect"`
}

// WriteInspect writes the script that [Inspect.Env] refers to into a folder. Programs that
// outlive the run, such as Nx's daemon, read it again when they start others, so the
// folder must outlive the run as well.
func WriteInspect(dir string) error {
	file := filepath.Join(dir, InspectFile)
	if old, err := os.ReadFile(file); err == nil && string(old) == string(inspectScript) {
		return nil
	}
	return os.WriteFile(file, inspectScript, 0o600)
}

// Env returns the variables that make the programs with the environment env, of which
// later entries take precedence, load the script in dir.
func (i Inspect) Env(dir string, env []string) []string {
	setting, err := json.Marshal(i)
	if err != nil { // never for numbers
		return nil
	}
	return append(node.Env(filepath.Join(dir, InspectFile), env), "MSCTL_INSPECT="+string(setting))
}

// listening matches the line with which Node.js reports that its inspector is open.
var listening = regexp.MustCompile(`Debugger listening on ws://([^/\s]+:\d+)/`)

// InspectorAt returns the address of the inspector that a line of a Node.js process
// reports, or "".
func InspectorAt(line string) string {
	if m := listening.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}
