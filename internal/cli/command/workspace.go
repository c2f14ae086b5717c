package command

import (
	"os"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/workspace"
)

// RequireWorkspace loads the workspace of the current folder. If there is none, it returns a
// usage error with a hint of how to get one.
func RequireWorkspace() (*workspace.Workspace, error) {
	w, err := workspace.Current()
	if err == nil && w == nil {
		return nil, exit.WithHint(exit.Usagef("there is no %s in this folder or above it", workspace.FileName), "%s", workspaceHint())
	}
	return w, err
}

// workspaceHint returns how to get a workspace in the current folder.
func workspaceHint() string {
	if here, err := os.Getwd(); err == nil && nestsource.HasNest(here) {
		return "`msctl init` writes one for the NestJS applications in this folder"
	}
	return "`msctl new shop` creates a workspace; then run `cd shop && msctl run`"
}
