package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/disk"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/observe"
	"github.com/msctl/msctl/internal/tap/otlp"
	"github.com/msctl/msctl/internal/tap/page"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

type tapOptions struct {
	filter tap.Filter
	output string
	record string
	noTUI  bool
	html   string
	otlp   exporting
	from   tapPlace
}

// NewTapCommand returns `msctl tap`, for msctl of a version.
func NewTapCommand(s *term.IO, version string) *cobra.Command {
	o := tapOptions{otlp: exporting{version: version}}
	cmd := &cobra.Command{
		Use:     "tap [TARGET]",
		Short:   "Show the messages between services",
		GroupID: command.GroupProject,
		Long: `Show every message between the services that ` + "`msctl run`" + ` runs: its sender and its
handler, how it ended, and how long it took. Values of members such as password, token, or
authorization are replaced with *** before they leave a service.

With a TARGET, the address of a broker, show the messages that pass through it, from any
program. RabbitMQ must have tracing switched on (rabbitmqctl trace_on). With --listen
and --to, be a proxy in front of a service with NestJS's TCP transport: clients connect
to --listen, and not one byte is changed. What cannot be joined is shown: a request has
the outcome "no reply" if none was seen within --wait, and a reply "no request".

On a terminal, messages are drawn as call trees, with a waterfall, details, and keys to
filter, search, send a message again, or save a tree: ? lists them. Otherwise, or with
--no-tui, each message is a line, and with -o json, a JSON object.

Without filters, all messages are shown, first those of the past. With a filter, only
messages that have everything it requires are shown, or the trees that contain one.
Ctrl-C ends the command.

With --otlp, all messages are also sent to a collector, as spans of OpenTelemetry. The
variable OTEL_EXPORTER_OTLP_HEADERS sets headers, such as those with credentials, and
OTEL_EXPORTER_OTLP_CERTIFICATE names a file with the certificates to trust.`,
		Example: `  msctl tap
  msctl tap --errors
  msctl tap --pattern createItem --slower 100ms
  msctl tap --record session.jsonl
  msctl tap --html tap.html
  msctl tap --otlp http://localhost:4318
  msctl tap nats://localhost
  msctl tap amqp://localhost/items
  msctl tap --listen :4002 --to tcp://localhost:3002`,
		Args:              command.ArgCount(0, 1),
		ValidArgsFunction: command.CompleteTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.from.broker = args[0]
			}
			return runTap(cmd.Context(), s, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.filter.Service, "service", "", "show only messages that `SERVICE` sent or handled")
	flags.StringVar(&o.filter.Pattern, "pattern", "", "show only messages whose pattern or path contains `TEXT`")
	flags.BoolVar(&o.filter.Errors, "errors", false, "show only messages that failed")
	command.DurationFlag(flags, &o.filter.Slower, "slower", 0, "show only messages that took longer than `DURATION`, such as 100ms")
	flags.StringVar(&o.filter.Trace, "trace", "", "show only messages whose trace or correlation `ID` contains this")
	command.OutputFlag(flags, &o.output, "output `FORMAT`: json (one object per line)", command.JSON)
	flags.StringVar(&o.record, "record", "", "also write all messages to `FILE`, for `msctl mock --from` and `msctl verify`")
	flags.StringVar(&o.html, "html", "", "at the end, write the call trees to `FILE` as one HTML page")
	flags.StringVar(&o.otlp.url, "otlp", "", "also send all messages, as spans of OpenTelemetry, to the collector at `URL` (OTLP over HTTP), such as http://localhost:4318")
	flags.BoolVar(&o.otlp.bodies, "otlp-bodies", false, "with --otlp: also send the data and replies")
	flags.BoolVar(&o.noTUI, "no-tui", false, "print one line per message instead of drawing")
	_ = cmd.RegisterFlagCompletionFunc("service", completeServices)
	flags.StringVar(&o.from.listen, "listen", "", "be a proxy, and listen on `ADDRESS`: host:port, or :port for this machine only (default with --to: :4002)")
	flags.StringVarP(&o.from.to.To, "to", "t", "", "pass messages on to `TARGET`: a service's name, tcp://host:port, or tls://host:port")
	command.PositiveFlag(flags, &o.from.wait, "wait", observe.DefaultWait, "with TARGET or --to: report a request without a reply after `DURATION`, unless it has the time that its sender waits")
	command.CompleteTo(cmd)
	command.GroupFlags(cmd, "Services not started by msctl run", "listen", "to", "wait")
	command.RegisterTLS(cmd, &o.from.to, "Services not started by msctl run")
	return cmd
}

func runTap(ctx context.Context, s *term.IO, o tapOptions) (err error) {
	view := tapView{io: s, o: o, lines: tap.NewLines()}
	if err := view.checkOTLP(); err != nil {
		return err
	}
	source, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer source.close()
	view.source = source
	view.trees = &view.lines.Trees
	if o.record != "" {
		file, err := os.OpenFile(o.record, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			return exit.Usagef("--record: %s exists already: remove it, or choose another name", o.record)
		}
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		view.file = json.NewEncoder(file)
	}
	if o.html != "" {
		if err := disk.Check(o.html); err != nil {
			return exit.Usagef("--html: %w", err)
		}
		defer func() { err = errors.Join(err, view.writePage(source.title)) }()
	}
	end := view.startOTLP()
	defer func() { err = errors.Join(err, end()) }()
	if o.draws(s) {
		view.trees, err = view.draw(ctx)
		return err
	}
	messages := make(chan tap.Message)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ended <- source.messages(ctx, into(ctx, messages)) }()
	return view.show(ctx, messages, ended)
}

// into returns a function that sends messages to a channel until ctx ends, and reports whether it has.
func into(ctx context.Context, messages chan<- tap.Message) func(tap.Message) bool {
	return func(m tap.Message) bool {
		select {
		case messages <- m:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// tapView prints messages as lines.
type tapView struct {
	io     *term.IO
	o      tapOptions
	source *tapSource
	lines  *tap.Lines
	trees  *tap.Trees    // for --html
	file   *json.Encoder // of --record; nil without

	exporter *otlp.Exporter // of --otlp; nil without
}

// show prints messages until the run has ended, or the user has seen enough.
func (v *tapView) show(ctx context.Context, messages <-chan tap.Message, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case m := <-messages:
			if err := v.add(m); err != nil {
				return err
			}
		case err := <-v.exporter.Failing():
			v.io.Remarkf("messages cannot be sent to %s now: %v", v.o.otlp.endpoint, err)
		case <-tick.C:
			v.print(v.lines.Take(time.Now(), false))
			v.source.printNotes(v.io)
		case err := <-ended:
			v.print(v.lines.Take(time.Now(), true))
			if ctx.Err() != nil {
				err = nil // Ctrl-C is how the command ends
			}
			return err
		}
		if err := v.io.OutError(); err != nil {
			return err
		}
	}
}

func (v *tapView) add(m tap.Message) error {
	if err := v.keep(m); err != nil {
		return err
	}
	if m.Dropped > 0 {
		v.io.Remarkf("%d messages are missing: %s", m.Dropped, missingBecause(m))
	}
	if v.o.output != command.JSON {
		v.lines.Add(m, time.Now())
		return nil
	}
	if v.o.html != "" {
		v.trees.Add(m)
	}
	if m.Dropped == 0 && !v.o.filter.Message(&m) {
		return nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("print a message: %w", err)
	}
	return v.io.PrintJSON(term.JSONLine, text)
}

func missingBecause(m tap.Message) string {
	if m.Service == "" {
		return "they came faster than they could be shown"
	}
	return m.Service + " sent more than could be recorded"
}

func (v *tapView) print(spans []*tap.Span) {
	for _, s := range spans {
		if v.selects(s) {
			fmt.Fprintln(v.io.Out, messageLine(s, v.io.OutPalette()))
		}
	}
}

// selects reports whether the filter selects a message, as its sender or one of its handlers saw it.
func (v *tapView) selects(s *tap.Span) bool {
	if v.o.filter.Message(&s.Message) {
		return true
	}
	for _, h := range s.Handlers() {
		if v.o.filter.Message(&h.Message) {
			return true
		}
	}
	return false
}

// messageLine describes a message in one line.
func messageLine(s *tap.Span, p term.Palette) string {
	pattern := s.Pattern
	var name string
	if json.Unmarshal([]byte(pattern), &name) == nil {
		pattern = name
	}
	if s.Kind == reported.HTTP && s.Path != "" && !strings.HasSuffix(s.Pattern, " "+s.Path) {
		pattern += " (" + s.Path + ")"
	}
	words := []string{
		p.Dim(s.Begin().Format("15:04:05.000")), parties(s, p), p.Accent(visible.Line(pattern)), outcomeText(s, p), term.Duration(s.Duration()),
	}
	if s.Attempt > 1 {
		words = append(words, p.Warn(fmt.Sprintf("attempt %d", s.Attempt)))
	}
	if s.Values > 1 {
		words = append(words, fmt.Sprintf("%d values", s.Values))
	}
	if late := s.Late(); late != nil {
		words = append(words, p.Warn(fmt.Sprintf("%s replied %s too late", late.Service, term.Duration(late.End().Sub(s.End())))))
	}
	if origin := s.Origin(); origin != nil && origin.Error != nil {
		text := visible.Line(origin.Error.Message)
		if origin != s && origin.Service != s.Service {
			text = origin.Service + ": " + text
		}
		words = append(words, p.Bad(text))
	}
	if s.Correlation != "" {
		words = append(words, p.Dim(visible.Line(s.Correlation)))
	}
	return strings.Join(words, "  ")
}

// parties names the sender and the handlers of a message.
func parties(s *tap.Span, p term.Palette) string {
	name := func(service string) string { return p.ServiceName(visible.Line(service)) }
	switch s.Kind {
	case reported.HTTP:
		return name(s.Service)
	case reported.Handle:
		return "→ " + name(s.Service)
	}
	var to []string
	for _, h := range s.Handlers() {
		if h := name(h.Service); len(to) == 0 || to[len(to)-1] != h {
			to = append(to, h)
		}
	}
	if len(to) == 0 {
		to = []string{p.Dim("?")}
	}
	arrow := " → "
	if s.Kind == reported.Emit {
		arrow = " ⇢ "
	}
	return name(s.Service) + arrow + strings.Join(to, ", ")
}

func outcomeText(s *tap.Span, p term.Palette) string {
	text := string(s.Outcome)
	if s.Status != 0 {
		text = fmt.Sprint(s.Status)
	}
	switch s.Outcome {
	case reported.OK:
		return p.Good(text)
	case reported.TimedOut, reported.Abandoned, reported.Expired, reported.Shed:
		return p.Warn(text)
	}
	return p.Bad(text)
}

// writePage writes the page of --html: the trees that the filter selects.
func (v *tapView) writePage(name string) error {
	var selected []*tap.Span
	for _, root := range v.trees.Roots() {
		if v.o.filter.Tree(root) {
			selected = append(selected, root)
		}
	}
	p := page.New(name, selected, time.Now())
	p.Missing, p.Forgotten = v.trees.Dropped, v.trees.Evicted
	if err := disk.Write(v.o.html, p.Write); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	trees := "call trees"
	if p.Shown() == 1 {
		trees = "call tree"
	}
	v.io.Notef("wrote %s: %d %s", v.io.ErrPalette().Accent(v.o.html), p.Shown(), trees)
	return nil
}
