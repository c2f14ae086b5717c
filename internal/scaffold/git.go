package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoGit reports that git is not installed.
var ErrNoGit = errors.New("git is not installed")

// InRepository reports whether dir is in a git repository. It returns false if git is
// not installed.
func InRepository(ctx context.Context, dir string) bool {
	out, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree")
	return err == nil && strings.TrimSpace(out) == "true"
}

// FirstCommit makes dir a git repository whose first commit contains all of its files. If
// git has no user name, the author is msctl. The error is ErrNoGit if git is not
// installed.
func FirstCommit(ctx context.Context, dir, message string) error {
	if _, err := exec.LookPath("git"); err != nil {
		return ErrNoGit
	}
	identity := []string{"-c", "commit.gpgsign=false"}
	if _, err := git(ctx, dir, "config", "user.email"); err != nil {
		identity = append(identity, "-c", "user.name=msctl", "-c", "user.email=msctl@localhost")
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		append(identity, "commit", "--quiet", "--message", message),
	} {
		if _, err := git(ctx, dir, args...); err != nil {
			return err
		}
	}
	return nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

// gitBase returns the contents of the files as msctl wrote them that the repository has, by
// path.
func (d *Dir) gitBase(ctx context.Context, written record) map[string][]byte {
	found := map[string][]byte{}
	objects := gitObjects(ctx, d.Root, slices.Collect(maps.Values(written)))
	for name, id := range written {
		if data, ok := objects[id]; ok && !strings.HasPrefix(name, bundleDir+"/") {
			found[name] = unix(data)
		}
	}
	return found
}

// gitObjects returns the objects with the given IDs that the repository of dir has. It has
// none if git is not installed.
func gitObjects(ctx context.Context, dir string, ids []string) map[string][]byte {
	cmd := exec.CommandContext(ctx, "git", "cat-file", "--batch")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(strings.Join(ids, "\n")+"\n")
	out, _ := cmd.Output() // without a repository, there is no output
	found := map[string][]byte{}
	for len(out) > 0 {
		header, rest, _ := bytes.Cut(out, []byte("\n"))
		out = rest
		words := strings.Fields(string(header)) // ID, type, and size, or ID and "missing"
		if len(words) != 3 {
			continue
		}
		size, err := strconv.Atoi(words[2])
		if err != nil || size < 0 || size >= len(rest) {
			break
		}
		found[words[0]], out = rest[:size], rest[size+1:]
	}
	return found
}

// Uncommitted returns the files of the repository of dir, relative to dir, that have
// changes that are not committed. Of the files that git does not track, it returns only
// those in changing. It returns none without a repository.
func Uncommitted(ctx context.Context, dir string, changing []string) []string {
	out, err := git(ctx, dir, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
	if err != nil {
		return nil
	}
	prefix, err := git(ctx, dir, "rev-parse", "--show-prefix")
	if err != nil {
		return nil
	}
	var names []string
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) < 4 {
			continue
		}
		name := strings.TrimPrefix(entry[3:], strings.TrimSuffix(prefix, "\n")) // the paths are those from the top folder
		if !strings.HasPrefix(entry, "??") || slices.Contains(changing, name) {
			names = append(names, name)
		}
	}
	return names
}

// NotInGit returns those of the files whose current content the repository of dir lacks.
func NotInGit(ctx context.Context, dir string, names []string) ([]string, error) {
	ids := record{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		ids[name] = objectID(data)
	}
	objects := gitObjects(ctx, dir, slices.Collect(maps.Values(ids)))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := objects[ids[name]]; return ok }), nil
}
