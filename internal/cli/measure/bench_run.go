package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/policy"
)

// runBench makes the runs, shows them, and reports the results: files first, then on
// standard output, in a format. What cannot be printed does not change the exit code.
func runBench(ctx context.Context, s *term.IO, spec *bench.Spec, format string) error {
	baseline, err := loadBaseline(spec.Outputs.Baseline)
	if err != nil {
		return err
	}
	b, err := bench.Prepare(ctx, spec, servicePauser)
	if err != nil {
		return err
	}
	defer b.Close()
	interrupted, stopped := showBench(ctx, s, spec, b)
	d := b.Document()
	if d == nil {
		return cmp.Or(stopped, context.Cause(ctx))
	}
	unwritten := b.Write(d)
	for _, w := range b.Warnings() {
		s.Notef("%s %s", s.ErrPalette().Warn("warning:"), w)
	}
	if err := writeReport(s, d, format); !isPrintError(err) {
		return cmp.Or(unwritten, err)
	}
	if interrupted {
		stopped = cmp.Or(stopped, exit.WithCode(exit.Said(errors.New("stopped by Ctrl-C")), exit.Interrupted))
	}
	if unwritten != nil {
		exit.Report(s, unwritten)
	}
	return cmp.Or(endBench(ctx, s, spec, d, baseline, format, stopped), exit.Said(unwritten))
}

// isPrintError reports whether an error is nil, or only about the output stream.
func isPrintError(err error) bool {
	var unprinted *term.PrintError
	return err == nil || errors.As(err, &unprinted)
}

// outWidth returns the number of columns of standard output, or 80 if it is not a terminal.
func outWidth(s *term.IO) int {
	if s.Facts().StdoutTTY {
		return s.Width()
	}
	return format.Width
}

// loadBaseline reads the saved run of --baseline; nil without one.
func loadBaseline(path string) (*report.Document, error) {
	if path == "" {
		return nil, nil
	}
	d, err := bench.LoadDocument(path)
	if err != nil {
		return nil, err
	}
	if _, err := compare.Documents(d, d, compare.Options{A: path, B: path}); err != nil {
		return nil, exit.Usagef("--baseline: %w", err)
	}
	return d, nil
}

// showBench makes the runs on a screen or, without a terminal, on lines. interrupted
// reports that Ctrl-C was typed on the screen.
func showBench(ctx context.Context, s *term.IO, spec *bench.Spec, b *bench.Bench) (interrupted bool, err error) {
	if !s.CanDraw() || spec.NoTUI {
		lines := bench.Lines{Print: func(line string) { s.Notef("%s", line) }, Palette: s.ErrPalette()}
		return false, b.Run(ctx, lines)
	}
	screen := tui.BenchScreen{
		Pattern: spec.Title(), Target: spec.Targets(), Presets: policy.PresetNames(), Preset: spec.Policy.Preset,
		In: os.Stdin, Out: os.Stderr, Color: s.ErrPalette().Enabled(),
	}
	if !spec.Several() {
		one := &runScreen{screen: screen}
		err = b.Run(ctx, one)
		return one.interrupted, err
	}
	interrupted, err = tui.Lab(ctx, screen, func(ctx context.Context, stages *tui.Stages) error {
		return b.Run(ctx, labScreen{stages})
	})
	if errors.Is(err, tui.ErrQuit) {
		err = nil
	}
	return interrupted, err
}

// runScreen draws a single run.
type runScreen struct {
	screen      tui.BenchScreen
	interrupted bool
}

// Show draws the run until it has finished.
func (d *runScreen) Show(stage bench.Stage) (err error) {
	d.screen.Triggers = stage.Triggers
	d.interrupted, err = tui.Bench(stage.Run, d.screen)
	return err
}

// Note does nothing: nothing happens around a single run.
func (d *runScreen) Note(string) {}

// Conclude does nothing.
func (d *runScreen) Conclude(string) {}

// labScreen draws several runs.
type labScreen struct{ *tui.Stages }

// Show draws the run.
func (d labScreen) Show(stage bench.Stage) error {
	d.Stages.Show(tui.Stage{
		Title: stage.Title, Name: stage.Name, Run: stage.Run, Triggers: stage.Triggers, Preset: stage.Preset, Caption: stage.Caption,
	})
	return nil
}

// servicePauser finds the `msctl run` of the workspace, which can pause services.
func servicePauser(ctx context.Context) (func(ctx context.Context, service string, d time.Duration) error, error) {
	w, err := workspace.Current()
	if err != nil {
		return nil, err
	}
	runs, err := proc.Runs(ctx, w, "")
	switch {
	case err != nil:
		return nil, err
	case len(runs) == 0:
		err := errors.New("the fault pause requires `msctl run`, which is not running")
		return nil, exit.WithHint(exit.WithCode(err, exit.Unreachable), "start it, or use stall")
	}
	if runs[0].Suspended {
		err := fmt.Errorf("the fault pause requires `msctl run`, which is suspended (process %d)", runs[0].Pid)
		return nil, exit.WithHint(exit.WithCode(err, exit.Unreachable), "`fg` in its terminal or `kill -CONT %d` resumes it", runs[0].Pid)
	}
	return runs[0].Pause, nil
}

// endBench prints what follows the report and returns the error that the command
// ends with. Thresholds and the baseline take precedence over a run in which nothing
// succeeded.
func endBench(ctx context.Context, s *term.IO, spec *bench.Spec, d, baseline *report.Document, format string, stopped error) error {
	if spec.PrintPolicy != "" {
		if err := printPolicy(s, spec, d); !isPrintError(err) {
			return err
		}
	}
	worse, err := compareBaseline(s, d, baseline, spec.Outputs.Baseline, format)
	if err != nil {
		return err
	}
	if err := cmp.Or(bench.Crossed(d), worse, ctx.Err(), stopped, bench.LostAgents(d)); err != nil {
		return err
	}
	err = bench.Failed(d)
	if r := d.FailedRun(); r != nil && len(r.Errors) > 0 {
		if hint := spec.Hint(ctx, r.Errors[0].Outcome, r.Errors[0].Text); hint != "" {
			err = exit.WithHint(err, "%s", hint)
		}
	}
	return err
}

// printPolicy prints the suggested policy as code, or the policy of the run if none
// is suggested.
func printPolicy(s *term.IO, spec *bench.Spec, d *report.Document) error {
	settings := spec.ClientPolicy().Settings()
	switch {
	case d.Suggestion != nil && d.Suggestion.Policy != nil:
		settings = d.Suggestion.Policy.Settings()
	case d.Experiment != nil && d.Experiment.Best >= 0:
		settings = d.Experiment.Cells[d.Experiment.Best].Policy.Settings()
	}
	fmt.Fprintln(s.Out)
	return printcode.WritePolicy(s.Out, spec.PrintPolicy, settings)
}

// compareBaseline prints the comparison with a baseline, if there is one: on standard
// error if the report has another format than text. worse is the error for a regression.
func compareBaseline(s *term.IO, d, baseline *report.Document, path, format string) (worse, err error) {
	if baseline == nil {
		return nil, nil
	}
	c, err := compare.Documents(baseline, d, compare.Options{A: path, B: "this run"})
	if err != nil {
		return nil, exit.Usagef("--baseline: %w", err)
	}
	to, palette := s.Out, s.OutPalette()
	if format != reportFormats()[0] {
		to, palette = s.Err, s.ErrPalette()
	}
	fmt.Fprintln(to)
	if err := c.Text(to, palette, outWidth(s)); !isPrintError(err) {
		return nil, fmt.Errorf("print the comparison: %w", err)
	}
	return regressed(c, path), nil
}
