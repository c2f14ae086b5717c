package gateway

import (
	"embed"
	"io/fs"
)

//go:embed *.go auth internal limit memory ui webhook
var sources embed.FS

// Sources returns the source files of this module, for msctl, which copies them
// into the workspaces that it creates. A program that does not call it does not
// contain them.
func Sources() fs.FS { return sources }
