package cli

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/term"
)

func newCompletionCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a shell completion script",
		Long: `Print a script that adds completion of msctl's commands and flags to a shell.
SHELL is bash, zsh, fish, or powershell.`,
		Example: `  source <(msctl completion bash)
  msctl completion zsh > "${fpath[1]}/_msctl"
  msctl completion fish > ~/.config/fish/completions/msctl.fish
  msctl completion powershell | Out-String | Invoke-Expression`,
		GroupID:   command.GroupMore,
		Args:      command.ArgCount(1, 1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCompletion(s, cmd.Root(), args[0])
		},
	}
}

func runCompletion(s *term.IO, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(s.Out, true)
	case "zsh":
		return root.GenZshCompletion(s.Out)
	case "fish":
		return root.GenFishCompletion(s.Out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(s.Out)
	}
	err := exit.Usagef("unknown shell %q: use bash, zsh, fish, or powershell", shell)
	if near := nearest.Word(shell, []string{"bash", "zsh", "fish", "powershell"}); near != "" {
		return exit.WithHint(err, "did you mean `msctl completion %s`?", near)
	}
	return err
}
