package scaffold

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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
