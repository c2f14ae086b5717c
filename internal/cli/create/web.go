package create

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
)

type newWebOptions struct {
	port      int
	noInstall bool
	version   string
	writeOptions
}

func newNewWebCommand(s *term.IO, version string) *cobra.Command {
	o := newWebOptions{version: version}
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Add a web client to the workspace",
		Long: `Add a web client for the sample service items in apps/web: a Next.js application with a
sign-in, a list with search and pages, and forms that handle conflicts. It calls the
gateway, and ` + "`msctl run`" + ` starts it with the other programs. It has a Dockerfile and an
entry in compose.yaml; ` + "`msctl new deploy kubernetes`" + ` writes its manifests, too.

The client requires Node.js 20.9 or later. Unless --no-install is set, its packages are
installed by ` + "`npm ci`" + `, from the versions in its lock file.`,
		Example: `  msctl new web
  msctl new web --port 3000
  msctl new web --no-install --dry-run`,
		Args: command.ArgCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNewWeb(cmd.Context(), s, o)
		},
	}
	cmd.Flags().IntVar(&o.port, "port", 0, "HTTP `PORT` (default: the next free one)")
	cmd.Flags().BoolVar(&o.noInstall, "no-install", false, "do not install the packages of the client")
	o.register(cmd)
	return cmd
}

func runNewWeb(ctx context.Context, s *term.IO, o newWebOptions) error {
	if o.port < 0 || o.port > 65535 {
		return exit.Usagef("invalid --port %d: must be between 1 and 65535", o.port)
	}
	dir, err := openWorkspace(o.version)
	if err != nil {
		return err
	}
	if o.port == 0 {
		o.port = dir.NextPort()
	}
	result, err := dir.NewWeb(o.port)
	if errors.Is(err, scaffold.ErrNoItems) {
		return exit.WithHint(exit.Usagef("%w", err), "`msctl new FOLDER` creates a workspace with the service items")
	}
	if err != nil {
		return exit.Usagef("%w", err)
	}
	if done, err := writeAdded(s, dir, result, o.writeOptions); err != nil || !done {
		return err
	}
	p := s.ErrPalette()
	if !o.noInstall {
		installPackages(ctx, s, dir)
	}
	s.Notef("\nNext:")
	if !dir.HasPackages() {
		s.Notef("  %s", p.Accent("npm ci --prefix "+shortPath(filepath.Join(dir.Root, filepath.FromSlash(scaffold.WebDir)))))
	}
	s.Notef("  %s     # serves the client at http://localhost:%d\n  %s   # prints a token to sign in with", p.Accent("msctl run"), o.port, p.Accent("msctl token"))
	return nil
}

// installPackages installs the packages of the web client. A failure is only a note, because
// its files are complete without them.
func installPackages(ctx context.Context, s *term.IO, dir *scaffold.Dir) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		s.Remarkf("npm is not installed, and the web client requires it: install Node.js 20.9 or later from https://nodejs.org")
		return
	}
	s.Notef("installing the packages of the web client with npm")
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error") //nolint:gosec // from the PATH
	cmd.Dir = filepath.Join(dir.Root, filepath.FromSlash(scaffold.WebDir))
	cmd.Stdout, cmd.Stderr = s.Err, s.Err
	if err := cmd.Run(); err != nil {
		s.Remarkf("the packages are not installed: npm ci: %v", err)
		_ = os.RemoveAll(filepath.Join(cmd.Dir, "node_modules")) // not half of them
	}
}
