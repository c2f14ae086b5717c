package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// sendOptions is what `msctl send` and `msctl emit` were told.
type sendOptions struct {
	pattern micro.Pattern
	data    json.RawMessage
	event   bool

	target target.Flags
	policy policyFlags
	meta   []string

	output  string
	style   term.JSONStyle
	verbose bool
	jq      string
	expect  string

	repeat    int
	watch     time.Duration
	each      bool
	printCode string
}

func newSendCommand(s *term.IO) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send PATTERN [DATA…]",
		Short: "Send a message and print the answer",
		Long: `Send a message to a service and print each value of its answer as it comes:
indented on a terminal, one JSON value a line in a pipe.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + "\n\n" + target.Syntax,
		Example: `  msctl send cmd=findAllItems
  msctl send cmd=createItem name=Widget price:=9.99 --to items
  msctl send '{"cmd":"findItem"}' '{"id":7}' --to tcp://localhost:3002 --jq .name -o raw
  msctl send cmd=findAllItems --expect 'length > 0' --timeout 1s
  msctl send cmd=createItem --each < items.ndjson`,
		GroupID: groupTalk,
		Args:    argCount(1, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(s, args); err != nil {
			return err
		}
		return runSend(cmd.Context(), s, o)
	}
	cmd.Flags().BoolVar(&o.event, "event", false, "send an event: nobody answers, nothing is awaited (as emit)")
	o.registerMessage(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "print values as `FORMAT`: json (one a line), pretty, raw (strings without quotes)")
	cmd.Flags().StringVar(&o.jq, "jq", "", "print what the jq expression `EXPR` makes of each value")
	cmd.Flags().StringVar(&o.expect, "expect", "", "end with exit code 1 when the jq expression `EXPR` is not true of a value")
	groupFlags(cmd, "Answer", "output", "jq", "expect", "verbose")
	return cmd
}

func newEmitCommand(s *term.IO) *cobra.Command {
	o := sendOptions{event: true}
	cmd := &cobra.Command{
		Use:   "emit PATTERN [DATA…]",
		Short: "Send an event, without an answer",
		Long: `Send an event to a service. Nobody answers: the command ends when the event has
been handed to the connection, with RabbitMQ and Redis when the broker has taken it,
whether or not somebody handles it.

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

// registerMessage adds the flags that send and emit share.
func (o *sendOptions) registerMessage(cmd *cobra.Command) {
	f := cmd.Flags()
	registerTarget(cmd, &o.target, "Where to")
	o.policy.register(cmd, "How patiently")
	f.StringArrayVarP(&o.meta, "meta", "m", nil, "put `KEY=VALUE` into the message's metadata (repeatable)")
	f.IntVar(&o.repeat, "repeat", 1, "send it `N` times, one after the other")
	f.DurationVar(&o.watch, "watch", 0, "send it again every `INTERVAL`, until Ctrl-C or --repeat")
	f.BoolVar(&o.each, "each", false, "read NDJSON from standard input and send one message a line")
	f.StringVar(&o.printCode, "print-code", "", "send nothing, print the same call in `LANGUAGE`: nest, go or curl")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the exact packets and the times on standard error")
	groupFlags(cmd, "What", "meta", "repeat", "watch", "each", "print-code")
	if f.Lookup("event") != nil {
		groupFlags(cmd, "What", "event")
	}
}

// complete reads the arguments and checks the flags against each other. All its
// errors are usage errors: nothing has been sent.
func (o *sendOptions) complete(s *term.IO, args []string) error {
	o.policy.jitter, args = takeJitter(o.policy.jitter, args)
	if len(args) == 0 {
		return exit.Usagef("PATTERN is missing")
	}
	var err error
	if o.pattern, err = shorthand.Pattern(args[0]); err != nil {
		return err
	}
	if o.style, err = term.ParseJSONStyle(o.output); err != nil {
		return exit.Usagef("-o: %w", err)
	}
	switch {
	case o.event && (o.jq != "" || o.expect != "" || o.output != ""):
		return exit.Usagef("an event has no answer: --jq, --expect and -o go without --event")
	case o.each && len(args) > 1:
		return exit.Usagef("--each reads the data from standard input: leave %q out", args[1])
	case o.each && (o.repeat != 1 || o.watch != 0 || o.printCode != ""):
		return exit.Usagef("--each goes without --repeat, --watch and --print-code")
	case o.repeat < 1:
		return exit.Usagef("--repeat must be at least 1")
	case o.watch < 0:
		return exit.Usagef("--watch must be longer than 0")
	}
	if err := o.policy.check(); err != nil {
		return err
	}
	if _, err := o.metadata(); err != nil {
		return err
	}
	if !o.each {
		o.data, err = shorthand.Data(args[1:], s.In)
	}
	return err
}

// metadata reads the --meta flags.
func (o *sendOptions) metadata() (micro.Metadata, error) {
	var m micro.Metadata
	for _, pair := range o.meta {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return m, exit.Usagef("--meta %q is not KEY=VALUE", pair)
		}
		m.Set(key, value)
	}
	return m, nil
}

// runSend sends the message, or one for each line, repeat or interval.
func runSend(ctx context.Context, s *term.IO, o sendOptions) error {
	filters, err := o.filters()
	if err != nil {
		return err
	}
	t, err := o.target.Resolve(ctx, o.pattern)
	if err != nil && (o.printCode == "" || exit.Code(err) == exit.Usage) {
		return err
	}
	if o.printCode != "" {
		return o.printAsCode(s, t)
	}
	conn, err := o.target.Dial(t, target.DialOptions{Log: slog.New(warner{s})})
	if err != nil {
		return err
	}
	m := &messenger{io: s, o: o, target: t, filters: filters}
	options := o.policy.options(s, o.verbose, &m.attempts)
	if o.verbose && t.HasHeaders() {
		options = append(options, micro.WithInterceptors(m.showHeaders))
	}
	m.client = micro.NewClient(conn, options...)
	defer m.client.Close()
	if o.each {
		return m.each(ctx)
	}
	return m.repeat(ctx)
}

// printAsCode prints the message as code in place of sending it.
func (o *sendOptions) printAsCode(s *term.IO, t target.Target) error {
	if t.Scheme == "" { // no service could be asked
		t, _ = target.ParseURL(target.Default)
	}
	metadata, err := o.metadata()
	if err != nil {
		return err
	}
	return printcode.WriteCall(s.Out, o.printCode, printcode.Call{
		Target: t, Pattern: o.pattern, Data: o.data, Event: o.event, Metadata: metadata, Policy: o.policy.settings(),
	})
}
