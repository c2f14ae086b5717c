package cli

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// newTargetsTopic is `msctl help targets`: a page, not a command.
func newTargetsTopic(s *term.IO) *cobra.Command {
	cmd := &cobra.Command{Use: "targets", Short: "What a TARGET may be", Long: target.Help, Hidden: true, Args: argCount(0, 0)}
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
