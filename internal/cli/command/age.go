package command

import (
	"cmp"
	"fmt"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
)

// AgeOf compares the workspace in dir with this msctl, whose version is version.
func AgeOf(dir, version string) (scaffold.Origin, scaffold.Age, error) {
	origin, err := scaffold.ReadOrigin(dir)
	if err != nil {
		return origin, scaffold.Unmanaged, err
	}
	age, err := origin.Age(version)
	return origin, age, err
}

// CheckAge returns an error unless this msctl may write into the workspace in dir: what it
// adds requires the templates and the runtime of the same version.
func CheckAge(dir, version string) error {
	origin, age, err := AgeOf(dir, version)
	if err != nil {
		return err
	}
	return AgeError(origin, age, version)
}

// AgeError returns a usage error if the workspace is not that of this msctl, and nil if it is,
// or if no msctl wrote it.
func AgeError(origin scaffold.Origin, age scaffold.Age, version string) error {
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

// NoteAge prints a remark if the workspace in dir is not that of this msctl.
func NoteAge(s *term.IO, dir, version string) {
	origin, age, err := AgeOf(dir, version)
	if err != nil {
		s.Remarkf("%v", err)
		return
	}
	switch age {
	case scaffold.Behind:
		s.Remarkf("%s: `msctl upgrade` brings it up to date", ageText(origin, age, version))
	case scaffold.Ahead:
		s.Remarkf("%s: %s", ageText(origin, age, version), updateMsctl(origin))
	}
}
