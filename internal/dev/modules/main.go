// Command modules maintains the Go modules of this repository (go.work lists
// them). They require each other at a version that is not published during
// development, so `go mod tidy` alone cannot resolve them.
//
//	modules tidy             tidy every go.mod and go.sum
//	modules check            fail if tidy would change a file
//	modules version v0.2.0   require each other at this version, before a release
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "modules:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	w, err := open(".")
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "tidy":
		return w.tidy(true)
	case len(args) == 1 && args[0] == "check":
		return w.tidy(false)
	case len(args) == 2 && args[0] == "version":
		if err := w.setVersion(args[1]); err != nil {
			return err
		}
		fmt.Println("commit, then create these tags: " + strings.Join(w.tags(args[1]), " "))
		return nil
	}
	return errors.New("usage: modules tidy | check | version vX.Y.Z")
}

// module is one module of the workspace.
type module struct {
	dir string // absolute
	mod *modfile.File
}

func (m *module) path() string { return m.mod.Module.Mod.Path }

// workspace is the repository's go.work.
type workspace struct {
	work    *modfile.WorkFile
	file    string
	modules []*module
}

// open reads the go.work in dir and the go.mod of each module in it.
func open(dir string) (*workspace, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	w := &workspace{file: filepath.Join(root, "go.work")}
	text, err := os.ReadFile(w.file)
	if err != nil {
		return nil, err
	}
	if w.work, err = modfile.ParseWork(w.file, text, nil); err != nil {
		return nil, err
	}
	for _, use := range w.work.Use {
		m := &module{dir: filepath.Join(root, filepath.FromSlash(use.Path))}
		if m.mod, err = readMod(filepath.Join(m.dir, "go.mod")); err != nil {
			return nil, err
		}
		w.modules = append(w.modules, m)
	}
	return w, nil
}

func readMod(file string) (*modfile.File, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(file, text, nil)
}

// tidy tidies every module, with the others replaced by their folders. It writes the
// result, or returns an error that names the files it would change.
func (w *workspace) tidy(write bool) error {
	var untidy []error
	for _, m := range w.modules {
		files, err := w.tidied(m)
		if err != nil {
			return err
		}
		for name, text := range files {
			file := filepath.Join(m.dir, name)
			before, err := os.ReadFile(file)
			switch {
			case err == nil && bytes.Equal(before, text), os.IsNotExist(err) && len(text) == 0:
			case write:
				if err := os.WriteFile(file, text, 0o644); err != nil {
					return err
				}
			default:
				untidy = append(untidy, fmt.Errorf("%s of %s is not tidy: run `make tidy`", name, m.path()))
			}
		}
	}
	return errors.Join(untidy...)
}

// tidied returns what go.mod and go.sum of a module are after `go mod tidy`.
func (w *workspace) tidied(m *module) (map[string][]byte, error) {
	scratch, err := os.MkdirTemp("", "modules")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	file := filepath.Join(scratch, "go.mod")
	if err := w.writeReplaced(m, file); err != nil {
		return nil, err
	}
	if sums, err := os.ReadFile(filepath.Join(m.dir, "go.sum")); err == nil {
		if err := os.WriteFile(filepath.Join(scratch, "go.sum"), sums, 0o644); err != nil {
			return nil, err
		}
	}
	tidy := exec.Command("go", "mod", "tidy", "-modfile="+file)
	tidy.Dir, tidy.Env = m.dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := tidy.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go mod tidy in %s: %w\n%s", m.dir, err, out)
	}
	mod, err := readMod(file)
	if err != nil {
		return nil, err
	}
	for _, r := range mod.Replace {
		if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
			return nil, err
		}
	}
	mod.Cleanup()
	files := map[string][]byte{}
	if files["go.mod"], err = mod.Format(); err != nil {
		return nil, err
	}
	files["go.sum"], err = os.ReadFile(filepath.Join(scratch, "go.sum"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return files, nil
}

// writeReplaced writes the go.mod of m with the other modules replaced by their
// folders.
func (w *workspace) writeReplaced(m *module, file string) error {
	text, err := m.mod.Format()
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(file, text, nil)
	if err != nil {
		return err
	}
	for _, other := range w.modules {
		if other != m {
			if err := mod.AddReplace(other.path(), "", other.dir, ""); err != nil {
				return err
			}
		}
	}
	if text, err = mod.Format(); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// setVersion has the modules require each other at a version. It does not look the
// version up, since it is published afterwards.
func (w *workspace) setVersion(version string) error {
	if semver.Canonical(version) != version {
		return fmt.Errorf("invalid version %q: want vX.Y.Z", version)
	}
	for _, m := range w.modules {
		for _, other := range w.modules {
			if requires(m.mod, other.path()) {
				if err := m.mod.AddRequire(other.path(), version); err != nil {
					return err
				}
			}
		}
		text, err := m.mod.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m.dir, "go.mod"), text, 0o644); err != nil {
			return err
		}
	}
	for _, r := range slices.Clone(w.work.Replace) {
		path, dir := r.Old.Path, r.New.Path
		if err := w.work.DropReplace(path, r.Old.Version); err != nil {
			return err
		}
		if err := w.work.AddReplace(path, version, dir, ""); err != nil {
			return err
		}
	}
	w.work.SortBlocks()
	w.work.Cleanup()
	return os.WriteFile(w.file, modfile.Format(w.work.Syntax), 0o644)
}

func requires(mod *modfile.File, path string) bool {
	for _, r := range mod.Require {
		if r.Mod.Path == path {
			return true
		}
	}
	return false
}

// tags returns the tags of a release: each module's folder, a slash, and the
// version.
func (w *workspace) tags(version string) []string {
	var list []string
	for _, use := range w.work.Use {
		list = append(list, path.Join(use.Path, version))
	}
	return list
}
