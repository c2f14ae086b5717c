package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"slices"

	"github.com/goccy/go-yaml"
	"golang.org/x/mod/modfile"

	"github.com/msctl/msctl/internal/merge"
)

// mergedFile is a merged text, and why it is not valid, or "".
type mergedFile struct {
	merge.Result
	problem string
}

// mergeFile merges a file of a workspace: go.mod and go.sum by their meaning, and others
// line by line.
func mergeFile(name string, base, ours, theirs []byte, labels merge.Labels) mergedFile {
	if bytes.IndexByte(ours, 0) >= 0 || bytes.IndexByte(theirs, 0) >= 0 {
		return mergedFile{merge.Result{Text: ours}, "it is not text: compare it with the new one by hand"}
	}
	switch name {
	case "go.sum":
		return mergedFile{Result: merge.Result{Text: mergeSums(ours, theirs)}}
	case "go.mod":
		if text, err := mergeModule(base, ours, theirs); err == nil {
			return mergedFile{Result: merge.Result{Text: text}}
		}
	}
	m := mergedFile{Result: merge.Text(base, ours, theirs, labels)}
	if err := checkSyntax(name, m.Text); err != nil && len(m.Conflicts) == 0 && checkSyntax(name, ours) == nil {
		m.problem = err.Error()
	}
	return m
}

// checkSyntax returns the first error in a file of Go or YAML, such as a key that both
// versions added.
func checkSyntax(name string, text []byte) error {
	switch path.Ext(name) {
	case ".go":
		_, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		return err
	case ".yaml", ".yml":
		var content any
		err := yaml.Unmarshal(text, &content)
		var bad yaml.Error
		if errors.As(err, &bad) && bad.GetToken() != nil {
			return fmt.Errorf("%s:%d: %s", name, bad.GetToken().Position.Line, bad.GetMessage())
		}
		return err
	}
	return nil
}

// mergeModule applies what changed between two versions of a go.mod to the user's: new
// requirements, and newer versions of existing ones. The user's other directives stay.
func mergeModule(base, ours, theirs []byte) ([]byte, error) {
	var files [3]*modfile.File
	for i, text := range [][]byte{base, ours, theirs} {
		var err error
		if files[i], err = modfile.Parse("go.mod", text, nil); err != nil {
			return nil, err
		}
	}
	was, own, now := files[0], files[1], files[2]
	if now.Go != nil && (own.Go == nil || newer("v"+now.Go.Version, "v"+own.Go.Version)) {
		if err := own.AddGoStmt(now.Go.Version); err != nil {
			return nil, err
		}
	}
	for _, r := range now.Require {
		before, mine := required(was, r.Mod.Path), required(own, r.Mod.Path)
		changed := before == nil || before.Mod.Version != r.Mod.Version
		switch {
		case mine == nil && changed:
			own.AddNewRequire(r.Mod.Path, r.Mod.Version, r.Indirect)
		case mine != nil && changed && newer(r.Mod.Version, mine.Mod.Version):
			if err := own.AddRequire(r.Mod.Path, r.Mod.Version); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range now.Replace {
		isOld := func(other *modfile.Replace) bool { return other.Old == r.Old }
		if slices.ContainsFunc(own.Replace, isOld) || slices.ContainsFunc(was.Replace, isOld) {
			continue
		}
		if err := own.AddReplace(r.Old.Path, r.Old.Version, r.New.Path, r.New.Version); err != nil {
			return nil, err
		}
	}
	own.SortBlocks()
	return own.Format()
}

// required returns the requirement of a module, or nil.
func required(f *modfile.File, module string) *modfile.Require {
	i := slices.IndexFunc(f.Require, func(r *modfile.Require) bool { return r.Mod.Path == module })
	if i < 0 {
		return nil
	}
	return f.Require[i]
}
