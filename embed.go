// Package msctl holds the sources that the binary carries: the runtime that
// `msctl new` puts into a workspace, and the module versions it was built with.
// It is here because an embed pattern cannot look into a folder above its own.
// Programs do not import it; the runtime is in the packages under runtime/.
package msctl

import (
	"embed"
	"io/fs"
)

//go:embed runtime/micro runtime/microtcp runtime/microtest runtime/policy runtime/validate runtime/gateway
//go:embed runtime/internal
//go:embed runtime/micronats
//go:embed runtime/microredis
//go:embed runtime/microrabbit
//go:embed go.mod go.sum LICENSE
var sources embed.FS

// Sources returns the files of the runtime under their paths in this module,
// tests among them, with go.mod, go.sum and LICENSE.
func Sources() fs.FS { return sources }
