// Command msctl scaffolds, runs, calls and load-tests microservices that are
// wire-compatible with NestJS.
package main

import (
	"os"

	"github.com/msctl/msctl/internal/cli"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/quiet"
)

// version is set by the linker (-X main.version=…); empty in a plain build.
var version string

func main() { os.Exit(run()) }

func run() int {
	quiet.Restore()
	return cli.Main(term.System(), version, os.Args[1:])
}
