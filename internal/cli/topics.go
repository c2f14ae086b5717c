package cli

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// newTargetsTopic is the help page `msctl help targets`.
func newTargetsTopic(s *term.IO) *cobra.Command {
	cmd := &cobra.Command{Use: "targets", Short: "Describe the syntax of TARGET", Long: target.Help, Hidden: true, Args: command.ArgCount(0, 0)}
	cmd.Example = `  msctl send cmd=findItem id:=7 --to items
  msctl send cmd=findItem id:=7 --to amqp://localhost/items
  MSCTL_PASSWORD=… msctl emit item.viewed id:=7 --to amqps://app@rabbit.example/shop/items
  msctl ls nats://localhost`
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		printHelp(s, cmd)
		return nil
	}
	return cmd
}

// newWorkspaceTopic is the help page `msctl help msctl.yaml`.
func newWorkspaceTopic(s *term.IO) *cobra.Command {
	cmd := &cobra.Command{Use: workspace.FileName, Short: "Describe msctl.yaml", Long: workspace.Help, Hidden: true, Args: command.ArgCount(0, 0)}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		printHelp(s, cmd)
		return nil
	}
	return cmd
}
