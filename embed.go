// Package msctl holds the sources that the msctl binary carries: the runtime, which
// `msctl new` copies into workspaces, and the module versions it was built with.
// Programs do not import it. They import the packages under runtime/.
package msctl

import (
	"embed"
	"io/fs"

	runtime "github.com/msctl/msctl/runtime"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/telemetry"
)

//go:embed go.mod go.sum LICENSE
var root embed.FS

// Root returns the go.mod, go.sum, and LICENSE of msctl.
func Root() fs.FS { return root }

// Module is one module of the runtime.
type Module struct {
	Dir   string // below the root folder: runtime, runtime/gateway
	Files fs.FS
}

// Modules returns the modules of the runtime with their source files, tests
// included. Each exports its own, since an embed pattern cannot cross the boundary of
// a module.
func Modules() []Module {
	return []Module{
		{"runtime", runtime.Files()},
		{"runtime/gateway", gateway.Sources()},
		{"runtime/micronats", micronats.Sources()},
		{"runtime/microrabbit", microrabbit.Sources()},
		{"runtime/microredis", microredis.Sources()},
		{"runtime/telemetry", telemetry.Sources()},
	}
}
