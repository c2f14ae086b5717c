package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// versionInfo is what `msctl version -o json` prints.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	// Workspace is the workspace of the current folder, if msctl new created it.
	Workspace *workspaceInfo `json:"workspace,omitempty"`
}

func newVersionCommand(s *term.IO, info versionInfo) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of msctl",
		Example: "  msctl version\n  msctl version -o json",
		GroupID: command.GroupMore,
		Args:    command.ArgCount(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return runVersion(s, info, output == command.JSON)
		},
	}
	command.OutputFlag(cmd.Flags(), &output, "output `FORMAT`: json", command.JSON)
	return cmd
}

func runVersion(s *term.IO, info versionInfo, asJSON bool) error {
	dir, ok := currentWorkspace()
	if !asJSON {
		if ok {
			defer command.NoteAge(s, dir, info.Version)
		}
		commit := ""
		if info.Commit != "" {
			commit = " (" + info.Commit + ")"
		}
		_, err := fmt.Fprintf(s.Out, "msctl %s%s %s %s/%s\n", info.Version, commit, info.Go, info.OS, info.Arch)
		return err
	}
	if ok {
		var err error
		if info.Workspace, err = workspaceVersion(dir, info.Version); err != nil {
			return err
		}
	}
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return s.PrintJSON(term.JSONAuto, text)
}

// readVersion completes the stamped version with the build information of Go.
func readVersion(stamped string) versionInfo {
	info := versionInfo{Version: stamped, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if ok && info.Version == "" && build.Main.Version != "(devel)" {
		info.Version = build.Main.Version
	}
	if info.Version == "" {
		info.Version = "devel"
	}
	if !ok {
		return info
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value[:min(12, len(setting.Value))]
		case "vcs.time":
			info.Date = setting.Value
		case "vcs.modified":
			if setting.Value == "true" && info.Commit != "" {
				info.Commit += "-dirty"
			}
		}
	}
	return info
}

// workspaceInfo is the workspace in what `msctl version -o json` prints.
type workspaceInfo struct {
	Version string `json:"version"`
	Status  string `json:"status"` // current, behind, or ahead, compared with this msctl
}

// workspaceVersion returns the version of the workspace in dir, or nil if it has none.
func workspaceVersion(dir, version string) (*workspaceInfo, error) {
	origin, age, err := command.AgeOf(dir, version)
	if err != nil || age == scaffold.Unmanaged {
		return nil, err
	}
	status := map[scaffold.Age]string{scaffold.Current: "current", scaffold.Behind: "behind", scaffold.Ahead: "ahead"}
	return &workspaceInfo{origin.Version, status[age]}, nil
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
