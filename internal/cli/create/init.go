package create

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/disk"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nestinit"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

type initOptions struct {
	folder        string
	name          string
	dryRun, force bool
}

// NewInitCommand returns `msctl init`.
func NewInitCommand(s *term.IO) *cobra.Command {
	o := initOptions{}
	cmd := &cobra.Command{
		Use:     "init [FOLDER]",
		Short:   "Write msctl.yaml for existing NestJS applications",
		GroupID: command.GroupProject,
		Long: `Write msctl.yaml for the NestJS applications in FOLDER (default: this folder): a single or
hybrid application, a monorepo of the Nest CLI, Nx, or Turborepo, a workspace of npm,
yarn, or pnpm, or several folders.

msctl reads the sources without running them: what each application listens on, which
services it calls, the variables that determine that, and the script that starts it. A
comment marks every guess, with its reason and its place. Nothing else is changed.

msctl never overwrites a file that has been changed.`,
		Example: `  msctl init
  msctl init --dry-run      # print msctl.yaml without writing it
  msctl init ./backend`,
		Args: command.ArgCount(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.folder = "."
			if len(args) == 1 {
				o.folder = args[0]
			}
			return runInit(cmd.Context(), s, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "`NAME` of the workspace (default: that of package.json, or of the folder)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print msctl.yaml to standard output, without writing it")
	flags.BoolVar(&o.dryRun, "print", false, "the same as --dry-run")
	flags.BoolVar(&o.force, "force", false, "replace a file that msctl init wrote earlier, unless it has been changed since")
	return cmd
}

func runInit(ctx context.Context, s *term.IO, o initOptions) error {
	dir, err := filepath.Abs(o.folder)
	if err != nil {
		return fmt.Errorf("find the folder %s: %w", o.folder, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return exit.Usagef("%s is not a folder", o.folder)
	}
	if o.name != "" {
		if err := workspace.CheckName(o.name); err != nil {
			return exit.Usagef("--name: %w", err)
		}
	}
	if path, err := workspace.Find(filepath.Dir(dir)); err == nil && !o.dryRun {
		return exit.WithHint(exit.Usagef("this folder is already in a workspace: %s", path), "`msctl init --dry-run` prints entries to copy")
	}
	plan, err := nestinit.Discover(ctx, dir, func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	})
	if errors.Is(err, nestinit.ErrNone) {
		return exit.WithHint(exit.Usagef("%w", err), "use the folder with the applications; `msctl new` creates a workspace with Go services")
	}
	if err != nil {
		return err
	}
	if o.name != "" {
		plan.Name = o.name
	}
	text := plan.YAML()
	w, err := workspace.Parse(workspace.FileName, text)
	if err != nil {
		return fmt.Errorf("write a valid %s: %w", workspace.FileName, err)
	}
	if o.dryRun {
		if _, err := s.Out.Write(text); err != nil {
			return err
		}
		printPlanOfInit(s, plan, w)
		return nil
	}
	path := filepath.Join(dir, workspace.FileName)
	if err := o.write(s, path, text); err != nil {
		return err
	}
	printPlanOfInit(s, plan, w)
	printNextOfInit(s, dir, plan)
	return nil
}

// write writes the file, unless that would lose the user's work.
func (o initOptions) write(s *term.IO, path string, text []byte) error {
	p := s.ErrPalette()
	old, err := os.ReadFile(path)
	done := "created "
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case bytes.Equal(old, text):
		s.Notef("%s is up to date", p.Accent(shortPath(path)))
		return nil
	case !nestinit.Unchanged(old):
		err := exit.Usagef("%s exists and is yours: nothing was written", shortPath(path))
		return exit.WithHint(err, "`msctl init --dry-run | diff %s -` shows what differs", workspace.FileName)
	case !o.force:
		err := exit.Usagef("%s differs from what the sources say now: nothing was written", shortPath(path))
		return exit.WithHint(err, "it has not been changed since msctl wrote it, so --force can replace it")
	default:
		done = "replaced"
	}
	err = disk.Write(path, func(to io.Writer) error {
		_, err := to.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", workspace.FileName, err)
	}
	s.Notef("%s %s", p.Good(done), shortPath(path))
	return nil
}

// printPlanOfInit summarizes what was found and guessed.
func printPlanOfInit(s *term.IO, plan *nestinit.Plan, w *workspace.Workspace) {
	p := s.ErrPalette()
	s.Notef("")
	t := &term.Table{}
	t.Row("SERVICE", "LISTENS ON", "CALLS", "STARTED BY")
	for _, service := range w.Services {
		on := string(service.Transport)
		switch {
		case service.Kind == workspace.KindGateway:
			on = fmt.Sprintf("http %d", service.Port)
		case service.Transport == workspace.TCP:
			on = fmt.Sprintf("tcp %d", service.Port)
		case service.Queue != "":
			on += " " + service.Queue
		}
		calls := term.List(service.DependsOn, 3)
		if calls == "" {
			calls = "-"
		}
		t.Row(service.Name, on, calls, strings.Join(service.Command, " "))
	}
	t.Write(s.Err, p)
	if guesses := plan.Guesses(); len(guesses) > 0 {
		heading := "1 guess to check:"
		if len(guesses) > 1 {
			heading = fmt.Sprintf("%d guesses to check:", len(guesses))
		}
		s.Notef("\n%s", heading)
		for _, g := range guesses {
			s.Notef("  %s %s: %s  %s", p.Accent(term.List(g.Services, 3)), strings.Join(g.Keys, ", "), g.Value, p.Dim(g.Reason))
		}
	}
	for _, note := range plan.Notes {
		s.Remarkf("%s", note)
	}
	if len(plan.Skipped) > 0 {
		s.Notef("%s", p.Dim("skipped "+term.List(plan.Skipped, 3)+": not NestJS"))
	}
}

func printNextOfInit(s *term.IO, dir string, plan *nestinit.Plan) {
	p := s.ErrPalette()
	steps := "\nNext:"
	if folder := shortPath(dir); folder != "." {
		steps += "\n  " + p.Accent("cd "+folder)
	}
	if plan.Install != "" {
		steps += "\n  " + p.Accent(plan.Install) + p.Dim("  # node_modules is missing")
	}
	steps += "\n  " + p.Accent("msctl run") + p.Dim("  # start everything")
	steps += "\n  " + p.Accent("msctl ls") + p.Dim("   # list the patterns that each service handles")
	s.Notef("%s", steps)
}
