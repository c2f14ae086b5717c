package cli

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

func newEmitCommand(s *term.IO) *cobra.Command {
	o := sendOptions{event: true}
	cmd := &cobra.Command{
		Use:   "emit PATTERN [DATA…]",
		Short: "Send an event",
		Long: `Send an event to a service. An event has no reply: the command returns when the event
has been written to the connection or, with RabbitMQ and Redis, accepted by the broker,
even if no service handles it. Over TCP, a peer that answers is no service: the event is
lost, and the exit code is 4.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + "\n\n" + target.Syntax,
		Example: `  msctl emit item.v1.viewed id:=7
  msctl emit item.v1.viewed '{"id":7}' --to tcp://localhost:3002 -v
  msctl emit order.created id:=7 --to amqp://localhost/mail
  msctl emit item.v1.viewed --each < views.ndjson`,
		GroupID: groupTalk,
		Args:    argCount(1, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(s, args); err != nil {
			return err
		}
		return runSend(cmd.Context(), s, o)
	}
	o.registerMessage(cmd)
	return cmd
}
