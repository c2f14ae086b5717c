// Package node lets Node.js programs report the messages that they send and handle with NestJS to a
// [tap.Hub], without a change of their sources: through a script that Node.js loads before the program.
//
// The environment of such a program has the variables of the hub and of [Env]. The script reads the
// first, and does nothing in programs that do not use NestJS 10, 11, or 12.
//
// [tap.Hub]: https://pkg.go.dev/github.com/msctl/msctl/internal/tap#Hub
package node

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/msctl/msctl/internal/disk"
)

//go:embed preload.cjs
var script []byte

// options is the variable with the options of every Node.js process that gets it.
const options = "NODE_OPTIONS"

// Write writes the script into a folder, unless it is there, and returns its path. Node.js refuses to
// start any program if the file is missing, and programs that outlive the run, such as Nx's daemon, read
// it again when they start others: the folder must outlive the run, and Write is called before each
// start. The name depends on the content, so that several versions of msctl can share the folder.
func Write(dir string) (path string, err error) {
	sum := sha256.Sum256(script)
	path = filepath.Join(dir, ".tap-"+hex.EncodeToString(sum[:8])+".cjs")
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find the folder for the script that reports the messages of Node.js programs: %w", err)
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(script) {
		return path, nil
	}
	err = disk.Write(path, func(w io.Writer) error {
		_, err := w.Write(script)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("write the script that reports the messages of Node.js programs: %w", err)
	}
	return path, nil
}

// Env returns the variable that makes the Node.js programs with the environment env, of which later
// entries take precedence, load the script at path, and keeps their own options. It returns nil if they
// load it anyway.
func Env(path string, env []string) []string {
	value := ""
	for _, entry := range env {
		if text, ok := strings.CutPrefix(entry, options+"="); ok {
			value = text
		}
	}
	// Subtle: Node.js splits the value at spaces outside of quotes; in them, a backslash is an escape.
	option := `--require="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
	if strings.Contains(value, option) {
		return nil
	}
	if value != "" {
		value += " "
	}
	return []string{options + "=" + value + option}
}
