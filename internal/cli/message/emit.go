package message

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// NewEmitCommand returns `msctl emit`.
func NewEmitCommand(s *term.IO) *cobra.Command {
	o := sendOptions{event: true}
	cmd := &cobra.Command{
		Use:   "emit PATTERN [DATA…] | emit [PATTERN] --raw BODY",
		Short: "Send an event",
		Long: `Send an event to a service. An event has no reply: the command returns when the peer has
confirmed the event, even if no service handles it. With RabbitMQ, Redis, and NATS, that is
the broker. Over TCP, it is the service: msctl sends a question behind the event to which
every service replies, so the reply shows that the service has read the event. A peer that
sends something else, closes the connection, or speaks another protocol is no service: the
event is lost, and the exit code is 4, as for an event over RabbitMQ that reaches no queue.
If a peer over TCP sends nothing within --timeout, msctl prints a warning.

With --raw, BODY is the entire message, without NestJS's packet around it: what other
programs send, and what NestJS handles with @EventPattern(undefined) on RabbitMQ, and with
the handler of the channel on Redis and NATS. PATTERN is then the channel, the subject, or
the routing key of an exchange; a queue needs none.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + "\n\n" + target.Syntax,
		Example: `  msctl emit item.v1.viewed id:=7
  msctl emit item.v1.viewed '{"id":7}' --to tcp://localhost:3002 -v
  msctl emit order.created id:=7 --to amqp://localhost/mail
  msctl emit --raw '{"sensor":4}' --to amqp://localhost/measurements
  msctl emit item.v1.viewed --each < views.ndjson`,
		GroupID: command.GroupTalk,
		Args:    command.ArgCount(0, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.isRaw = cmd.Flags().Changed("raw")
		if err := o.complete(s, args); err != nil {
			return err
		}
		return runSend(cmd.Context(), s, o)
	}
	o.registerMessage(cmd)
	cmd.Flags().StringVar(&o.raw, "raw", "", "send `BODY` as the entire message, without a packet; '$NAME', @FILE, and - for standard input are looked up")
	command.GroupFlags(cmd, "Message", "raw")
	return cmd
}
