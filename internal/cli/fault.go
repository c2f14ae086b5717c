package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// faultOptions is what `msctl fault` was told.
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
const faultHelp = `FAULT is KIND[=VALUE][@START[+LENGTH]], and what narrows it down:
  latency=200ms±50ms       requests and events arrive later (200ms+-50ms too);
                           those behind them may overtake
  error=20%                answer in the service's place, with status=503 and
                           message="injected by msctl" unless these are given
  drop=10%                 the request or event never arrives
  drop-reply=5%            the service does the work, the answer never arrives
  duplicate=5%             it arrives twice; the second answer is swallowed
  reorder=10%              the next one of its connection arrives first
  reset=1%                 the client's connection is reset instead
  cut=1%                   the connection ends in the middle of the answer
  bandwidth=64KB/s         in each direction, for all connections together
  blackhole                everything is swallowed, in both directions
  stall@10s+4s             everything is held, and arrives when the time is over
A fault without a share hits every message. @10s+4s is when: after 10 s, for 4 s;
without a length until the end, without a time always. After it may follow:
  first=3                  only the first 3 messages
  share=20%                of latency: only these
  pattern=cmd=createItem   only this pattern, as JSON too; it comes last`

func newFaultCommand(s *term.IO) *cobra.Command {
	var o faultOptions
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Stand before a service and do harm to its messages",
		Long: `Listen in a service's place, pass messages on to it, and delay, lose, repeat or
refuse some of them, to see what clients make of it. Which of them is drawn from a
seed: the same seed hits the same messages again.

` + faultHelp + `

While it runs, lines on standard input change it; their times count from now:
  FAULT            do this too (add FAULT is the same)
  list             the faults and their numbers
  remove 1         end a fault; what a stall holds is delivered
  clear            end them all
  stats            print what has been done so far
  help             list these
  quit             end, as Ctrl-C does

` + target.AddressSyntax + `
Without one in a folder without a workspace: ` + target.Default + `.`,
		Example: `  msctl fault --listen :4002 --to tcp://localhost:3002 --fault 'latency=200ms±50ms'
  msctl fault --to items -f 'error=20% status=429 message="too busy"' -f 'drop=1%'
  msctl fault --to items -f 'stall@10s+4s' -f 'drop-reply first=3 pattern=cmd=createItem'
  msctl fault --listen :6380 --to redis://localhost -f 'blackhole@30s+5s'
  msctl fault --raw --listen :8080 --to tcp://localhost:3001 -f 'bandwidth=64KB/s'`,
		GroupID: groupMeasure,
		Args:    argCount(0, 0),
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
	f.StringVar(&o.listen, "listen", "localhost:4002", "listen at `ADDRESS`: host:port, or :port for the whole network; port 0 takes a free one")
	groupFlags(cmd, "Where", "listen")
	registerTarget(cmd, &o.to, "Where")
	f.Lookup("to").Usage = "pass messages on to `TARGET`: a service's name, tcp://host:port, tls://host:port, or a broker's address"
	f.StringArrayVarP(&o.texts, "fault", "f", nil, "do `FAULT` from the start on (repeatable)")
	f.Uint64Var(&o.seed, "seed", 1, "draw what is hit from `SEED`: the same in every run")
	f.BoolVar(&o.raw, "raw", false, "know nothing of messages, for other protocols, and before a broker: latency, bandwidth, blackhole, stall, reset and cut, for each read")
	groupFlags(cmd, "What it does", "fault", "seed", "raw")
}

// complete reads and checks the flags. All its errors are usage errors.
func (o *faultOptions) complete(ctx context.Context) (err error) {
	if err := checkListen(o.listen); err != nil {
		return err
	}
	if o.target, err = o.findTarget(ctx); err != nil {
		return err
	}
	if o.target.Scheme == target.SchemeHTTP {
		return exit.WithHint(exit.Usagef("--to %s: no messages go there", o.target), "pass bytes on: --raw --to tcp://host:port")
	}
	if o.target.Broker != nil {
		o.raw = true
		if err := o.to.NoTLS(); err != nil {
			return exit.WithHint(err, "before a broker the bytes are passed on as they are: the client and the broker encrypt them")
		}
	} else if err := o.to.CheckTLS(o.target); err != nil {
		return err
	}
	if o.target.Scheme == target.SchemeTLS {
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

// parse reads a fault that the proxy can do.
func (o *faultOptions) parse(what, text string) (fault.Fault, error) {
	f, err := parseFault(what, text)
	if err != nil {
		return f, err
	}
	var refused *fault.RefusedError
	if errors.As(f.Check(o.raw), &refused) {
		return f, exit.PointAt(what, text, len(text)-len(strings.TrimLeft(text, " \t")), refused.Reason)
	}
	return f, nil
}

// findTarget is the target that was given, or the only one that can be meant.
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
	return target.Target{}, exit.WithHint(exit.Usagef("--to is missing: which service of %s is it to stand before?", workspace.FileName),
		"it has %s", strings.Join(w.Names(), ", "))
}
