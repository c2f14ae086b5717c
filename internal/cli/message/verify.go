package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

type verifyOptions struct {
	file    string
	service string
	target  target.Flags
	output  string
	timeout time.Duration
}

// NewVerifyCommand returns `msctl verify`.
func NewVerifyCommand(s *term.IO) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify FILE --to TARGET",
		Short: "Compare a service with recorded replies",
		Long: `Send the requests of a recording to TARGET, in their order, and compare the replies with the
recorded ones: their members, the types of values, and the values that are stable. IDs, times,
and tokens may differ; an ID that a reply has instead of the recorded one is used in later
requests. Events are not sent.

The requests are sent as they are, so those that change data do so: use a service with data of
its own. The exit code is 1 if a reply differs, and 4 if TARGET cannot be reached.`,
		Example: `  msctl tap --record session.jsonl
  msctl verify session.jsonl --to items
  msctl verify session.jsonl --service items --to tcp://localhost:4002
  msctl verify session.jsonl --to nats://localhost -o json`,
		GroupID: command.GroupTalk,
		Args:    command.ArgCount(1, 1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.file = args[0]
		if o.target.To == "" {
			return exit.Usagef("--to is required: the service to compare with the recording")
		}
		return runVerify(cmd.Context(), s, o)
	}
	command.RegisterTarget(cmd, &o.target, "Connection")
	f := cmd.Flags()
	f.StringVar(&o.service, "service", "", "send only what `NAME` handled (default: all services of the recording)")
	command.OutputFlag(f, &o.output, "output `FORMAT`: json (one object per request that differs)", command.JSON)
	command.PositiveFlag(f, &o.timeout, "timeout", micro.DefaultTimeout, "wait up to `DURATION` for each reply")
	return cmd
}

// verified is a request whose reply differs, as `-o json` prints it.
type verified struct {
	Line        int                 `json:"line"`
	Pattern     json.RawMessage     `json:"pattern"`
	Differences []replay.Difference `json:"differences"`
}

func runVerify(ctx context.Context, s *term.IO, o verifyOptions) error {
	recording, err := loadRecording(s, o.file, o.service)
	if err != nil {
		return err
	}
	t, err := o.target.Parse(ctx, o.target.To)
	if err != nil {
		return err
	}
	conn, err := o.target.Dial(t, target.DialOptions{})
	if err != nil {
		return err
	}
	client := micro.NewClient(conn, micro.WithTimeout(o.timeout))
	defer client.Close()
	v := verifying{io: s, o: o, target: t, client: client}
	for _, x := range recording.Exchanges {
		if x.Event {
			continue
		}
		if x.HasSecret() {
			v.secret++
			continue
		}
		if err := v.request(ctx, x); err != nil {
			return err
		}
	}
	return v.conclude()
}

// verifying is a running `msctl verify`.
type verifying struct {
	io       *term.IO
	o        verifyOptions
	target   target.Target
	client   *micro.Client
	verifier replay.Verifier

	sent, differ int
	secret       int // requests that were left out
}

// request sends one request, and prints how its reply differs.
func (v *verifying) request(ctx context.Context, x *replay.Exchange) error {
	data, err := v.verifier.Data(x)
	if err != nil {
		return err
	}
	var reply json.RawMessage
	req := &micro.Request{Pattern: x.Pattern, Data: data}
	err = v.client.Do(ctx, req, micro.ReplyFunc(func(value micro.Value) error {
		if !value.Undefined() {
			reply = append(json.RawMessage(nil), value.Raw...)
		}
		return nil
	}))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.sent++
	var remote *micro.Error
	switch {
	case err == nil:
	case errors.Is(err, micro.ErrNoHandler):
		v.report(x, []replay.Difference{{Path: "$", Recorded: "a reply", Got: "no handler for the pattern"}})
		return nil
	case errors.As(err, &remote) && remote.Remote():
		reply = remote.Payload
	case errors.Is(err, micro.ErrTimeout):
		v.report(x, []replay.Difference{{Path: "$", Recorded: "a reply", Got: "none within " + v.o.timeout.String()}})
		return nil
	default:
		return target.Explain(err, v.target)
	}
	if failed := remote != nil; failed != (x.Error != nil) {
		kinds := map[bool]string{true: "an error", false: "a value"}
		v.report(x, []replay.Difference{{Path: "$", Recorded: kinds[!failed], Got: kinds[failed] + ": " + string(reply)}})
		return nil
	}
	if x.Error != nil && len(x.Reply) == 0 { // only the fact is recorded
		return nil
	}
	found, err := v.verifier.Compare(x, reply)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		v.report(x, found)
	}
	return nil
}

func (v *verifying) report(x *replay.Exchange, found []replay.Difference) {
	v.differ++
	if v.o.output == command.JSON {
		text, err := json.Marshal(verified{x.Line, json.RawMessage(x.Pattern.JSON()), found})
		if err == nil {
			_ = v.io.PrintJSON(term.JSONLine, text) // conclude returns the error
		}
		return
	}
	p := v.io.OutPalette()
	fmt.Fprintf(v.io.Out, "%s %s  %s\n", p.Bad("✗"), p.Accent(visible.Line(x.Pattern.String())), p.Dim(fmt.Sprintf("line %d", x.Line)))
	for _, d := range found {
		fmt.Fprintf(v.io.Out, "    %s: %s instead of %s\n", visible.Line(d.Path), p.Bad(visible.Line(d.Got)), p.Good(visible.Line(d.Recorded)))
	}
}

// conclude returns an error if a reply differed, or nothing was compared.
func (v *verifying) conclude() error {
	if err := v.io.OutError(); err != nil {
		return err
	}
	if v.secret > 0 {
		v.io.Remarkf("%s left out: their data contains secrets, which are not recorded", term.Count(v.secret, "request"))
	}
	switch {
	case v.sent == 0:
		return exit.Usagef("%s contains no request that can be sent: nothing was compared", v.o.file)
	case v.differ > 0:
		return fmt.Errorf("%d of %s got another reply than recorded", v.differ, term.Count(v.sent, "request"))
	}
	v.io.Notef("%s %s: all replies are as recorded", v.io.ErrPalette().Good("✓"), term.Count(v.sent, "request"))
	return nil
}
