package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// ageOf compares the workspace in dir with this msctl.
func ageOf(dir, version string) (scaffold.Origin, scaffold.Age, error) {
	origin, err := scaffold.ReadOrigin(dir)
	if err != nil {
		return origin, scaffold.Unmanaged, err
	}
	age, err := origin.Age(version)
	return origin, age, err
}

// checkAge returns an error unless this msctl may write into the workspace in dir: what it
// adds requires the templates and the runtime of the same version.
func checkAge(dir, version string) error {
	origin, age, err := ageOf(dir, version)
	if err != nil {
		return err
	}
	return ageError(origin, age, version)
}

// ageError describes a workspace that is not that of this msctl.
func ageError(origin scaffold.Origin, age scaffold.Age, version string) error {
	switch age {
	case scaffold.Ahead:
		return exit.WithHint(exit.Usagef("%s", ageText(origin, age, version)), "%s", updateMsctl(origin))
	case scaffold.Behind:
		return exit.WithHint(exit.Usagef("%s", ageText(origin, age, version)), "`msctl upgrade` brings it up to date, and keeps your changes")
	}
	return nil
}

func ageText(origin scaffold.Origin, age scaffold.Age, version string) string {
	have := cmp.Or(origin.Version, "an unknown version")
	switch {
	case age == scaffold.Ahead:
		return fmt.Sprintf("the workspace is that of msctl %s, which is newer than this one (%s)", have, version)
	case have == version:
		return fmt.Sprintf("the workspace is that of another build of msctl %s, with other templates or another runtime", have)
	}
	return fmt.Sprintf("the workspace is that of msctl %s, and this is msctl %s", have, version)
}

// updateMsctl returns how to get the msctl of the workspace.
func updateMsctl(origin scaffold.Origin) string {
	return fmt.Sprintf("update msctl: `go install github.com/msctl/msctl/cmd/msctl@%s`", origin.Release())
}

// noteAge prints one line if the workspace in dir is not that of this msctl.
func noteAge(s *term.IO, dir, version string) {
	origin, age, err := ageOf(dir, version)
	if err != nil {
		printNote(s, "%v", err)
		return
	}
	switch age {
	case scaffold.Behind:
		printNote(s, "%s: `msctl upgrade` brings it up to date", ageText(origin, age, version))
	case scaffold.Ahead:
		printNote(s, "%s: %s", ageText(origin, age, version), updateMsctl(origin))
	}
}

// currentWorkspace returns the folder of the workspace that contains the current folder.
func currentWorkspace() (dir string, ok bool) {
	current, err := os.Getwd()
	if err != nil {
		return "", false
	}
	path, err := workspace.Find(current)
	return filepath.Dir(path), err == nil
}

// workspaceInfo is the workspace in what `msctl version -o json` prints.
type workspaceInfo struct {
	Version string `json:"version"`
	Status  string `json:"status"` // current, behind, or ahead, compared with this msctl
}

// workspaceVersion returns the version of the workspace in dir, or nil if it has none.
func workspaceVersion(dir, version string) (*workspaceInfo, error) {
	origin, age, err := ageOf(dir, version)
	if err != nil || age == scaffold.Unmanaged {
		return nil, err
	}
	status := map[scaffold.Age]string{scaffold.Current: "current", scaffold.Behind: "behind", scaffold.Ahead: "ahead"}
	return &workspaceInfo{origin.Version, status[age]}, nil
}
