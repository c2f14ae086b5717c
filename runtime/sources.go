// Package sources exports the source files of this module, which msctl embeds and
// copies into the workspaces that it creates. Programs do not import it: what they
// use is in the packages below.
package sources

import (
	"embed"
	"io/fs"
)

//go:embed micro microtcp microtest page policy principal probe tap validate wire internal
var files embed.FS

// Files returns the module's source files by their paths below runtime/, tests
// included.
func Files() fs.FS { return files }
