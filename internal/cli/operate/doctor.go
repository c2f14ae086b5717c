package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/doctor"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// doctorOptions are the flags and arguments of `msctl doctor`.
type doctorOptions struct {
	to         string
	target     target.Flags
	from       string
	monitoring string
	ignore     []string
	output     string
	timeout    time.Duration
}

// NewDoctorCommand returns `msctl doctor`.
func NewDoctorCommand(s *term.IO) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [TARGET]",
		Short: "Find misconfigurations, with their cause and what to do",
		Long: `Find misconfigurations of the services in the workspace, or of TARGET: for each, print the
evidence, the cause, and what to do. The exit code is 0 if everything that was checked is
healthy, and 1 if something was found, or if nothing could be checked. Checks that could not
be made are listed with the reason; they do not change the exit code.

` + doctorChecks() + `

--from reads messages that ` + "`msctl tap --record`" + ` has recorded. Without them, what depends on the
messages between services is checked only as far as NestJS sources in the workspace tell.

The checks are harmless: services get the message msctl.describe, and web servers a GET
request. Where something else or nothing replies at an address, msctl also sends the first
bytes of other protocols there, to find out what it is. No message is consumed, and no queue
is created. docs/doctor.md lists everything that is sent, and the codes of the findings.

` + target.AddressSyntax,
		Example: `  msctl doctor
  msctl doctor items
  msctl doctor amqp://localhost/items
  msctl doctor --from messages.jsonl          # recorded with msctl tap --record
  msctl doctor -o json --ignore no-caller`,
		GroupID:           command.GroupTalk,
		Args:              command.ArgCount(0, 1),
		ValidArgsFunction: completeHealth,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.to = args[0]
		}
		if err := o.check(); err != nil {
			return err
		}
		return runDoctor(cmd.Context(), s, o)
	}
	f := cmd.Flags()
	command.OutputFlag(f, &o.output, "output `FORMAT`: json", command.JSON)
	f.StringVar(&o.from, "from", "", "also examine the recorded messages in `FILE` (JSON lines)")
	f.StringArrayVar(&o.ignore, "ignore", nil, "omit findings with `CODE`, such as no-caller (repeatable)")
	f.StringVar(&o.monitoring, "nats-monitoring", "", "`URL` of the monitoring port of NATS (default: port 8222 of its host)")
	command.PositiveFlag(f, &o.timeout, "timeout", micro.DefaultTimeout, "wait up to `DURATION` for each reply")
	if err := cmd.RegisterFlagCompletionFunc("ignore", completeCodes); err != nil {
		panic(err) // the command has no such flag
	}
	command.RegisterTLS(cmd, &o.target, "Connection")
	command.GroupFlags(cmd, "Connection", "timeout", "nats-monitoring")
	return cmd
}

// doctorChecks lists the checks for the help.
func doctorChecks() string {
	var b strings.Builder
	b.WriteString("The checks, and what they need:\n")
	for _, c := range doctor.Checks() {
		fmt.Fprintf(&b, "  %-24s %s\n", c.Name, c.Needs)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// completeCodes completes the codes of findings.
func completeCodes(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	codes := slices.DeleteFunc(doctor.Codes(), func(code string) bool { return !strings.HasPrefix(code, typed) })
	return codes, cobra.ShellCompDirectiveNoFileComp
}

func (o *doctorOptions) check() error {
	for _, code := range o.ignore {
		if slices.Contains(doctor.Codes(), code) {
			continue
		}
		err := exit.Usagef("--ignore: unknown code %q", code)
		if near := nearest.Word(code, doctor.Codes()); near != "" {
			return exit.WithHint(err, "did you mean %s?", near)
		}
		return exit.WithHint(err, "the codes are %s", strings.Join(doctor.Codes(), ", "))
	}
	if o.monitoring != "" {
		if u, err := url.Parse(o.monitoring); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return exit.WithHint(exit.Usagef("--nats-monitoring: invalid URL %q", target.WithoutLogin(o.monitoring)), "for example, http://localhost:8222")
		}
	}
	return nil
}

// runDoctor examines a target or the workspace, and prints the report. Findings are an error.
func runDoctor(ctx context.Context, s *term.IO, o doctorOptions) error {
	p, err := o.subject(ctx)
	if err != nil {
		return err
	}
	if o.from != "" {
		if p.Recording, err = doctor.ReadRecording(o.from); err != nil {
			return exit.WithHint(exit.Usagef("--from: %w", err), "`msctl tap --record FILE` records messages, one JSON object per line")
		}
	}
	report, err := doctor.Examine(ctx, p)
	if err != nil {
		return err
	}
	report.Findings = slices.DeleteFunc(report.Findings, func(f doctor.Finding) bool { return slices.Contains(o.ignore, f.Code) })
	if len(report.Checked) == 0 && o.output != "json" {
		writeUnchecked(s, report.NotChecked)
		return exit.WithHint(errors.New("nothing could be checked"), "give a TARGET, or run it in a workspace")
	}
	if o.output == "json" {
		err = printDiagnosis(s, report)
	} else {
		writeDiagnosis(s, report)
	}
	switch {
	case err != nil:
		return err
	case len(report.Checked) == 0:
		return exit.Said(errors.New("nothing could be checked"))
	case len(report.Findings) > 0:
		return exit.Said(errors.New("there are findings"))
	}
	return nil
}

// subject returns what is examined: the target, or the workspace.
func (o *doctorOptions) subject(ctx context.Context) (doctor.Subject, error) {
	o.target.Gateways = true
	p := doctor.Subject{Flags: &o.target, Timeout: o.timeout, Monitoring: o.monitoring}
	w, err := workspace.Current()
	if err != nil {
		return p, err
	}
	if o.to != "" {
		return o.single(ctx, p, w)
	}
	if w == nil && o.from != "" {
		return p, nil // only the recording
	}
	if w == nil {
		t, err := target.ParseURL(target.Default)
		p.Targets = []target.Target{t}
		return p, errors.Join(err, o.target.NoTLS())
	}
	p.Workspace = w
	for _, service := range w.Services {
		name := service.Name
		if service.Kind == workspace.KindGateway {
			name += "/"
		}
		t, err := o.target.Parse(ctx, name)
		switch {
		case err != nil:
			return p, err
		case service.Kind == workspace.KindGateway:
			p.Gateways = append(p.Gateways, t)
		default:
			p.Targets = append(p.Targets, t)
		}
	}
	p.Runs = runPids(ctx, w)
	if !slices.ContainsFunc(p.Targets, target.Target.Encrypted) {
		return p, o.target.NoTLS()
	}
	return p, nil
}

// single returns the target of the command line. If it is a service of the workspace, its sources are read.
func (o *doctorOptions) single(ctx context.Context, p doctor.Subject, w *workspace.Workspace) (doctor.Subject, error) {
	if target.IsGateway(o.to) && !strings.Contains(o.to, "/") {
		o.to += "/"
	}
	t, err := o.target.Parse(ctx, o.to)
	if err != nil {
		return p, err
	}
	if t.Kind() == target.HTTP {
		p.Gateways = []target.Target{t}
		return p, o.target.NoTLS()
	}
	if err := o.target.CheckTLS(t); err != nil {
		return p, err
	}
	p.Targets = []target.Target{t}
	if w != nil && t.Service != "" {
		p.Workspace, p.Single = w, true
		p.Runs = runPids(ctx, w)
	}
	return p, nil
}

// runPids returns the processes of `msctl run` for a workspace.
func runPids(ctx context.Context, w *workspace.Workspace) (pids []int) {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil {
		return nil // without them, more processes count as other programs
	}
	for _, c := range runs {
		pids = append(pids, c.Pid)
	}
	return pids
}

// doctorReport is the report as `-o json` prints it; docs/doctor.md describes it.
type doctorReport struct {
	Healthy bool `json:"healthy"`
	doctor.Report
}

func printDiagnosis(s *term.IO, r doctor.Report) error {
	for i := range r.Findings {
		maskFinding(s, &r.Findings[i])
	}
	for i := range r.NotChecked {
		r.NotChecked[i].Reason = s.Secrets().Mask(r.NotChecked[i].Reason)
	}
	r.Checked = append([]string{}, r.Checked...) // [] rather than null
	r.Findings = append([]doctor.Finding{}, r.Findings...)
	r.NotChecked = append([]doctor.Unchecked{}, r.NotChecked...)
	text, err := json.Marshal(doctorReport{r.Healthy(), r})
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return s.PrintJSON(term.JSONAuto, text)
}

// maskFinding removes credentials from a finding. Peers and files may have contributed to each of its texts.
func maskFinding(s *term.IO, f *doctor.Finding) {
	f.Where, f.Cause, f.Fix = s.Secrets().Mask(f.Where), s.Secrets().Mask(f.Cause), s.Secrets().Mask(f.Fix)
	for i, text := range f.Evidence {
		f.Evidence[i] = s.Secrets().Mask(text)
	}
}

// writeDiagnosis prints the findings, what was not checked, and a summary.
func writeDiagnosis(s *term.IO, r doctor.Report) {
	p := s.OutPalette()
	for _, f := range r.Findings {
		maskFinding(s, &f)
		visible.Strings(&f, visible.Line)
		fmt.Fprintf(s.Out, "%s  %s\n", p.Bad(f.Code), p.Bold(f.Where))
		for i, text := range f.Evidence {
			label := "evidence"
			if i > 0 {
				label = ""
			}
			writeField(s, label, text)
		}
		writeField(s, "cause", f.Cause)
		writeField(s, "fix", f.Fix)
		fmt.Fprintln(s.Out)
	}
	writeUnchecked(s, r.NotChecked)
	summary := term.Count(len(r.Findings), "finding")
	if len(r.Findings) == 0 {
		summary = p.Good("no findings")
	}
	rest := ""
	if n := len(r.NotChecked); n > 0 {
		rest = fmt.Sprintf(", %d not possible", n)
	}
	fmt.Fprintf(s.Out, "%s; checked: %s%s\n", summary, strings.Join(r.Checked, ", "), rest)
}

func writeField(s *term.IO, label, text string) {
	fmt.Fprintf(s.Out, "  %s %s\n", s.OutPalette().Dim(fmt.Sprintf("%-9s", label)), text)
}

// writeUnchecked lists the checks that could not be made. Those with the same reason share a line.
func writeUnchecked(s *term.IO, list []doctor.Unchecked) {
	if len(list) == 0 {
		return
	}
	p := s.OutPalette()
	fmt.Fprintln(s.Out, p.Warn("not checked"))
	for i, u := range list {
		same := func(other doctor.Unchecked) bool { return other.Where == u.Where && other.Reason == u.Reason }
		if slices.IndexFunc(list, same) < i {
			continue
		}
		var names []string
		for _, other := range list {
			if same(other) {
				names = append(names, other.Check)
			}
		}
		what := strings.Join(names, ", ")
		if u.Where != "" {
			what += " of " + u.Where
		}
		fmt.Fprintf(s.Out, "  %s %s\n", visible.Line(s.Secrets().Mask(what))+":", p.Dim(visible.Line(s.Secrets().Mask(u.Reason))))
	}
	fmt.Fprintln(s.Out)
}
