package measure

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// faultOptions are the flags of `msctl fault`, and what they mean.
type faultOptions struct {
	listen string
	to     target.Flags
	texts  []string
	seed   uint64
	raw    bool

	target target.Target
	tls    *tls.Config
	faults []fault.Fault
}

// faultHelp is the FAULT syntax for the help of the commands that take one.
const faultHelp = `FAULT is KIND[=VALUE][@START[+LENGTH]], followed by options:
  latency=200ms±50ms       delay requests and events (also 200ms+-50ms); later
                           messages may overtake them
  error=20%                reply with an error instead of the service, with
                           status=503 and message="injected by msctl" by default
  drop=10%                 lose the request or event
  drop-reply=5%            deliver the request and lose the reply
  duplicate=5%             deliver it twice, and lose the second reply
  reorder=10%              deliver it after the next one of its connection
  reset=1%                 reset the client's connection instead
  cut=1%                   close the connection in the middle of the reply
  bandwidth=64KB/s         limit each direction, for all connections together
  blackhole                lose every message, in both directions
  stall@10s+4s             hold every message, and deliver all at the end
A fault without a percentage applies to every message. @10s+4s means after 10s, for
4s; without a length, the fault lasts until the end; without a time, it is always
active. The options are:
  first=3                  only the first 3 messages
  share=20%                for latency: only this share of the messages
  pattern=cmd=createItem   only this pattern, which may be JSON; must be last`

// NewFaultCommand returns `msctl fault`.
func NewFaultCommand(s *term.IO) *cobra.Command {
	var o faultOptions
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Run a fault-injecting proxy in front of a service",
		Long: `Listen in front of a service, pass messages on to it, and delay, lose, duplicate, or
reject some of them, to see how clients react. Which messages are affected is drawn
from a seed: the same seed affects the same messages.

` + faultHelp + `

While the proxy is running, lines on standard input change it; times are relative to
when the line is entered:
  FAULT            add a fault (add FAULT also works)
  list             list the faults and their numbers
  remove 1         remove a fault; messages held by a stall are delivered
  clear            remove all faults
  stats            print the counts so far
  help             list the commands
  quit             stop, like Ctrl-C

` + target.AddressSyntax + `
The default outside a workspace is ` + target.Default + `.`,
		Example: `  msctl fault --listen :4002 --to tcp://localhost:3002 --fault 'latency=200ms±50ms'
  msctl fault --to items -f 'error=20% status=429 message="too busy"' -f 'drop=1%'
  msctl fault --to items -f 'stall@10s+4s' -f 'drop-reply first=3 pattern=cmd=createItem'
  msctl fault --listen :6380 --to redis://localhost -f 'blackhole@30s+5s'
  msctl fault --raw --listen :8080 --to tcp://localhost:3001 -f 'bandwidth=64KB/s'`,
		GroupID:     command.GroupMeasure,
		Args:        command.ArgCount(0, 0),
		Annotations: command.IncidentalOutput(),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.complete(cmd.Context()); err != nil {
			return err
		}
		return runFault(cmd.Context(), s, o)
	}
	o.register(cmd)
	return cmd
}

func (o *faultOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "localhost:4002", "listen on `ADDRESS`: host:port, or :port for all interfaces; port 0 selects a free one")
	command.GroupFlags(cmd, "Addresses", "listen")
	command.RegisterTarget(cmd, &o.to, "Addresses")
	f.Lookup("to").Usage = "pass messages on to `TARGET`: a service's name, tcp://host:port, tls://host:port, or a broker's address"
	f.StringArrayVarP(&o.texts, "fault", "f", nil, "inject `FAULT` from the start (repeatable)")
	f.Uint64Var(&o.seed, "seed", 1, "draw the affected messages from `SEED`: the same seed repeats them")
	f.BoolVar(&o.raw, "raw", false, "treat the traffic as bytes, for other protocols and brokers: only latency, bandwidth, blackhole, stall, reset, and cut, applied to each read")
	command.GroupFlags(cmd, "Faults", "fault", "seed", "raw")
}

// complete reads and checks the flags. All its errors are usage errors.
func (o *faultOptions) complete(ctx context.Context) (err error) {
	if err := command.CheckListen(o.listen); err != nil {
		return err
	}
	if o.target, err = o.findTarget(ctx); err != nil {
		return err
	}
	if o.target.Scheme == target.SchemeHTTP {
		return exit.WithHint(exit.Usagef("--to %s: an HTTP server takes no messages", o.target), "pass on bytes instead: --raw --to tcp://host:port")
	}
	if err := o.target.CheckProxy(); err != nil {
		return err
	}
	if o.target.Broker != nil {
		o.raw = true
		if err := o.to.NoTLS(); err != nil {
			return exit.WithHint(err, "in front of a broker, the proxy passes on bytes unchanged: the client and the broker encrypt them")
		}
	} else if err := o.to.CheckTLS(o.target); err != nil {
		return err
	}
	if o.target.Kind() == target.TCP && o.target.Encrypted() {
		if o.tls, err = o.to.TLSConfig(); err != nil {
			return err
		}
	}
	for _, text := range o.texts {
		f, err := o.parse("--fault", text)
		if err != nil {
			return err
		}
		o.faults = append(o.faults, f)
	}
	return nil
}

// parse parses a fault and checks that the proxy can inject it. All its errors are
// usage errors that point into the text.
func (o *faultOptions) parse(what, text string) (fault.Fault, error) {
	f, err := fault.Parse(text)
	if err != nil {
		return f, exit.PointInto(what, text, err)
	}
	var refused *fault.RefusedError
	if errors.As(f.Check(o.raw), &refused) {
		return f, exit.PointAt(what, text, len(text)-len(strings.TrimLeft(text, " \t")), refused.Reason)
	}
	return f, nil
}

// findTarget returns the target of --to, or the default outside a workspace.
func (o *faultOptions) findTarget(ctx context.Context) (target.Target, error) {
	if o.to.To != "" {
		return o.to.Parse(ctx, o.to.To)
	}
	w, err := workspace.Current()
	switch {
	case err != nil:
		return target.Target{}, err
	case w == nil:
		return o.to.Parse(ctx, target.Default)
	}
	return target.Target{}, exit.WithHint(exit.Usagef("--to is required in a workspace: name a service of %s", workspace.FileName),
		"its services are %s", strings.Join(w.Names(), ", "))
}
