package telemetry

import (
	"embed"
	"io/fs"
)

//go:embed *.go
var sources embed.FS

// Sources returns the source files of this package, for msctl, which copies them
// into the workspaces that it creates. A program that does not call it does not
// contain them.
func Sources() fs.FS { return sources }
