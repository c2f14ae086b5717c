package create

import (
	"errors"
	"fmt"
	"os"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/workspace"
)

// openWorkspace opens the workspace of the current folder, to add to it.
func openWorkspace(version string) (*scaffold.Dir, error) {
	dir, err := findWorkspace(version)
	if err != nil {
		return nil, err
	}
	return dir, command.CheckAge(dir.Root, dir.Version)
}

// findWorkspace opens the workspace of the current folder.
func findWorkspace(version string) (*scaffold.Dir, error) {
	current, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	path, err := workspace.Find(current)
	if errors.Is(err, workspace.ErrNotFound) {
		return nil, exit.WithHint(exit.WithCode(err, exit.Usage), "`msctl new FOLDER` creates a workspace")
	}
	if err != nil {
		return nil, err
	}
	dir, err := scaffold.Open(path)
	if errors.Is(err, scaffold.ErrNoModule) {
		return nil, exit.WithHint(exit.Usagef("msctl adds only Go services to a workspace: %w", err),
			"`msctl help msctl.yaml` describes how to add any other service to the file")
	}
	if err != nil {
		return nil, err
	}
	dir.Version = version
	return dir, nil
}
