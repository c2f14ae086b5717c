package message

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// sendOptions are the flags and arguments of `msctl send` and `msctl emit`.
type sendOptions struct {
	pattern micro.Pattern
	typed   string // the text of the pattern
	data    json.RawMessage
	event   bool

	target target.Flags
	policy command.PolicyFlags
	meta   []string

	metadata   micro.Metadata // of meta
	noMetadata bool

	output  string
	style   term.JSONStyle
	verbose bool
	jq      string
	expect  string

	raw   string // with isRaw, body before it is looked up
	isRaw bool
	body  []byte

	repeat    int
	watch     time.Duration
	each      bool
	printCode string
}

// NewSendCommand returns `msctl send`.
func NewSendCommand(s *term.IO) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send PATTERN [DATA…]",
		Short: "Send a message and print the reply",
		Long: `Send a message to a service and print each value of the reply as it arrives:
indented on a terminal, otherwise one JSON value per line.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + "\n\n" + target.Syntax,
		Example: `  msctl send cmd=findAllItems
  msctl send cmd=createItem name=Widget price:=9.99 --to items
  msctl send '{"cmd":"findItem"}' '{"id":7}' --to tcp://localhost:3002 --jq .name -o raw
  msctl send cmd=findAllItems --expect 'length > 0' --timeout 1s
  msctl send cmd=createItem --each < items.ndjson`,
		GroupID: command.GroupTalk,
		Args:    command.ArgCount(1, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(s, args); err != nil {
			return err
		}
		return runSend(cmd.Context(), s, o)
	}
	cmd.Flags().BoolVar(&o.event, "event", false, "send an event and do not wait for a reply (like emit)")
	o.registerMessage(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "output `FORMAT`: json (one value per line), pretty, or raw (strings without quotes)")
	cmd.Flags().StringVar(&o.jq, "jq", "", "filter each value with a jq `EXPRESSION`")
	cmd.Flags().StringVar(&o.expect, "expect", "", "exit with code 1 if a jq `EXPRESSION` is false or null for a value")
	command.RegisterBuffer(cmd, &o.target, "Reply")
	command.GroupFlags(cmd, "Reply", "output", "jq", "expect", "verbose")
	return cmd
}

// registerMessage adds the flags that send and emit share.
func (o *sendOptions) registerMessage(cmd *cobra.Command) {
	f := cmd.Flags()
	command.RegisterTarget(cmd, &o.target, "Target")
	cmd.ValidArgsFunction = command.CompleteMessage
	o.policy.Register(cmd, "Timeout and retries")
	f.StringArrayVarP(&o.meta, "meta", "m", nil, "add `KEY=VALUE` to the metadata of the message; '$NAME' and @FILE in VALUE are looked up (repeatable)")
	f.BoolVar(&o.noMetadata, "no-metadata", false, "send no metadata except --meta: no correlation-id, timeout-ms, or attempt")
	f.IntVar(&o.repeat, "repeat", 1, "send the message `N` times, one after the other")
	command.DurationFlag(f, &o.watch, "watch", 0, "send the message every `INTERVAL` until Ctrl-C, or --repeat times")
	f.BoolVar(&o.each, "each", false, "send one message for each line of NDJSON on standard input")
	f.StringVar(&o.printCode, "print-code", "", "print the call in `LANGUAGE` (nest, go, or curl) instead of sending it")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print the packets and timings on standard error")
	command.GroupFlags(cmd, "Message", "meta", "no-metadata", "repeat", "watch", "each", "print-code")
	if f.Lookup("event") != nil {
		command.GroupFlags(cmd, "Message", "event")
	}
}

// complete parses the arguments and checks the flags. All errors are usage errors.
func (o *sendOptions) complete(s *term.IO, args []string) error {
	o.policy.Jitter, args = command.TakeJitter(o.policy.Jitter, args)
	if len(args) == 0 && !o.isRaw {
		return exit.Usagef("msctl emit requires PATTERN")
	}
	var err error
	if len(args) > 0 {
		if o.pattern, err = shorthand.Pattern(args[0]); err != nil {
			return err
		}
		o.typed = args[0]
	}
	if o.style, err = term.ParseJSONStyle(o.output); err != nil {
		return exit.Usagef("-o: %w", err)
	}
	switch {
	case o.isRaw && len(args) > 1:
		return exit.Usagef("--raw is the entire message: remove %q", args[1])
	case o.isRaw && (o.each || o.printCode != ""):
		return exit.Usagef("--raw cannot be combined with --each or --print-code")
	case o.event && (o.jq != "" || o.expect != "" || o.output != ""):
		return exit.Usagef("--jq, --expect, and --output cannot be combined with --event: an event has no reply")
	case o.each && len(args) > 1:
		return exit.Usagef("--each reads the data from standard input: remove %q", args[1])
	case o.each && (o.repeat != 1 || o.watch != 0 || o.printCode != ""):
		return exit.Usagef("--each cannot be combined with --repeat, --watch, or --print-code")
	case o.printCode != "" && (o.repeat != 1 || o.watch != 0 || o.jq != "" || o.expect != "" || o.output != ""):
		return exit.Usagef("--print-code cannot be combined with --repeat, --watch, --jq, --expect, or --output")
	case o.printCode != "" && (o.target.CA != "" || o.target.Cert != "" || o.target.Key != "" || o.target.Insecure):
		return exit.WithHint(exit.Usagef("--print-code cannot be combined with --ca, --cert, --key, or --insecure"), "add them to the TLS options in the code")
	case o.repeat < 1:
		return exit.Usagef("--repeat must be at least 1")
	case o.target.MaxBuffer < 0:
		return exit.Usagef("--max-buffer-size must be at least 1")
	}
	if err := o.policy.Check(); err != nil {
		return err
	}
	in := shorthand.Reader{Stdin: s.In, Secrets: s.Secrets()}
	if o.metadata, err = parseMetadata(in, o.meta); err != nil {
		return err
	}
	switch {
	case o.isRaw:
		o.body, err = rawBody(in, o.raw)
	case !o.each:
		o.data, err = in.Data(args[1:])
	}
	return err
}

// rawBody returns the body of --raw.
func rawBody(in shorthand.Reader, text string) ([]byte, error) {
	if text == "-" {
		body, err := io.ReadAll(in.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		in.Secrets.LearnText(string(body))
		return body, nil
	}
	value, err := in.Value(text, nil)
	if err == nil {
		in.Secrets.LearnText(value)
	}
	return []byte(value), err
}

// checkRaw checks --raw against the target.
func (o *sendOptions) checkRaw(t target.Target) error {
	switch {
	case !o.isRaw:
		return nil
	case o.pattern.IsZero() && t.Subscribes():
		return exit.WithHint(exit.Usagef("PATTERN is required: %s delivers messages by it", t.Kind()), "write `msctl emit PATTERN --raw BODY`")
	case len(o.meta) > 0 && !t.HasHeaders():
		return exit.Usagef("--meta cannot be combined with --raw: on %s, metadata is part of the packet", t.Kind())
	case t.Kind() == target.TCP && !json.Valid(o.body):
		return exit.Usagef("--raw requires JSON for a TCP target: a service closes the connection on anything else")
	}
	return nil
}

// parseMetadata parses the --meta flags.
func parseMetadata(in shorthand.Reader, pairs []string) (m micro.Metadata, err error) {
	for _, pair := range pairs {
		key, text, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return m, exit.Usagef("invalid --meta %q: must be KEY=VALUE", secret.Malformed(pair))
		}
		value, err := in.Value(text, nil)
		if err != nil {
			return m, err
		}
		m.Set(key, value)
	}
	return m, nil
}

// runSend sends one message, or several with --each, --repeat, or --watch.
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
	if err := o.checkRaw(t); err != nil {
		return err
	}
	conn, err := o.target.Dial(t, target.DialOptions{Log: s.Warnings()})
	if err != nil {
		return err
	}
	m := &messenger{io: s, o: o, target: t, filters: filters}
	options := append(o.policy.Options(s, o.verbose, &m.attempts), micro.WithConfirmedEvents())
	if o.noMetadata {
		options = append(options, micro.WithoutMetadata())
	}
	if o.verbose && t.HasHeaders() {
		options = append(options, micro.WithInterceptors(m.showHeaders))
	}
	m.client = micro.NewClient(conn, options...)
	defer func() { _ = m.client.Close() }() // every event has been confirmed, so none is lost
	if o.each {
		return m.each(ctx)
	}
	return m.repeat(ctx)
}

// printAsCode prints the message as code instead of sending it.
func (o *sendOptions) printAsCode(s *term.IO, t target.Target) error {
	if t.Scheme == "" { // no service could be asked for its handlers
		t, _ = target.ParseURL(target.Default)
	}
	if t.Scheme == target.SchemeHTTP {
		return exit.Usagef("--print-code does not support an HTTP target")
	}
	if err := o.target.CheckBuffer(t); err != nil {
		return err
	}
	return printcode.WriteCall(s.Out, o.printCode, printcode.Call{
		Target: t, Pattern: o.pattern, Data: o.data, Event: o.event, Metadata: o.metadata, NoMetadata: o.noMetadata, MaxBuffer: o.target.MaxBuffer, Policy: o.policy.Settings(), Secrets: s.Secrets(),
	})
}
