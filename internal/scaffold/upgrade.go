package scaffold

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/merge"
	"github.com/msctl/msctl/internal/workspace"
)

// Fate is what an upgrade does to a file.
type Fate int

const (
	// Added is a new file.
	Added Fate = iota
	// Updated is a file without edits, which is replaced.
	Updated
	// Merged is a file with edits, which keeps them.
	Merged
	// Conflicted is a file with edits of the same lines, which are marked.
	Conflicted
	// Broken is a file with edits, which is merged without a conflict but not valid.
	Broken
	// Dropped is a file without edits that msctl no longer writes, and that is removed.
	Dropped
	// Retained is a file with edits that msctl no longer writes, and that stays.
	Retained
	// Deleted is a file that the user has deleted, and that is not created again.
	Deleted
)

// Change is a file that an upgrade changes or reports.
type Change struct {
	Path string
	Fate Fate
	// Before and After are its content; Before is nil if it does not exist.
	Before, After []byte
	// Conflicts are the numbers of the lines where conflicts begin.
	Conflicts []int
	// NoBase reports that the text that msctl wrote at first is unknown, so that every
	// difference is a conflict.
	NoBase bool
	// Problem describes why a merged file is not valid.
	Problem string
	// Runtime reports whether the file is part of the copy of the runtime.
	Runtime bool
}

// Written reports whether the upgrade writes or removes the file.
func (c Change) Written() bool { return c.Fate != Retained && c.Fate != Deleted }

// Diff returns the change in the format of diff -u.
func (c Change) Diff() []byte {
	before, after, text := "a/"+c.Path, "b/"+c.Path, c.After
	switch c.Fate {
	case Added:
		before = "/dev/null"
	case Dropped:
		after, text = "/dev/null", nil
	}
	return merge.Diff(before, c.Before, after, text)
}

// Upgrade is a planned upgrade.
type Upgrade struct {
	// From is the origin of the workspace.
	From Origin
	// Changes are the files that change or stay against expectation, sorted by path.
	Changes []Change
	// EditedRuntime are files in the copy of the runtime that the user has changed, and that
	// the upgrade replaces or removes.
	EditedRuntime []string

	record record
	base   File
}

// Upgrade plans how to bring the workspace to the templates and the runtime of this msctl.
// It changes nothing.
func (d *Dir) Upgrade(ctx context.Context) (Upgrade, error) {
	p, err := d.newUpgradePlan(ctx)
	if err != nil {
		return Upgrade{}, err
	}
	paths := maps.Clone(p.theirs)
	for name := range p.written {
		paths[name] = File{}
	}
	for name := range p.base {
		paths[name] = File{}
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		if err := p.file(name); err != nil {
			return Upgrade{}, err
		}
	}
	return p.Upgrade, nil
}

// UpgradeSteps returns the steps that carry out an upgrade. The files in originals are kept
// next to the new ones, with the extension .orig.
func (d *Dir) UpgradeSteps(u Upgrade, originals []string) ([]Step, error) {
	_, recorded, err := readRecord(d.Root)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, c := range u.Changes {
		f := File{Path: c.Path, Data: c.After}
		switch c.Fate {
		case Retained, Deleted:
			continue
		case Added:
			steps = append(steps, Step{f, Create})
		case Dropped:
			f.Removed = true
			steps = append(steps, Step{f, Remove})
		default:
			steps = append(steps, Step{f, Replace})
		}
		if slices.Contains(originals, c.Path) {
			steps = append(steps, Step{File{Path: c.Path + ".orig", Data: c.Before}, Create})
		}
	}
	// The base comes last: after an interruption, the next upgrade merges again what is
	// merged already, which changes nothing.
	return append(steps,
		Step{File{Path: recordFile, Data: withEndingsOf(recorded, u.record.text()), Generated: true}, Replace},
		Step{u.base, Replace}), nil
}

// upgradePlan is an upgrade that is being planned.
type upgradePlan struct {
	Upgrade

	dir        *Dir
	theirs     map[string]File   // what this msctl renders
	base       map[string][]byte // what the workspace's msctl rendered, as far as it is known
	written    record            // what it wrote
	hasArchive bool
}

// newUpgradePlan renders the workspace and finds the base.
func (d *Dir) newUpgradePlan(ctx context.Context) (*upgradePlan, error) {
	p := &upgradePlan{dir: d, theirs: map[string]File{}, Upgrade: Upgrade{record: record{}}}
	var err error
	if p.written, _, err = readRecord(d.Root); err != nil {
		return nil, err
	}
	found, err := readArchive(d.Root)
	p.hasArchive = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.From = found.Origin
	answers := found.Answers
	if !p.hasArchive {
		p.From.Version, answers = runtimeVersion(d.Root), d.inferAnswers(p.written)
	}
	if answers, err = d.completed(d.withoutRemoved(answers)); err != nil {
		return nil, err
	}
	if p.Upgrade.base, err = p.render(answers, func(string) bool { return true }); err != nil {
		return nil, err
	}
	if p.hasArchive {
		p.base = map[string][]byte{}
		for name, data := range found.files {
			p.base[name] = d.here(name, placeholders().replaced(data, answers.Secrets), answers)
		}
	} else if p.base = d.gitBase(ctx, p.written); p.base[workspace.FileName] != nil {
		// msctl.sum names files as msctl new wrote them, before services were added.
		_, err = p.render(answers.withOnly(p.base[workspace.FileName]), func(name string) bool {
			return !strings.HasPrefix(name, bundleDir+"/") && name != "go.mod" && name != "go.sum"
		})
	}
	if err != nil {
		return nil, err
	}
	delete(p.written, archiveFile)
	p.record[archiveFile] = objectID(p.Upgrade.base.Data)
	return p, nil
}

// render renders the wanted files, and returns their archive.
func (p *upgradePlan) render(answers Workspace, wanted func(name string) bool) (File, error) {
	files, err := answers.render()
	if err != nil {
		return File{}, err
	}
	for _, f := range files {
		if wanted(f.Path) {
			f.Data = p.dir.here(f.Path, f.Data, answers)
			p.theirs[f.Path] = f
		}
	}
	return answers.archive(files)
}

// here returns the text of a rendered file under the module's current name, which the user
// may have changed.
func (d *Dir) here(name string, text []byte, answers Workspace) []byte {
	if !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, bundleDir+"/") {
		return text
	}
	return moved(text, answers.module(), d.Module)
}

// file plans one file.
func (p *upgradePlan) file(name string) error {
	before, err := os.ReadFile(filepath.Join(p.dir.Root, filepath.FromSlash(name)))
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if strings.HasPrefix(name, bundleDir+"/") {
		p.runtime(name, before, exists)
		return nil
	}
	theirs, isTheirs := p.theirs[name]
	base, hasBase := p.base[name]
	inBase := hasBase && p.hasArchive
	if exists && !hasBase && p.written.unchanged(name, before) {
		base, hasBase = unix(before), true
	}
	known := hasBase || p.written[name] != ""
	// The user had the file before msctl new, which left it alone.
	isForeign := exists && hasBase && p.written[name] == "" && len(p.written) > 0
	switch {
	case isTheirs && !isForeign:
		p.record[name] = objectID(theirs.Data)
	case !isTheirs && !inBase && exists && p.written[name] != "": // a handler, or a file of its service
		p.record[name] = p.written[name]
		return nil
	}
	c := Change{Path: name, Before: before, After: theirs.Data}
	switch {
	case !exists && !known:
		c.Fate = Added
	case !exists && isTheirs:
		c.Fate = Deleted
	case !exists:
		return nil
	case isForeign:
		return nil
	case !isTheirs && (hasBase && bytes.Equal(unix(before), base)):
		c.Fate = Dropped
	case !isTheirs:
		c.Fate = Retained
	case bytes.Equal(unix(before), theirs.Data), hasBase && bytes.Equal(base, theirs.Data):
		return nil
	case hasBase && bytes.Equal(unix(before), base):
		c.Fate, c.After = Updated, withEndingsOf(before, theirs.Data)
	default:
		c.NoBase = !hasBase
		p.merge(&c, base, theirs.Data)
		if bytes.Equal(c.Before, c.After) && c.Problem == "" {
			return nil
		}
	}
	p.Changes = append(p.Changes, c)
	return nil
}

// merge merges a file that has edits.
func (p *upgradePlan) merge(c *Change, base, theirs []byte) {
	merged := mergeFile(c.Path, base, unix(c.Before), theirs, merge.Labels{Ours: "yours", Theirs: "msctl " + p.dir.Version})
	c.Fate, c.Conflicts, c.Problem = Merged, merged.Conflicts, merged.problem
	c.After = withEndingsOf(c.Before, merged.Text)
	switch {
	case len(c.Conflicts) > 0:
		c.Fate = Conflicted
	case c.Problem != "":
		c.Fate = Broken
	}
}

// runtime plans a file of the copy of the runtime, which is replaced as a whole.
func (p *upgradePlan) runtime(name string, before []byte, exists bool) {
	theirs, isTheirs := p.theirs[name]
	if isTheirs {
		p.record[name] = objectID(theirs.Data)
	}
	c := Change{Path: name, Before: before, After: theirs.Data, Runtime: true}
	switch {
	case !exists && !isTheirs, exists && isTheirs && bytes.Equal(unix(before), unix(theirs.Data)):
		return
	case !exists:
		c.Fate = Added
	case isTheirs:
		c.Fate, c.After = Updated, withEndingsOf(before, theirs.Data)
	default:
		c.Fate = Dropped
	}
	isEdited := exists && !p.written.unchanged(name, before)
	if isEdited && isTheirs && p.written[name] == objectID(theirs.Data) {
		c.Fate = Retained // as it is the same in both versions
	} else if isEdited {
		p.EditedRuntime = append(p.EditedRuntime, name)
	}
	p.Changes = append(p.Changes, c)
}
