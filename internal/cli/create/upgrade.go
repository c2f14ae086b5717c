package create

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
)

type upgradeOptions struct {
	dryRun, force, allowDirty bool
	version                   string
}

// NewUpgradeCommand returns `msctl upgrade`, for msctl of a version.
func NewUpgradeCommand(s *term.IO, version string) *cobra.Command {
	o := upgradeOptions{version: version}
	cmd := &cobra.Command{
		Use:     "upgrade",
		Short:   "Bring the workspace to the templates and the runtime of this msctl",
		GroupID: command.GroupProject,
		Long: `Bring the workspace to the templates and the runtime of this msctl. Each file is merged
from three versions: the one that the msctl of the workspace wrote, the one that this msctl
writes for the same answers, and yours. Your changes stay, files that you deleted stay
deleted, and services and handlers that you added stay as they are.

Where you and msctl changed the same lines, the file gets both, between the markers that
git uses, and msctl exits with 1. Edit these lines, then run ` + "`msctl upgrade`" + ` again: it
reports markers that are left.

Either all files are written, or none. Files with changes that are not committed are a
reason to refuse, so that git can show, or undo, exactly the upgrade.

The copy of the runtime in third_party/msctl is replaced. If you have edited it, msctl
refuses, unless --force is set.`,
		Example: `  msctl upgrade --dry-run   # print the differences, without writing anything
  msctl upgrade
  git diff                  # what it has changed`,
		Args: command.ArgCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUpgrade(cmd.Context(), s, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the differences to standard output, without writing anything")
	flags.BoolVar(&o.allowDirty, "allow-dirty", false, "upgrade even if files have changes that are not committed")
	flags.BoolVar(&o.force, "force", false, "replace edited files in third_party/msctl, too; those that are not in git are kept as FILE.orig")
	return cmd
}

func runUpgrade(ctx context.Context, s *term.IO, o upgradeOptions) error {
	dir, err := findWorkspace(o.version)
	if err != nil {
		return err
	}
	marked, err := dir.Unresolved()
	if err != nil {
		return err
	}
	if len(marked) > 0 {
		return exit.WithHint(fmt.Errorf("conflicts that are not resolved: %s", scaffold.ShortList(marked)),
			"edit the lines between <<<<<<< and >>>>>>>, remove these markers, and run `msctl upgrade` again")
	}
	origin, age, err := command.AgeOf(dir.Root, dir.Version)
	switch {
	case err != nil:
		return err
	case age == scaffold.Unmanaged:
		return exit.Usagef("%s was not created by `msctl new`, so there is nothing to upgrade", shortPath(dir.Root))
	case age == scaffold.Ahead:
		return command.AgeError(origin, age, dir.Version)
	case age == scaffold.Current:
		s.Notef("%s is up to date with msctl %s", s.ErrPalette().Accent(dir.Workspace.Name), dir.Version)
		return nil
	}
	plan, err := dir.Upgrade(ctx)
	if err != nil {
		return fmt.Errorf("plan the upgrade: %w", err)
	}
	if o.dryRun {
		if err := printUpgradeDiff(s, plan); err != nil {
			return err
		}
	} else if err := o.write(ctx, s, dir, plan); err != nil {
		return err
	}
	reportUpgrade(s, dir, plan, o)
	return upgradeResult(plan)
}

// write writes the upgrade, unless it would mix with changes of the user.
func (o upgradeOptions) write(ctx context.Context, s *term.IO, dir *scaffold.Dir, plan scaffold.Upgrade) error {
	if len(plan.EditedRuntime) > 0 && !o.force {
		return exit.WithHint(exit.Usagef("nothing was written: you have edited files of the runtime, which the upgrade replaces: %s", scaffold.ShortList(plan.EditedRuntime)),
			"move your changes out of third_party/msctl; --force replaces these files, too, and keeps those that are not in git as FILE.orig")
	}
	var changing []string
	for _, c := range plan.Changes {
		if c.Written() && c.Before != nil {
			changing = append(changing, c.Path)
		}
	}
	if dirty := scaffold.Uncommitted(ctx, dir.Root, changing); len(dirty) > 0 && !o.allowDirty {
		return exit.WithHint(exit.Usagef("nothing was written: these files have changes that are not committed: %s", scaffold.ShortList(dirty)),
			"commit or stash them, so that git can show and undo the upgrade alone; --allow-dirty upgrades anyway")
	}
	originals, err := scaffold.NotInGit(ctx, dir.Root, plan.EditedRuntime)
	if err != nil {
		return err
	}
	steps, err := dir.UpgradeSteps(plan, originals)
	if err != nil {
		return err
	}
	if err := scaffold.Write(dir.Root, steps, true); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	for _, name := range originals {
		s.Notef("%s %s", s.ErrPalette().Warn("kept your"), name+".orig")
	}
	return nil
}

// printUpgradeDiff prints the differences in the format of diff -u. The runtime is not part
// of them.
func printUpgradeDiff(s *term.IO, plan scaffold.Upgrade) error {
	for _, c := range plan.Changes {
		if !c.Written() || c.Runtime {
			continue
		}
		if _, err := fmt.Fprint(s.Out, s.Secrets().Mask(string(c.Diff()))); err != nil {
			return err
		}
	}
	return nil
}

// reportUpgrade prints what changed, one file per line. Files without edits, and those of
// the runtime, are only counted.
func reportUpgrade(s *term.IO, dir *scaffold.Dir, plan scaffold.Upgrade, o upgradeOptions) {
	p := s.ErrPalette()
	words := map[scaffold.Fate]string{
		scaffold.Added: p.Good("added   "), scaffold.Merged: p.Good("merged  "), scaffold.Dropped: p.Warn("removed "),
		scaffold.Broken: p.Bad("check   "), scaffold.Conflicted: p.Bad("conflict"), scaffold.Retained: p.Dim("kept    "), scaffold.Deleted: p.Dim("deleted "),
	}
	notes := map[scaffold.Fate]string{
		scaffold.Retained: " (edited by you, and no longer part of the templates)", scaffold.Deleted: " (by you, and not created again)",
	}
	updated, runtime := 0, 0
	for _, c := range plan.Changes {
		switch {
		case c.Runtime && c.Fate == scaffold.Retained:
			s.Notef("%s %s (edited by you, and the same in both versions)", words[c.Fate], c.Path)
		case c.Runtime:
			runtime++
		case c.Fate == scaffold.Updated:
			updated++
		default:
			s.Notef("%s %s", words[c.Fate], place(c)+notes[c.Fate])
		}
	}
	if updated > 0 {
		s.Notef("%s %s", p.Good("updated "), term.Count(updated, "file")+" without edits")
	}
	if runtime > 0 {
		s.Notef("%s third_party/msctl (%s: the runtime)", p.Good("updated "), term.Count(runtime, "file"))
	}
	from := " from msctl " + plan.From.Version
	if plan.From.Version == dir.Version || plan.From.Version == "" {
		from = ""
	}
	verb := "upgraded"
	if o.dryRun {
		verb = "would upgrade"
	}
	s.Notef("%s %s%s to msctl %s", verb, p.Accent(dir.Workspace.Name), from, dir.Version)
	if dir.Deployed() && !o.dryRun {
		s.Notef("\nNext: `msctl new deploy kubernetes` updates the manifests")
	}
}

// place returns the path of a file, with the lines of its conflicts.
func place(c scaffold.Change) string {
	if len(c.Conflicts) == 0 {
		return c.Path
	}
	var places []string
	for _, line := range c.Conflicts {
		places = append(places, fmt.Sprintf("%s:%d", c.Path, line))
	}
	return strings.Join(places, ", ")
}

// upgradeResult returns the error of an upgrade that the user has to finish.
func upgradeResult(plan scaffold.Upgrade) error {
	var marked, broken []string
	noBase := false
	for _, c := range plan.Changes {
		switch c.Fate {
		case scaffold.Conflicted:
			marked = append(marked, place(c))
			noBase = noBase || c.NoBase
		case scaffold.Broken:
			broken = append(broken, c.Problem)
		}
	}
	var err error
	if len(broken) > 0 {
		err = fmt.Errorf("merged files are not valid: %s", strings.Join(broken, "; "))
		err = exit.WithHint(err, "edit these files, then run your tests")
	}
	if len(marked) > 0 {
		text := "conflicts in " + term.Count(len(marked), "file") + ": " + scaffold.ShortList(marked)
		if noBase {
			text += " (what msctl wrote at first is not known, so every difference is one)"
		}
		err = exit.WithHint(errors.Join(errors.New(text), err), "edit the lines between <<<<<<< and >>>>>>>, then run `msctl upgrade` again: it reports markers that are left")
	}
	return err
}
