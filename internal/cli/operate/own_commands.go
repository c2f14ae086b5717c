package operate

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/term"
)

// The hidden commands that `msctl run` starts, besides debug.TraceableName.
const (
	guardName = "__guard" // child.RunGuard
	natsName  = "__nats"  // broker.ServeNATS
)

// ownCommand returns the command line of a hidden command of this program.
func ownCommand(name string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the msctl program: %w", err)
	}
	return []string{self, name}, nil
}

// NewGuardCommand returns the hidden command that runs next to `msctl run`. If msctl is
// killed, it ends the processes that msctl leaves behind.
func NewGuardCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:    guardName,
		Hidden: true,
		Args:   command.ArgCount(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return child.RunGuard(s.In)
		},
	}
}

// NewNATSCommand returns the hidden command that is the NATS server of a `msctl run`. Its
// argument is the port.
func NewNATSCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:    natsName,
		Hidden: true,
		Args:   command.ArgCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			port, err := strconv.Atoi(args[0])
			if err != nil {
				return exit.Usagef("invalid port %q", args[0])
			}
			return broker.ServeNATS(cmd.Context(), s.Out, port)
		},
	}
}

// NewTraceableCommand returns the hidden command that becomes the program in its arguments,
// to which debuggers may attach.
func NewTraceableCommand() *cobra.Command {
	return &cobra.Command{
		Use:                debug.TraceableName,
		Hidden:             true,
		Args:               command.ArgCount(1, -1),
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return debug.ExecTraceable(args) },
	}
}
